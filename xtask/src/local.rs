//! What `moegate.toml` says about the MoE server on this machine.

use std::path::Path;

use toml::de::{DeArray, DeTable};

use crate::failure::{At, Failure, Result};

/// The origin that `run` starts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LocalOrigin {
    /// As it stands in the file, for instance `http://127.0.0.1:8788/v1`.
    pub(crate) url: String,
    pub(crate) port: u16,
    /// The name of the secret that holds its key.
    pub(crate) secret: String,
    /// The name under which it serves its model.
    pub(crate) alias: String,
    /// The name that clients ask the gateway for.
    pub(crate) model: String,
}

impl LocalOrigin {
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).at("read", file)?;
        Self::parse(&text).map_err(|failure| failure.during(&file.display().to_string()))
    }

    fn parse(text: &str) -> Result<Self> {
        let table = DeTable::parse(text).map_err(|error| Failure::new(error.to_string()))?;
        let table = table.get_ref();
        let (origin, port) = tables(table, "origins")
            .filter(|origin| string(origin, "kind") == Some("moegate"))
            .find_map(|origin| Some((origin, loopback_port(string(origin, "url")?)?)))
            .ok_or_else(|| {
                Failure::new("no origin of kind \"moegate\" has a url on 127.0.0.1 with a port").remedy(
                    "add one, for instance url = \"http://127.0.0.1:8788/v1\": it is the MoE server `run` starts",
                )
            })?;
        let name = required(origin, "name")?;
        let route =
            tables(table, "routes").find(|route| string(route, "origin") == Some(name)).ok_or_else(|| {
                Failure::new(format!("no route leads to the origin {name}"))
                    .remedy("add one under [[routes]]")
            })?;
        let model = required(route, "model")?;
        Ok(Self {
            url: required(origin, "url")?.to_owned(),
            port,
            secret: required(origin, "secret")?.to_owned(),
            alias: string(route, "origin_model").unwrap_or(model).to_owned(),
            model: model.to_owned(),
        })
    }
}

fn tables<'a>(table: &'a DeTable<'a>, key: &str) -> impl Iterator<Item = &'a DeTable<'a>> {
    static NONE: DeArray<'static> = DeArray::new();
    let array = table.get(key).and_then(|value| value.get_ref().as_array()).unwrap_or(&NONE);
    array.iter().filter_map(|value| value.get_ref().as_table())
}

fn string<'a>(table: &'a DeTable<'_>, key: &str) -> Option<&'a str> {
    table.get(key).and_then(|value| value.get_ref().as_str())
}

fn required<'a>(table: &'a DeTable<'_>, key: &str) -> Result<&'a str> {
    string(table, key).ok_or_else(|| Failure::new(format!("{key} is missing where `run` needs it")))
}

fn loopback_port(url: &str) -> Option<u16> {
    let rest = url.strip_prefix("http://")?;
    let authority = rest.split('/').next()?;
    let (host, port) = authority.rsplit_once(':')?;
    matches!(host, "127.0.0.1" | "localhost").then(|| port.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        [[origins]]
        name = "far"
        kind = "openai"
        url = "https://far.example/v1"
        [[origins]]
        name = "local"
        kind = "moegate"
        url = "http://127.0.0.1:8788/v1"
        secret = "ORIGIN_LOCAL_KEY"
        [[routes]]
        model = "far"
        origin = "far"
        [[routes]]
        model = "small"
        origin = "local"
        origin_model = "tiny"
    "#;

    #[test]
    fn the_loopback_origin_and_its_route_are_found() {
        let origin = LocalOrigin::parse(FILE).unwrap();
        let expected = LocalOrigin {
            url: "http://127.0.0.1:8788/v1".to_owned(),
            port: 8788,
            secret: "ORIGIN_LOCAL_KEY".to_owned(),
            alias: "tiny".to_owned(),
            model: "small".to_owned(),
        };
        assert_eq!(origin, expected);
    }

    #[test]
    fn what_is_missing_is_named() {
        for (from, to, expected) in [
            ("127.0.0.1", "10.0.0.1", "on 127.0.0.1"),
            ("origin = \"local\"", "origin = \"far\"", "no route leads to the origin local"),
            ("secret", "secrets", "secret is missing"),
        ] {
            let text = LocalOrigin::parse(&FILE.replace(from, to)).unwrap_err().to_string();
            assert!(text.contains(expected), "{text}");
        }
    }
}
