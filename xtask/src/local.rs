//! What a configuration says about the MoE server on this machine.

use moegate_config::{Config, Kind, Origin};

use crate::failure::{Failure, Result};

/// The origin that `run` starts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LocalOrigin {
    /// As it stands in the file, for instance `http://127.0.0.1:8788/v1`.
    pub(crate) url: String,
    pub(crate) port: u16,
    /// The name of the secret that holds its key.
    pub(crate) secret: String,
    /// The names under which it serves its model.
    pub(crate) aliases: Vec<String>,
    /// The name that clients ask the gateway for.
    pub(crate) model: String,
    /// After so many idle seconds it sleeps.
    pub(crate) sleep_after_s: Option<u32>,
}

impl LocalOrigin {
    /// The first origin of kind `moegate` on loopback.
    ///
    /// # Errors
    /// None is there, or no route leads to it.
    pub(crate) fn of(config: &Config) -> Result<Self> {
        let (origin, port) = config
            .origins
            .iter()
            .filter(|origin| origin.kind == Kind::Moegate)
            .find_map(|origin| Some((origin, loopback_port(&origin.url)?)))
            .ok_or_else(|| {
                Failure::new("no origin of kind \"moegate\" has a url on 127.0.0.1 with a port")
            })?;
        let mut aliases = Vec::new();
        let mut model = None;
        for route in &config.routes {
            for leaf in route.rule().leaves().iter().filter(|leaf| leaf.origin == origin.name) {
                let alias = route.model_at(leaf.model.as_deref());
                if !aliases.iter().any(|known| known == alias) {
                    aliases.push(alias.to_owned());
                }
                model.get_or_insert_with(|| route.model.clone());
            }
        }
        let model =
            model.ok_or_else(|| Failure::new(format!("no route leads to the origin {}", origin.name)))?;
        let sleep_after_s = origin.wake.as_ref().map(|wake| wake.sleep_after_s);
        Ok(Self { url: origin.url.clone(), port, secret: secret(origin)?, aliases, model, sleep_after_s })
    }
}

/// Every configuration that is valid names it.
fn secret(origin: &Origin) -> Result<String> {
    origin.secret.clone().ok_or_else(|| Failure::new(format!("the origin {} has no `secret`", origin.name)))
}

/// The port of an `http` URL on loopback.
pub(crate) fn loopback_port(url: &str) -> Option<u16> {
    let rest = url.strip_prefix("http://")?;
    let authority = rest.split('/').next()?;
    let (host, port) = authority.rsplit_once(':')?;
    matches!(host, "127.0.0.1" | "localhost").then(|| port.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use moegate_config::authoring;

    const FILE: &str = r#"
        [[origins]]
        name = "far"
        kind = "openai"
        url = "https://far.example/v1"
        models = [{ name = "far", input = "1", output = "1" }]
        [[origins]]
        name = "local"
        kind = "moegate"
        url = "http://127.0.0.1:8788/v1"
        secret = "ORIGIN_LOCAL_KEY"
        models = [{ name = "tiny", input = "1", output = "1" }, { name = "small", input = "1", output = "1" }]
        [[routes]]
        model = "far"
        origin = "far"
        [[routes]]
        model = "small"
        rule = { order = [{ origin = "far", model = "far" }, { origin = "local", model = "tiny" }, { origin = "local" }] }
        [[routes]]
        model = "other"
        origin = "local"
        origin_model = "tiny"
    "#;

    #[test]
    fn the_loopback_origin_and_the_routes_to_it_are_found() {
        let origin = LocalOrigin::of(&authoring::parse(FILE).unwrap()).unwrap();
        let expected = LocalOrigin {
            url: "http://127.0.0.1:8788/v1".to_owned(),
            port: 8788,
            secret: "ORIGIN_LOCAL_KEY".to_owned(),
            aliases: vec!["tiny".to_owned(), "small".to_owned()],
            model: "small".to_owned(),
            sleep_after_s: None,
        };
        assert_eq!(origin, expected);
    }

    #[test]
    fn what_is_missing_is_named() {
        let (origins, _) = FILE.split_once("[[routes]]").unwrap();
        for (text, expected) in [
            (FILE.replace("http://127.0.0.1:8788", "https://10.0.0.1"), "on 127.0.0.1"),
            (FILE.replace("http://127.0.0.1:8788", "http://127.0.0.1"), "with a port"),
            (origins.to_owned(), "no route leads to the origin local"),
        ] {
            let text = LocalOrigin::of(&authoring::parse(&text).unwrap()).unwrap_err().to_string();
            assert!(text.contains(expected), "{text}");
        }
    }
}
