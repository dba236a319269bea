//! With stand-ins for wrangler, spin and curl that write down how they were called.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;

const CONFIG: &str = r#"
[[origins]]
name = "own"
kind = "moegate"
url = "https://gpu.example/v1"
secret = "OWN_KEY"
secret_headers = { CF-Access-Client-Id = "ACCESS_ID", CF-Access-Client-Secret = "ACCESS_SECRET" }
models = [{ name = "m", input = "1", output = "1" }]

[[routes]]
model = "m"
origin = "own"

[[keys]]
name = "app"
sha256_secret = "APP_SHA256"

[admin]
sha256_secret = "ADMIN_SHA256"
"#;

/// A folder with a configuration, and the stand-ins' folder in it.
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Place {
    fn new(name: &str, config: &str) -> Self {
        let root = std::env::temp_dir().join(format!("moegate-deploy-{}-{name}", std::process::id()));
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::write(root.join("moegate.toml"), config).unwrap();
        fs::write(root.join("wrangler.toml"), include_str!("../../../wrangler.toml")).unwrap();
        let parsed = authoring::parse_for(CONFIG, Some(Platform::Spin)).unwrap();
        fs::write(root.join("spin.toml"), manifest::manifest(&parsed, "build/spin/moegate.wasm")).unwrap();
        let place = Self(root);
        place.program(
            "wrangler",
            r#"case "$1 $2" in "secret list") echo '[{"name":"ADMIN_SHA256","type":"secret_text"}]';;
deploy*) for last; do :; done; test -f "$last" && cp "$last" given.json && stat -c %a "$last" >> calls
echo "Deployed moegate triggers (1.0 sec)"; echo "  https://moegate.someone.workers.dev";; esac"#,
        );
        place.program("spin", "true");
        place.program("curl", r#"case "$*" in *health) printf 200;; *) printf 401;; esac"#);
        place
    }

    fn program(&self, name: &str, body: &str) {
        let file = self.0.join("bin").join(name);
        fs::write(&file, format!("#!/bin/sh\necho \"{name} $*\" >> calls\n{body}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }

    /// What was said, or why not, with these answers at the terminal.
    fn run(&self, options: &Options, answers: &[&str]) -> std::result::Result<String, String> {
        let tool = |name: &'static str| -> Box<dyn Fn() -> Command> {
            let file = self.0.join("bin").join(name);
            Box::new(move || Command::new(&file))
        };
        let tools = Tools { wrangler: tool("wrangler"), spin: tool("spin"), curl: tool("curl") };
        let mut said = Vec::new();
        let mut steps = Steps { root: &self.0, tools, dry_run: options.dry_run, said: &mut said };
        let mut answers = Answers(answers.iter().copied().map(str::to_owned).collect());
        run(&mut steps, options, &mut answers).map_err(|failure| failure.to_string())?;
        assert!(answers.0.is_empty(), "not asked for: {:?}", answers.0);
        Ok(String::from_utf8(said).unwrap())
    }
}

struct Answers(VecDeque<String>);

impl Asking for Answers {
    fn is_there(&self) -> bool {
        self.0.front().is_none_or(|answer| answer != "nobody")
    }

    fn ask(&mut self, question: &str) -> Result<String> {
        self.0.pop_front().ok_or_else(|| Failure::new(format!("asked: {question}")))
    }
}

fn is_clean(root: &Path) {
    assert!(!root.join(".moegate/deploy-secrets.json").exists(), "the secrets lie about");
}

#[test]
fn a_dry_run_says_each_step_and_does_nothing() {
    let place = Place::new("dry", CONFIG);
    let said = place.run(&Options { dry_run: true, ..Options::default() }, &[]).unwrap();
    let parts = [
        "would check moegate.toml",
        "would check wrangler.toml: KV namespace USAGE, Durable Object LEDGER",
        "wrangler whoami",
        "wrangler secret list --format json",
        "would ask for the secret ACCESS_ID",
        "would make the admin key and set the secret ADMIN_SHA256",
        "would make the client key app and set the secret APP_SHA256",
        "would ask for the secret OWN_KEY",
        "deploy: wrangler deploy",
        "would ask GET /health for 200",
    ];
    let mut rest = &said[..];
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("no {part:?}, or not in its place, in {said}"));
        rest = &rest[at..];
    }
    assert_eq!(place.read("calls"), "");
    is_clean(&place.0);
}

#[test]
fn missing_secrets_are_asked_for_or_made_and_go_with_the_version() {
    let place = Place::new("workers", CONFIG);
    let said = place.run(&Options::default(), &["the-id", "the-secret", "the-key"]).unwrap();
    let calls = place.read("calls");
    let lines: Vec<_> = calls.lines().collect();
    assert_eq!(lines[..2], ["wrangler whoami", "wrangler secret list --format json"]);
    assert!(lines[2].starts_with("wrangler deploy --secrets-file "), "{calls}");
    assert_eq!(lines[3], "600");
    assert!(lines[4].ends_with("https://moegate.someone.workers.dev/health"), "{calls}");
    assert!(lines[5].ends_with("https://moegate.someone.workers.dev/v1/models"), "{calls}");
    let given: serde_json::Value = serde_json::from_str(&place.read("given.json")).unwrap();
    assert_eq!((&given["ACCESS_ID"], &given["OWN_KEY"]), (&"the-id".into(), &"the-key".into()));
    assert!(given.get("ADMIN_SHA256").is_none(), "it is set already");
    let key = said.split_once("shown this once: ").unwrap().1.lines().next().unwrap();
    assert_eq!(given["APP_SHA256"], moegate_config::key::hash(key));
    for secret in ["the-id", "the-secret", "the-key"] {
        assert!(!said.contains(secret) && !calls.contains(secret), "{secret} is shown");
    }
    assert!(said.ends_with("it serves: https://moegate.someone.workers.dev/v1, with a model such as `m`\n"));
    is_clean(&place.0);
}

#[test]
fn a_branch_has_a_worker_of_its_own() {
    let place = Place::new("preview", CONFIG);
    place.program(
        "wrangler",
        r#"case "$1" in secret) exit 1;; deploy) echo "https://moegate-feat-a-b.x.workers.dev";; esac"#,
    );
    let options = Options { preview: Some("Feat/a_b--".into()), ..Options::default() };
    let said = place.run(&options, &["i", "s", "k"]).unwrap();
    assert_eq!(said.matches("shown this once").count(), 2, "keys of its own: {said}");
    let calls = place.read("calls");
    assert_eq!(calls.matches("--name moegate-feat-a-b").count(), 2, "{calls}");
    // In a build: nothing is printed, and the keys are those of the seed's holder.
    let (seed, file) = (place.0.join("seed"), place.0.join("keys.env"));
    fs::write(&file, "OWN_KEY=k\nACCESS_ID=i\nACCESS_SECRET=s\n").unwrap();
    fs::write(&seed, "0123456789abcdef0123456789abcdef\n").unwrap();
    place.program("wrangler", r#"case "$1" in secret) exit 1;; deploy) for last; do :; done; cp "$last" given.json; echo "https://m.x.workers.dev";; esac"#);
    let options = Options { seed: Some(seed.clone()), secrets: Some(file), ..options };
    let said = place.run(&options, &[]).unwrap();
    let given: serde_json::Value = serde_json::from_str(&place.read("given.json")).unwrap();
    // openssl dgst -sha256 -hmac
    let key = "mg-99f983e47ef06a39eecf9ac26437151aedf84765552a02710c810b50ae1b4071";
    assert_eq!(given["APP_SHA256"], moegate_config::key::hash(key));
    assert!(given["ADMIN_SHA256"] != given["APP_SHA256"] && !said.contains(key));
    fs::write(&seed, "short").unwrap();
    assert!(place.run(&options, &[]).unwrap_err().contains("32 characters"));
    let without = Options { seed: None, ..options };
    let error = place.run(&without, &["nobody"]).unwrap_err();
    assert!(error.contains("others may read it"), "{error}");
    let remove = Options { remove_preview: Some("Feat/a_b--".into()), ..Options::default() };
    place.run(&remove, &[]).unwrap();
    assert!(place.read("calls").ends_with("wrangler delete --force --name moegate-feat-a-b\n"));
    assert!(preview_name("--").is_err());
    assert_eq!(preview_name(&"x".repeat(99)).unwrap().len(), 54);
}

#[test]
fn what_goes_wrong_is_named() {
    let local = CONFIG.replace("https://gpu.example", "http://127.0.0.1:1");
    let error = Place::new("local", &local).run(&Options::default(), &[]).unwrap_err();
    assert!(error.contains("edge does not reach"), "{error}");
    let place = Place::new("wrong", CONFIG);
    let error = place.run(&Options::default(), &[""]).unwrap_err();
    assert!(error.contains("ACCESS_ID has no value") && error.contains("nothing was deployed"), "{error}");
    assert!(!place.read("calls").contains("deploy"));
    place.program("curl", "printf 530");
    let error = place.run(&Options::default(), &["i", "s", "k"]).unwrap_err();
    assert!(error.contains("/health gave 530, not 200"), "{error}");
    is_clean(&place.0);
    place.program("wrangler", "exit 1");
    let error = place.run(&Options::default(), &[]).unwrap_err();
    assert!(error.contains("wrangler login"), "{error}");
    fs::write(place.0.join("wrangler.toml"), "name = \"moegate\"").unwrap();
    let error = place.run(&Options::default(), &[]).unwrap_err();
    assert!(error.contains("binding USAGE"), "{error}");
}

#[test]
fn spin_is_built_and_pushed() {
    let place = Place::new("spin", CONFIG);
    let file = place.0.join("keys.env");
    fs::write(&file, "OWN_KEY=k\nACCESS_ID=i\nACCESS_SECRET=s\n").unwrap();
    let options = Options {
        host: Host::Spin,
        registry: Some("registry.example/me/moegate:1".into()),
        secrets: Some(file),
        url: Some("http://127.0.0.1:3000".into()),
        ..Options::default()
    };
    assert_eq!(options.problem(), None);
    let said = place.run(&options, &[]).unwrap();
    let calls = place.read("calls");
    assert!(
        calls.starts_with("spin build\nspin registry push registry.example/me/moegate:1\ncurl "),
        "{calls}"
    );
    assert!(said.contains("spin up --from registry.example/me/moegate:1"), "{said}");
    let variables = place.read("build/spin/variables.env");
    assert!(
        variables.contains("SPIN_VARIABLE_OWN_KEY=k\n") && variables.contains("SPIN_VARIABLE_APP_SHA256=")
    );
    let mode = fs::metadata(place.0.join("build/spin/variables.env")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    fs::write(place.0.join("spin.toml"), "spin_manifest_version = 2").unwrap();
    let error = place.run(&options, &[]).unwrap_err();
    assert!(error.contains("spin.toml"), "{error}");
    assert!(Options { host: Host::Spin, ..Options::default() }.problem().is_some());
}
