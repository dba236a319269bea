//! A key for moegate.toml.

use moegate_config::key::NewKey;

/// # Errors
/// It cannot be the name of a key.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(good) {
        return Err(format!("`{name}` cannot be a key's name: use 1 to 64 letters, digits, `-` or `_`"));
    }
    Ok(())
}

/// A key and its hash, with what to write where.
///
/// # Errors
/// It cannot have that name, or there is no randomness.
pub(super) fn new_key(name: &str) -> Result<String, String> {
    check_name(name)?;
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| format!("no randomness to be had: {error}"))?;
    let NewKey { key, sha256 } = NewKey::from_random(&random);
    Ok(format!(
        "For its holder, shown only now:

    {key}

For moegate.toml, either the hash itself:

    [[keys]]
    name = \"{name}\"
    sha256 = \"{sha256}\"

or the name of a platform secret that holds it (`wrangler secret put APP_KEY_SHA256`, or a line in .dev.vars; on Spin
the variable app_key_sha256):

    [[keys]]
    name = \"{name}\"
    sha256_secret = \"APP_KEY_SHA256\"
"
    ))
}
