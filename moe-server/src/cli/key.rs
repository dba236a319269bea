//! Where the bearer key comes from.

use moe_server::http::auth::Auth;
use std::path::Path;

pub(super) const VARIABLE: &str = "MOE_API_KEY";

/// The key by file, else by environment; none only where that was asked for.
///
/// # Errors
/// What is wrong and what to do, without the key.
pub(super) fn auth(file: Option<&Path>, variable: Option<&str>, no_auth: bool) -> Result<Auth, String> {
    let refuse = |from: String| {
        move |_| format!("{from} holds no usable key: put in one line of printable ASCII without spaces")
    };
    match (file, variable, no_auth) {
        (Some(path), ..) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("--api-key-file {}: {error}", path.display()))?;
            Auth::with_key(&text).map_err(refuse(format!("--api-key-file {}", path.display())))
        }
        (None, Some(_), true) => Err(format!(
            "--no-auth and {VARIABLE} contradict each other: unset the variable, or leave it out"
        )),
        (None, Some(text), false) => {
            Auth::with_key(text).map_err(refuse(format!("the environment variable {VARIABLE}")))
        }
        (None, None, true) => Ok(Auth::none()),
        (None, None, false) => Err(format!(
            "there is no key: give --api-key-file FILE or set {VARIABLE} (or --no-auth, on loopback only)"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let missing = file.path().with_extension("none");
        std::fs::write(file.path(), "from-file\n").unwrap();
        let describe =
            |file, variable, no_auth| auth(file, variable, no_auth).map(|auth| format!("{auth:?}"));
        assert_eq!(describe(Some(file.path()), Some(""), false).as_deref(), Ok("Auth(key)"));
        assert_eq!(describe(None, Some("k\n"), false).as_deref(), Ok("Auth(key)"));
        assert_eq!(describe(None, None, true).as_deref(), Ok("Auth(none)"));
        std::fs::write(file.path(), "\n").unwrap();
        for (file, variable, no_auth, part) in [
            (None, None, false, "there is no key"),
            (None, Some(" "), false, "holds no usable key"),
            (None, Some("k"), true, "contradict"),
            (Some(file.path()), None, false, "holds no usable key"),
            (Some(missing.as_path()), None, false, "--api-key-file"),
        ] {
            let error = describe(file, variable, no_auth).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
