//! `run --config`: a configuration of the user's own. All that belongs to it lies in two folders named after the file's
//! place: `build/run/NAME` (what is built of it) and `.moegate/run/NAME` (keys that were made for it, records).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use moegate_config::authoring::{self, Platform, spin};
use moegate_config::key::hash;
use moegate_config::{Config, KeyHash};
use sha2::{Digest, Sha256};

use crate::build::Host;
use crate::cache::hex;
use crate::failure::{At, Failure, Result};
use crate::keys::{Keys, new_key, read_or_empty, write_private};
use crate::local::LocalOrigin;
use crate::lock;
use crate::secrets::{self, Secrets};

/// A configuration, read and good for its host.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) config: Config,
    text: String,
    /// Of the two folders.
    name: String,
}

impl Own {
    /// Reads a file; relative to the folder this program was called in.
    ///
    /// # Errors
    /// All that is wrong with it on that host.
    pub(crate) fn read(file: &Path, host: Host) -> Result<Self> {
        let text = fs::read_to_string(file).at("read", file)?;
        let platform = match host {
            Host::Worker => Platform::Workers,
            Host::Spin => Platform::Spin,
        };
        let config = authoring::parse_for(&text, Some(platform)).map_err(|problems| {
            let lines: String = problems.iter().map(|problem| format!("\n  {problem}")).collect();
            Failure::new(format!("{} cannot be used on {platform}:{lines}", file.display()))
        })?;
        let place = fs::canonicalize(file).at("find", file)?;
        Ok(Self { config, text, name: name_of(&place) })
    }

    /// Puts what the build reads into its folder: the configuration, and a `spin.toml` that fits it.
    pub(crate) fn prepare_build(&self, root: &Path, host: Host) -> Result<PathBuf> {
        let folder = root.join("build/run").join(&self.name).join(match host {
            Host::Worker => "worker",
            Host::Spin => "spin",
        });
        fs::create_dir_all(&folder).at("create", &folder)?;
        write_if_new(&folder.join("moegate.toml"), &self.text)?;
        if host == Host::Spin {
            write_if_new(&folder.join("spin.toml"), &spin::manifest(&self.config, "moegate.wasm"))?;
        }
        Ok(folder)
    }

    /// Its folder for what stays.
    pub(crate) fn folder(&self, root: &Path) -> Result<PathBuf> {
        let folder = root.join(".moegate/run").join(&self.name);
        fs::create_dir_all(&folder).at("create", &folder)?;
        Ok(folder)
    }

    /// The secrets that it names: those that are given, and for the rest keys made here and kept in `folder`. What the
    /// servers read goes into `state`, which is this run's alone: another run of the same configuration may have other
    /// secrets. `origin`: the one that is started, whose key is made here too.
    pub(crate) fn keys(
        &self,
        (folder, state): (&Path, &Path),
        given: &Secrets,
        origin: Option<&LocalOrigin>,
    ) -> Result<Made> {
        let mut store = Store::open(folder)?;
        let mut values: Secrets = self
            .config
            .secret_names()
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), given.get(name)?.clone())))
            .collect();
        let mut made = Vec::new();
        let mut key_of = |of: String, hashed: Option<KeyHash<'_>>| -> Result<Option<String>> {
            let Some(KeyHash::InSecret(name)) = hashed else { return Ok(None) };
            if values.contains_key(name) {
                return Ok(None);
            }
            let key = store.key(name)?;
            values.insert(name.to_owned(), hash(&key));
            made.push((of, key.clone()));
            Ok(Some(key))
        };
        let mut client = None;
        for key in &self.config.keys {
            let known = key_of(format!("key {}", key.name), key.hash())?;
            client = client.or(known);
        }
        let admin = match &self.config.admin {
            Some(admin) => key_of("admin key".to_owned(), admin.hash())?,
            None => None,
        };
        let origin_file = state.join("origin-key");
        if let Some(origin) = origin {
            if values.get(&origin.secret).is_none_or(String::is_empty) {
                values.insert(origin.secret.clone(), store.key(&origin.secret)?);
            }
            write_private(&origin_file, &format!("{}\n", values[&origin.secret]))?;
        }
        store.save()?;
        let names = || self.config.secret_names().into_iter();
        let missing = names().filter(|name| !values.contains_key(*name)).map(str::to_owned).collect();
        let unused = given.keys().filter(|name| !names().any(|known| known == *name)).cloned().collect();
        let vars = state.join("vars");
        write_private(&vars, &secrets::to_text(&values))?;
        Ok(Made { keys: Keys { client, admin, vars, origin_file }, values, made, missing, unused })
    }
}

/// The secrets of a run.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) keys: Keys,
    /// Every secret that has a value.
    pub(crate) values: Secrets,
    /// Whose key, and the key: those whose hash no file gave.
    pub(crate) made: Vec<(String, String)>,
    /// Names without a value.
    pub(crate) missing: Vec<String>,
    /// Names that were given and nobody asks for.
    pub(crate) unused: Vec<String>,
}

impl Drop for Made {
    fn drop(&mut self) {
        // Secrets lie about no longer than the gateway runs; a file that is gone already is what is wanted.
        let _gone = fs::remove_file(&self.keys.vars);
    }
}

/// Keys that were made, by the name of the secret that they, or their hashes, stand in for.
struct Store {
    file: PathBuf,
    keys: BTreeMap<String, String>,
    changed: bool,
}

impl Store {
    fn open(folder: &Path) -> Result<Self> {
        let file = folder.join("keys.json");
        let text = read_or_empty(&file)?;
        let keys = match text.as_str() {
            "" => BTreeMap::new(),
            text => serde_json::from_str(text).map_err(|error| {
                Failure::new(format!("{} is not as this program writes it: {error}", file.display()))
                    .remedy("remove it: new keys are made")
            })?,
        };
        Ok(Self { file, keys, changed: false })
    }

    fn key(&mut self, name: &str) -> Result<String> {
        if let Some(key) = self.keys.get(name) {
            return Ok(key.clone());
        }
        let key = new_key()?;
        self.keys.insert(name.to_owned(), key.clone());
        self.changed = true;
        Ok(key)
    }

    fn save(&self) -> Result<()> {
        if !self.changed {
            return Ok(());
        }
        let text = serde_json::to_string_pretty(&self.keys)
            .map_err(|error| Failure::new(format!("cannot write keys: {error}")))?;
        write_private(&self.file, &format!("{text}\n"))
    }
}

/// A folder for records that no other run has: `state`, or where that is taken the first free of `state-2`, `state-3`…
/// It is held as long as the file lives.
pub(crate) fn state(folder: &Path) -> Result<(PathBuf, File)> {
    for number in 1..=MOST_RUNS {
        let name = if number == 1 { "state".to_owned() } else { format!("state-{number}") };
        let state = folder.join(name);
        fs::create_dir_all(&state).at("create", &state)?;
        if let Some(held) = lock::try_hold(&state.join("lock"))? {
            return Ok((state, held));
        }
    }
    Err(Failure::new(format!("{MOST_RUNS} gateways run under this configuration already")))
}

const MOST_RUNS: usize = 100;

/// The file's name for people, and the hash of its place for certainty.
fn name_of(place: &Path) -> String {
    let stem = place.file_stem().unwrap_or_default().to_string_lossy();
    let stem: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).take(40).collect();
    let digest = hex(&Sha256::digest(place.as_os_str().as_encoded_bytes()));
    format!("{stem}-{}", &digest[..8])
}

/// Leaves a file alone that says the same: its date decides what is built again.
fn write_if_new(file: &Path, text: &str) -> Result<()> {
    if fs::read(file).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(());
    }
    fs::write(file, text).at("write", file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
[[origins]]
name = "own"
kind = "moegate"
url = "http://127.0.0.1:8788/v1"
secret = "OWN_KEY"
models = [{ name = "m", input = "1", output = "1" }]
[[origins]]
name = "far"
kind = "openai"
url = "https://api.example.com/v1"
secret = "FAR_KEY"
models = [{ name = "m", input = "1", output = "1" }]
[[routes]]
model = "m"
rule = { order = [{ origin = "own" }, { origin = "far" }] }
[[keys]]
name = "fixed"
sha256 = "00000000000000000000000000000000000000000000000000000000000000aa"
[[keys]]
name = "app"
sha256_secret = "APP_SHA256"
[[keys]]
name = "other"
sha256_secret = "OTHER_SHA256"
[admin]
sha256_secret = "ADMIN_SHA256"
"#;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("moegate-own-test-{}-{name}", std::process::id()));
        let _none = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn own(folder: &Path, text: &str) -> Own {
        fs::write(folder.join("my gateway.toml"), text).unwrap();
        Own::read(&folder.join("my gateway.toml"), Host::Spin).unwrap()
    }

    fn given(pairs: &[(&str, &str)]) -> Secrets {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_not_given_is_made_once_and_stays() {
        let root = folder("made");
        let own = own(&root, FILE);
        let local = LocalOrigin::of(&own.config).unwrap();
        let first = own.keys((&root, &root), &given(&[]), Some(&local)).unwrap();
        let vars = secrets::read(&first.keys.vars).unwrap();
        let client = first.keys.client.clone().unwrap();
        assert_eq!(vars["APP_SHA256"], hash(&client));
        assert_eq!(vars["ADMIN_SHA256"], hash(first.keys.admin.as_ref().unwrap()));
        let origin = fs::read_to_string(&first.keys.origin_file).unwrap();
        assert_eq!(vars["OWN_KEY"], origin.trim());
        let whose: Vec<_> = first.made.iter().map(|(whose, _)| whose.as_str()).collect();
        assert_eq!(whose, ["key app", "key other", "admin key"]);
        assert_eq!((&first.missing[..], first.unused.len()), (&["FAR_KEY".to_owned()][..], 0));
        let again = own.keys((&root, &root), &given(&[]), Some(&local)).unwrap();
        assert_eq!((&again.keys.client, &again.made), (&Some(client), &first.made));
        let vars = first.keys.vars.clone();
        drop((first, again));
        assert!(!vars.exists());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn what_is_given_is_taken_and_a_key_of_which_only_the_hash_is_known_is_not_told() {
        let root = folder("given");
        let own = own(&root, FILE);
        let hashed = "ab".repeat(32);
        let secrets =
            given(&[("APP_SHA256", &hashed), ("ADMIN_SHA256", ""), ("FAR_KEY", "sk-far"), ("STRAY", "1")]);
        let made = own.keys((&root, &root), &secrets, None).unwrap();
        let vars = secrets::read(&made.keys.vars).unwrap();
        assert_eq!((vars["APP_SHA256"].as_str(), vars["FAR_KEY"].as_str()), (hashed.as_str(), "sk-far"));
        assert_eq!(vars.get("STRAY"), None);
        assert_eq!(made.keys.admin, None);
        assert_eq!(vars["OTHER_SHA256"], hash(made.keys.client.as_ref().unwrap()));
        assert_eq!((&made.missing, &made.unused), (&vec!["OWN_KEY".to_owned()], &vec!["STRAY".to_owned()]));
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_configuration_is_built_in_a_folder_of_its_own_with_a_manifest_that_fits() {
        let root = folder("build");
        let own = own(&root, FILE);
        let build = own.prepare_build(&root, Host::Spin).unwrap();
        let manifest = fs::read_to_string(build.join("spin.toml")).unwrap();
        assert_eq!(spin::check(&manifest, &own.config), Ok(()));
        assert_eq!(fs::read_to_string(build.join("moegate.toml")).unwrap(), FILE);
        assert_ne!(own.prepare_build(&root, Host::Worker).unwrap(), build);
        // Of another file of that name.
        let elsewhere = root.join("elsewhere");
        fs::create_dir_all(&elsewhere).unwrap();
        assert_ne!(self::own(&elsewhere, FILE).prepare_build(&root, Host::Spin).unwrap(), build);
        assert!(own.name.starts_with("my-gateway-"), "{}", own.name);
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn two_runs_at_once_keep_their_records_apart() {
        let root = folder("state");
        let first = state(&root).unwrap();
        let second = state(&root).unwrap();
        assert_ne!(first.0, second.0);
        let free = first.0.clone();
        drop(first);
        assert_eq!(state(&root).unwrap().0, free);
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_bad_configuration_is_refused_with_its_own_name() {
        let root = folder("bad");
        fs::write(root.join("x.toml"), FILE.replace("FAR_KEY", "FAR_2").replace("\"own\" }", "\"on\" }"))
            .unwrap();
        let text = Own::read(&root.join("x.toml"), Host::Spin).unwrap_err().to_string();
        assert!(
            text.contains("x.toml cannot be used on spin") && text.contains("origins[1].secret"),
            "{text}"
        );
        assert!(text.contains("routes[0].rule.order[0].origin"), "{text}");
        fs::remove_dir_all(&root).unwrap();
    }
}
