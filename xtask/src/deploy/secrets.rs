//! Secrets of a deployment: which are missing, where they come from, and how they are handed on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use moegate_config::key::hash;
use moegate_config::{Config, KeyHash};

use super::steps::Steps;
use crate::failure::{At, Failure, Result};
use crate::keys::{new_key, write_private};
use crate::secrets::Secrets;

/// Who is asked for a secret.
pub(super) trait Asking {
    /// Whether somebody sees what is said, and nobody else does: a log of a build is no place for a key.
    fn is_there(&self) -> bool;

    fn ask(&mut self, question: &str) -> Result<String>;
}

pub(super) struct Values<'a> {
    pub(super) config: &'a Config,
    /// From the file.
    pub(super) given: Secrets,
    /// What keys are derived from, and whose they are.
    pub(super) seed: Option<(String, String)>,
}

impl Values<'_> {
    /// The secrets that have to be set: those that are given, and of the others those that are not known there. Of a hash,
    /// the key is made and said once; everything else is asked for. In a dry run it is only said.
    pub(super) fn complete(
        &self,
        known: &[String],
        steps: &mut Steps<'_>,
        asking: &mut dyn Asking,
    ) -> Result<Secrets> {
        let mut made = Secrets::new();
        let hashes = self.hashes();
        for name in self.config.secret_names() {
            if let Some(value) = self.given.get(name) {
                steps.say(&format!("set the secret {name}, from the file"))?;
                made.insert(name.to_owned(), value.clone());
            } else if known.iter().any(|known| known == name) {
                steps.say(&format!("leave the secret {name} as it is"))?;
            } else if let Some(of) = hashes.get(name) {
                steps.say(&format!("make {of} and set the secret {name} to its hash"))?;
                if let Some((seed, preview)) = &self.seed {
                    made.insert(name.to_owned(), hash(&derived(seed, preview, of)));
                } else if !steps.dry_run && !asking.is_there() {
                    return Err(Failure::new(format!("{of} would be printed here, where others may read it")).remedy(
                        format!("give {name} in --secrets FILE (`moegate keys new` prints key and hash), or --seed for a preview; nothing was deployed"),
                    ));
                } else if !steps.dry_run {
                    let key = new_key()?;
                    steps.say(&format!("  {of}, shown this once: {key}"))?;
                    made.insert(name.to_owned(), hash(&key));
                }
            } else {
                steps.say(&format!("ask for the secret {name} and set it"))?;
                if !steps.dry_run {
                    let value = asking.ask(&format!("{name} ({})", self.owner(name)))?;
                    if value.is_empty() {
                        return Err(Failure::new(format!("the secret {name} has no value")).remedy(
                            "type it, or give --secrets FILE with a line NAME=value; nothing was deployed",
                        ));
                    }
                    made.insert(name.to_owned(), value);
                }
            }
        }
        Ok(made)
    }

    /// What each hash is of.
    fn hashes(&self) -> BTreeMap<&str, String> {
        let keys = self.config.keys.iter().map(|key| (key.hash(), format!("the client key {}", key.name)));
        let admin = self.config.admin.iter().map(|admin| (admin.hash(), "the admin key".to_owned()));
        let of = keys.chain(admin).filter_map(|(hash, of)| match hash {
            Some(KeyHash::InSecret(name)) => Some((name, of)),
            _ => None,
        });
        of.collect()
    }

    fn owner(&self, name: &str) -> String {
        let of = |origin: &&moegate_config::Origin| {
            origin.secret.as_deref() == Some(name)
                || origin.spare_secrets.iter().chain(origin.secret_headers.values()).any(|own| own == name)
        };
        match self.config.origins.iter().find(of) {
            Some(origin) => format!("of origin `{}`, {}", origin.name, origin.url),
            None => "see moegate.toml".to_owned(),
        }
    }
}

/// The key of a preview: who has the seed can tell it, by
/// `printf 'moegate-preview-v1\n%s\n%s' WORKER 'the client key NAME' | openssl dgst -sha256 -hmac SEED`, with `mg-` in front.
fn derived(seed: &str, preview: &str, of: &str) -> String {
    let message = format!("{preview}\n{of}");
    format!(
        "mg-{}",
        moegate_wire::sign::sign(seed.trim().as_bytes(), "moegate-preview-v1", message.as_bytes())
    )
}

/// The names in what `wrangler secret list` prints.
pub(super) fn listed(json: &str) -> Vec<String> {
    let value: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
    let names = value.as_array().into_iter().flatten().filter_map(|secret| secret["name"].as_str());
    names.map(str::to_owned).collect()
}

/// A file of secrets, for as long as it is needed.
pub(super) struct Private(Option<PathBuf>, PathBuf);

impl Private {
    /// As JSON; none in a dry run.
    pub(super) fn write(steps: &Steps<'_>, secrets: &Secrets) -> Result<Self> {
        let folder = steps.root.join(".moegate");
        let file = folder.join("deploy-secrets.json");
        if steps.dry_run {
            return Ok(Self(None, file));
        }
        fs::create_dir_all(&folder).at("create", &folder)?;
        let text = serde_json::to_string(secrets).map_err(|error| Failure::new(error.to_string()))?;
        write_private(&file, &text)?;
        Ok(Self(Some(file.clone()), file))
    }

    pub(super) fn path(&self) -> &Path {
        &self.1
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if let Some(file) = &self.0 {
            let _ = fs::remove_file(file);
        }
    }
}

/// As the environment of `spin up`.
pub(super) fn write_variables(file: &Path, secrets: &Secrets) -> Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).at("create", folder)?;
    }
    let line = |(name, value): (&String, &String)| format!("SPIN_VARIABLE_{name}={value}\n");
    write_private(file, &secrets.iter().map(line).collect::<String>())
}
