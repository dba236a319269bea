//! `spin.toml`, version 2: the parts that this host honours. Any other key is refused, so that no test passes by
//! ignoring what the real runtime would do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::failure::{Failure, Result};
use crate::variables::Declared;

/// An application as its manifest describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    spin_manifest_version: u32,
    application: Application,
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
    trigger: Triggers,
    component: BTreeMap<String, Component>,
    /// Where relative paths start.
    #[serde(skip)]
    folder: PathBuf,
}

/// Name and version are told at `/.well-known/spin/info`; the rest is read for its form only.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Application {
    name: String,
    version: Option<String>,
    #[serde(default, rename = "description")]
    _description: Option<String>,
    #[serde(default, rename = "authors")]
    _authors: Vec<String>,
    #[serde(default, rename = "trigger")]
    _trigger: BTreeMap<String, NoSettings>,
}

/// A table that must be empty.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoSettings {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variable {
    #[serde(default)]
    required: bool,
    default: Option<String>,
    /// Only kept from being shown, which this host never does.
    #[serde(default, rename = "secret")]
    _secret: bool,
    #[serde(default, rename = "description")]
    _description: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Triggers {
    http: Vec<HttpTrigger>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpTrigger {
    #[serde(default, rename = "id")]
    _id: Option<String>,
    route: String,
    component: String,
}

/// One component: its file and what it may do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Component {
    source: String,
    #[serde(default, rename = "description")]
    _description: Option<String>,
    #[serde(default)]
    pub(crate) allowed_outbound_hosts: Vec<String>,
    #[serde(default)]
    pub(crate) key_value_stores: Vec<String>,
    #[serde(default)]
    pub(crate) sqlite_databases: Vec<String>,
    /// Templates over the application's variables.
    #[serde(default)]
    pub(crate) variables: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    /// Building is `spin build`'s business.
    #[serde(default, rename = "build")]
    _build: toml::Table,
}

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The route as the manifest has it.
    pub(crate) raw: String,
    /// The path without the wildcard.
    pub(crate) path: String,
    /// Whether everything below `path` belongs to it (`/...`).
    pub(crate) wildcard: bool,
}

impl Manifest {
    /// Reads and checks the file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Self::parse(&text, folder).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
    }

    fn parse(text: &str, folder: PathBuf) -> Result<Self> {
        let mut manifest: Self = toml::from_str(text)
            .map_err(|error| Failure::new(format!("not a manifest that this host can honour: {error}")))?;
        if manifest.spin_manifest_version != 2 {
            let version = manifest.spin_manifest_version;
            return Err(Failure::new(format!("spin_manifest_version = {version}: only 2 is supported")));
        }
        for (name, variable) in &manifest.variables {
            if variable.required == variable.default.is_some() {
                return Err(Failure::new(format!(
                    "variable {name:?} must either have a `default` or be `required = true`"
                )));
            }
        }
        manifest.folder = folder;
        Ok(manifest)
    }

    /// The variables and their defaults.
    pub(crate) fn variables(&self) -> BTreeMap<String, Declared> {
        let declared = |variable: &Variable| Declared { default: variable.default.clone() };
        self.variables.iter().map(|(name, variable)| (name.clone(), declared(variable))).collect()
    }

    /// The named component, or the only one that a route leads to.
    pub(crate) fn component<'a>(&'a self, id: Option<&'a str>) -> Result<(&'a str, &'a Component)> {
        let id = match id {
            Some(id) => id,
            None => {
                let mut ids: Vec<_> = self.trigger.http.iter().map(|http| http.component.as_str()).collect();
                ids.dedup();
                match ids[..] {
                    [id] => id,
                    _ => {
                        return Err(Failure::new(format!(
                            "--component is wanted, one of: {}",
                            ids.join(", ")
                        )));
                    }
                }
            }
        };
        let component = self
            .component
            .get(id)
            .ok_or_else(|| Failure::new(format!("the manifest has no component {id:?}")))?;
        for store in &component.key_value_stores {
            if store != "default" {
                return Err(Failure::new(format!(
                    "unknown key_value_stores label {store:?} for component {id:?}: only \"default\" exists here"
                )));
            }
        }
        if let Some(other) = component.sqlite_databases.iter().find(|name| *name != "default") {
            return Err(Failure::new(format!(
                "One or more components use SQLite databases which are not defined: component {id} uses database \
                 '{other}', and only 'default' exists here"
            )));
        }
        Ok((id, component))
    }

    /// What the runtime tells anybody of the application, as JSON.
    pub(crate) fn info(&self) -> String {
        let mut info = serde_json::json!({ "name": self.application.name });
        if let Some(version) = self.application.version.as_deref().filter(|version| !version.is_empty()) {
            info["version"] = version.into();
        }
        format!("{info:#}")
    }

    /// The routes that lead to the component.
    pub(crate) fn routes(&self, id: &str) -> Result<Vec<Route>> {
        let routes = self.trigger.http.iter().filter(|http| http.component == id);
        routes.map(|http| Route::parse(&http.route)).collect()
    }

    /// The component's file.
    pub(crate) fn source(&self, component: &Component) -> PathBuf {
        self.folder.join(&component.source)
    }
}

impl Route {
    fn parse(raw: &str) -> Result<Self> {
        if !raw.starts_with('/') || raw.contains("/:") {
            return Err(Failure::new(format!(
                "route {raw:?}: only fixed paths and `/...` are supported here"
            )));
        }
        let (path, wildcard) = match raw.strip_suffix("/...") {
            Some(path) => (path, true),
            None => (raw.strip_suffix('/').unwrap_or(raw), false),
        };
        Ok(Self { raw: raw.to_owned(), path: path.to_owned(), wildcard })
    }

    /// What the wildcard stands for, where the route matches `path`.
    pub(crate) fn matches<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = path.strip_prefix(self.path.as_str())?;
        match (self.wildcard, rest) {
            (_, "" | "/") => Some(if self.wildcard { rest } else { "" }),
            (true, rest) if rest.starts_with('/') => Some(rest),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = r#"
        spin_manifest_version = 2
        [application]
        name = "a"
        [[trigger.http]]
        route = "/..."
        component = "a"
        [component.a]
        source = "a.wasm"
    "#;

    fn parse(text: &str) -> Result<Manifest> {
        Manifest::parse(text, PathBuf::from("apps"))
    }

    #[test]
    fn the_only_component_needs_no_name() {
        let manifest = parse(LEAST).unwrap();
        let (id, component) = manifest.component(None).unwrap();
        assert_eq!((id, manifest.source(component)), ("a", PathBuf::from("apps/a.wasm")));
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        for (addition, said) in [
            ("files = [\"x\"]", "unknown field `files`"),
            ("ai_models = [\"llama2-chat\"]", "unknown field `ai_models`"),
            ("[component.a.dependencies]", "unknown field `dependencies`"),
            ("[variables]\nv = {}", "\"v\" must either"),
            ("[variables]\nv = { required = true, default = \"\" }", "\"v\" must either"),
        ] {
            let error = parse(&format!("{LEAST}\n{addition}")).unwrap_err().to_string();
            assert!(error.contains(said), "{addition}: {error}");
        }
        let version = LEAST.replace("= 2", "= 1");
        assert!(parse(&version).unwrap_err().to_string().contains("only 2 is supported"));
        let store = format!("{LEAST}\nkey_value_stores = [\"other\"]");
        let error = parse(&store).unwrap().component(None).unwrap_err().to_string();
        assert!(error.contains("unknown key_value_stores label \"other\""), "{error}");
        let database = format!("{LEAST}\nsqlite_databases = [\"default\", \"other\"]");
        let error = parse(&database).unwrap().component(None).unwrap_err().to_string();
        assert!(error.contains("component a uses database 'other'"), "{error}");
    }

    #[test]
    fn routes_match_as_spin_matches_them() {
        for (route, path, rest) in [
            ("/...", "/", Some("/")),
            ("/...", "/v1/models", Some("/v1/models")),
            ("/v1/...", "/v1", Some("")),
            ("/v1/...", "/v1/models", Some("/models")),
            ("/v1/...", "/v11", None),
            ("/v1", "/v1", Some("")),
            ("/v1", "/v1/", Some("")),
            ("/v1", "/v1/models", None),
            ("/", "/", Some("")),
        ] {
            assert_eq!(Route::parse(route).unwrap().matches(path), rest, "{route} {path}");
        }
        assert!(Route::parse("/users/:id").is_err());
    }
}
