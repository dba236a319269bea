//! What each platform cannot honour, and that the others take it.

use moegate_config::authoring::{self, Platform};

/// Good everywhere.
const GOOD: &str = r#"
[gateway]
max_body_mib = 10

[ledger]
store = "key-value"

[[origins]]
name = "far"
kind = "openai"
url = "https://api.example.com/v1"
secret = "FAR_KEY"
spare_secrets = ["FAR_SPARE"]
secret_headers = { "CF-Access-Client-Secret" = "FAR_ACCESS" }
first_byte_timeout_s = 29
[[origins.models]]
name = "m"
input = "1"
output = "2"

[[routes]]
model = "m"
origin = "far"
budget = { seconds = 29 }

[[keys]]
name = "app"
sha256_secret = "APP_SHA256"
[admin]
sha256_secret = "ADMIN_SHA256"
"#;

const ALL: [Platform; 3] = [Platform::Workers, Platform::Spin, Platform::SpinHosted];
const SPIN: &[Platform] = &[Platform::Spin, Platform::SpinHosted];
const HOSTED: &[Platform] = &[Platform::SpinHosted];

#[test]
fn a_good_one_is_good_everywhere() {
    for platform in ALL {
        assert!(authoring::parse_for(GOOD, Some(platform)).is_ok(), "{platform}");
    }
}

#[test]
fn each_platform_refuses_what_it_cannot_honour_and_no_other_does() {
    let table: &[(&str, &str, &[Platform], &str, &str)] = &[
        ("\"FAR_KEY\"", "\"USAGE\"", &[Platform::Workers], "origins[0].secret", "a binding of"),
        ("\"FAR_KEY\"", "\"FAR_2_KEY\"", SPIN, "origins[0].secret", "cannot be a Spin variable"),
        ("\"FAR_SPARE\"", "\"LEDGER\"", &[Platform::Workers], "origins[0].spare_secrets[0]", "a binding of"),
        ("\"FAR_SPARE\"", "\"FAR_2\"", SPIN, "origins[0].spare_secrets[0]", "cannot be a Spin variable"),
        ("\"FAR_ACCESS\"", "\"FAR_2\"", SPIN, "origins[0].secret_headers.CF-Access-Client-Secret", "`KEY2`"),
        ("\"APP_SHA256\"", "\"APP__SHA256\"", SPIN, "keys[0].sha256_secret", "single `_`"),
        ("\"APP_SHA256\"", "\"APP_SHA256_\"", SPIN, "keys[0].sha256_secret", "at either end"),
        ("\"ADMIN_SHA256\"", "\"_ADMIN_SHA256\"", SPIN, "admin.sha256_secret", "at either end"),
        ("api.example.com", "self", SPIN, "origins[0].url", "the application itself"),
        ("api.example.com", "self.alt:8443", SPIN, "origins[0].url", "the application itself"),
        ("api.example.com", "other.spin.internal", SPIN, "origins[0].url", "the application itself"),
        (
            "CF-Access-Client-Secret",
            "Proxy-Authorization",
            SPIN,
            "origins[0].secret_headers.Proxy-Authorization",
            "another header",
        ),
        ("\"key-value\"", "\"database\"", HOSTED, "ledger.store", "`store = \"key-value\"`"),
        ("max_body_mib = 10", "max_body_mib = 11", HOSTED, "gateway.max_body_mib", "`max_body_mib = 10`"),
        ("max_body_mib = 10", "", HOSTED, "gateway.max_body_mib", "is 32"),
        (
            "first_byte_timeout_s = 29",
            "first_byte_timeout_s = 30",
            HOSTED,
            "origins[0].first_byte_timeout_s",
            "less than 30",
        ),
        ("first_byte_timeout_s = 29", "", HOSTED, "origins[0].first_byte_timeout_s", "is 240"),
        ("seconds = 29", "seconds = 30", HOSTED, "routes[0].budget.seconds", "less than 30"),
        ("budget = { seconds = 29 }", "", HOSTED, "routes[0].budget.seconds", "is 600"),
        ("https://api.example.com", "http://127.0.0.1:1", HOSTED, "origins[0].url", "cannot reach"),
        ("https://api.example.com", "http://localhost:1", HOSTED, "origins[0].url", "cannot reach"),
    ];
    for (from, to, refusing, path, message) in table {
        assert!(GOOD.contains(from), "{from}");
        let text = GOOD.replacen(from, to, 1);
        assert!(authoring::parse(&text).is_ok(), "{to}: must hold by the rules for all");
        for platform in ALL {
            let problems = authoring::parse_for(&text, Some(platform)).err().unwrap_or_default();
            let found = problems.iter().any(|p| p.path == *path && p.message.contains(message));
            assert_eq!(found, refusing.contains(&platform), "{from} -> {to}, {platform}: {problems:?}");
            assert_eq!(problems.len(), usize::from(found), "{from} -> {to}, {platform}: {problems:?}");
        }
    }
}

/// Spin's variables are in small letters: two secrets would be one if a name could be written both ways.
#[test]
fn a_secret_has_one_spelling_on_every_platform() {
    let text = GOOD.replace("\"APP_SHA256\"", "\"admin_sha256\"");
    let problems = authoring::parse(&text).unwrap_err();
    assert!(problems.iter().any(|p| p.path == "keys[0].sha256_secret" && p.message.contains("capitals")));
}

#[test]
fn a_platform_s_problems_are_told_with_all_the_others() {
    let text = GOOD.replace("\"FAR_KEY\"", "\"FAR_2\"").replace("origin = \"far\"", "origin = \"near\"");
    let problems = authoring::parse_for(&text, Some(Platform::Spin)).unwrap_err();
    let paths: Vec<_> = problems.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(paths, ["routes[0].origin", "origins[0].secret"]);
}

#[test]
fn platforms_have_names() {
    for (name, platform) in
        [("workers", Platform::Workers), ("spin", Platform::Spin), ("spin-hosted", Platform::SpinHosted)]
    {
        assert_eq!(name.parse(), Ok(platform));
        assert_eq!(platform.to_string(), name);
    }
    let error = "fastly".parse::<Platform>().unwrap_err();
    assert!(error.ends_with("workers, spin, spin-hosted"), "{error}");
}
