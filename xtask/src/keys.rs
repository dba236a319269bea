//! The keys of a gateway on this machine, made on first use.
//!
//! `.dev.vars` holds what a Worker would have as secrets: the origin's key and the hashes of the client's and the
//! administrator's. Those two keys themselves are kept in `.moegate/keys.json`, which the gateway never sees.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use moegate_config::key::{NewKey, hash};

use crate::failure::{At, Failure, Result};
use crate::secrets::Secrets;

const CLIENT: &str = "CLIENT_KEY_SHA256";
const ADMIN: &str = "ADMIN_KEY_SHA256";

/// What the gateway and the MoE server are started with, and what their users need.
#[derive(Debug)]
pub(crate) struct Keys {
    /// Not there where only its hash is known.
    pub(crate) client: Option<String>,
    /// As `client`; nor where there is no administrator.
    pub(crate) admin: Option<String>,
    /// The secrets, as the gateway reads them.
    pub(crate) vars: PathBuf,
    /// The origin's key alone, as moe-server reads it.
    pub(crate) origin_file: PathBuf,
}

impl Keys {
    /// Reads the keys of a checkout, making what is missing.
    pub(crate) fn ensure(root: &Path, origin_secret: &str) -> Result<Self> {
        let vars = root.join(".dev.vars");
        let folder = root.join(".moegate");
        let file = folder.join("keys.json");
        fs::create_dir_all(&folder).at("create", &folder)?;
        let mut text = read_or_empty(&vars)?;
        let before = text.clone();

        let stored = read_or_empty(&file)?;
        let (client, admin) = match (field(&stored, "client_key"), field(&stored, "admin_key")) {
            (Some(client), Some(admin)) => {
                for (name, key) in [(CLIENT, &client), (ADMIN, &admin)] {
                    if value_of(&text, name).is_some_and(|stored| stored != hash(key)) {
                        return Err(Failure::new(format!(
                            "{name} in .dev.vars is not the hash of the key in .moegate/keys.json"
                        ))
                        .remedy(
                            "remove .moegate/keys.json: new keys are made, and their hashes replace those",
                        ));
                    }
                }
                (client, admin)
            }
            _ => {
                eprintln!("making a client key and an admin key: {}", file.display());
                let (client, admin) = (new_key()?, new_key()?);
                let json = format!("{{\n  \"client_key\": \"{client}\",\n  \"admin_key\": \"{admin}\"\n}}\n");
                write_private(&file, &json)?;
                (client, admin)
            }
        };
        let origin = match value_of(&text, origin_secret) {
            Some(key) if !key.is_empty() => key.to_owned(),
            _ => new_key()?,
        };
        for (name, value) in [(origin_secret, &origin), (CLIENT, &hash(&client)), (ADMIN, &hash(&admin))] {
            text = with_value(&text, name, value);
        }
        if text != before {
            write_private(&vars, &text)?;
        }
        let origin_file = folder.join("origin-key");
        if read_or_empty(&origin_file)?.trim() != origin {
            write_private(&origin_file, &format!("{origin}\n"))?;
        }
        Ok(Self { client: Some(client), admin: Some(admin), vars, origin_file })
    }
}

pub(crate) fn new_key() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Failure::new(format!("no random bytes: {error}")))?;
    Ok(NewKey::from_random(&bytes).key)
}

/// Every `NAME=value` line of a file that people write, whatever else stands in it.
pub(crate) fn lines(vars: &Path) -> Result<Secrets> {
    let text = fs::read_to_string(vars).at("read", vars)?;
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    Ok(pairs
        .map(|(name, value)| (name.trim().to_owned(), value.trim().trim_matches('"').to_owned()))
        .collect())
}

/// The value of a `NAME=value` line.
fn value_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim().trim_matches('"'))
}

/// The text with that line replaced or added.
fn with_value(text: &str, name: &str, value: &str) -> String {
    if value_of(text, name) == Some(value) {
        return text.to_owned();
    }
    let kept = text.lines().filter(|line| line.split_once('=').is_none_or(|(key, _)| key.trim() != name));
    kept.map(|line| format!("{line}\n")).collect::<String>() + &format!("{name}={value}\n")
}

/// A string of the JSON object that [`Keys::ensure`] writes; keys hold nothing that JSON would escape.
fn field(json: &str, name: &str) -> Option<String> {
    let (_, rest) = json.split_once(&format!("\"{name}\""))?;
    let value = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    value.split_once('"').map(|(key, _)| key.to_owned())
}

pub(crate) fn read_or_empty(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        other => other.at("read", path),
    }
}

/// Writes a file that only its owner may read, whole or not at all.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    let partial = path.with_extension("partial");
    let _left_by_a_crash = fs::remove_file(&partial);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let written = options.open(&partial).and_then(|mut file| file.write_all(text.as_bytes()));
    written.at("write", &partial)?;
    fs::rename(&partial, path).at("move into place", path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn checkout(name: &str) -> PathBuf {
        let root = std::env::temp_dir().join(format!("moegate-keys-test-{}-{name}", std::process::id()));
        let _none = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        root
    }

    #[test]
    fn keys_are_made_once_and_only_their_hashes_reach_the_gateway() {
        let root = checkout("once");
        let first = Keys::ensure(&root, "ORIGIN").unwrap();
        let again = Keys::ensure(&root, "ORIGIN").unwrap();
        assert_eq!((&first.client, &first.admin), (&again.client, &again.admin));
        let (client, admin) = (first.client.unwrap(), first.admin.unwrap());
        assert_ne!(client, admin);
        assert!(client.starts_with("mg-") && client.len() == 46, "{client}");
        let vars = fs::read_to_string(&first.vars).unwrap();
        assert!(!vars.contains(&client) && !vars.contains(&admin));
        assert_eq!(value_of(&vars, CLIENT), Some(hash(&client).as_str()));
        assert_eq!(value_of(&vars, ADMIN), Some(hash(&admin).as_str()));
        let origin = fs::read_to_string(&first.origin_file).unwrap();
        assert_eq!(value_of(&vars, "ORIGIN"), Some(origin.trim()));
        for path in [&first.vars, &first.origin_file, &root.join(".moegate/keys.json")] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
        }
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn other_lines_and_the_origins_key_stay() {
        let root = checkout("stay");
        fs::write(root.join(".dev.vars"), "# mine\nOTHER=1\nORIGIN=\"given\"\nCLIENT_KEY_SHA256=old\n")
            .unwrap();
        Keys::ensure(&root, "ORIGIN").unwrap();
        let vars = fs::read_to_string(root.join(".dev.vars")).unwrap();
        assert!(vars.starts_with("# mine\nOTHER=1\nORIGIN=\"given\"\n"), "{vars}");
        assert_eq!(vars.matches(CLIENT).count(), 1);
        fs::write(root.join(".dev.vars"), "CLIENT_KEY_SHA256=other\n").unwrap();
        let text = Keys::ensure(&root, "ORIGIN").unwrap_err().to_string();
        assert!(text.contains("CLIENT_KEY_SHA256") && text.contains("keys.json"), "{text}");
        fs::remove_dir_all(root).unwrap();
    }
}
