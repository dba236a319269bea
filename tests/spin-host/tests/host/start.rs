//! Starting and ending: the manifest, the variables, signals.

use crate::process::{Host, application, command, refused, text_of};

#[test]
fn a_signal_ends_it_cleanly() {
    let mut host = Host::start(&[]);
    assert_eq!(host.text("/count"), (200, "1".to_owned()));
    assert_eq!(host.terminate(), Some(0));
}

#[test]
fn a_missing_required_variable_stops_the_start_with_a_sentence() {
    let folder = application();
    let output = refused(command(folder.path()));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text_of(&output.stdout[..]), "");
    let said = text_of(&output.stderr[..]);
    assert_eq!(said, "spin-host: no provider resolved required variable(s): required\n");
}

#[test]
fn variables_come_from_the_environment_a_file_and_the_dotenv_of_the_working_directory() {
    let folder = application();
    let mut with_environment = command(folder.path());
    with_environment.env("SPIN_VARIABLE_REQUIRED", "");
    let host = Host::run(with_environment, folder);
    assert_eq!(host.text("/variable/required"), (200, "<>".to_owned()));
    assert_eq!(host.text("/variable/origin").0, 500);

    let folder = application();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "value\n").unwrap();
    let mut with_file = command(folder.path());
    with_file.args(["--variable", &format!("required=@{}", secret.display())]);
    let host = Host::run(with_file, folder);
    assert_eq!(host.text("/variable/required"), (200, "<value\n>".to_owned()));

    let folder = application();
    std::fs::write(folder.path().join(".env"), "SPIN_VARIABLE_REQUIRED=dotted\n").unwrap();
    let host = Host::run(command(folder.path()), folder);
    assert_eq!(host.text("/variable/required"), (200, "<dotted>".to_owned()));

    // Beside the manifest it is not looked for.
    let (folder, elsewhere) = (application(), tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join(".env"), "SPIN_VARIABLE_REQUIRED=dotted\n").unwrap();
    let mut from_elsewhere = command(folder.path());
    from_elsewhere.current_dir(elsewhere.path());
    assert_eq!(refused(from_elsewhere).status.code(), Some(1));
}

#[test]
fn what_the_manifest_does_not_grant_shows_only_at_the_call() {
    let folder = application();
    let manifest = folder.path().join("spin.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let lines = text.lines().filter(|line| !line.contains("key_value_stores") && !line.contains("<{{"));
    let less: Vec<_> = lines.collect();
    assert_eq!(less.len(), text.lines().count() - 2);
    std::fs::write(&manifest, less.join("\n")).unwrap();
    let mut command = command(folder.path());
    command.args(["--variable", "required=value"]);
    let host = Host::run(command, folder);
    assert_eq!(host.text("/count"), (200, "1".to_owned()));
    assert_eq!(host.text("/kv/get/key"), (500, "Error::AccessDenied".to_owned()));
    let (status, error) = host.text("/variable/required");
    assert!(status == 500 && error.starts_with("Error::Undefined("), "{status} {error}");
}

#[test]
fn well_known_paths_are_the_runtimes_own() {
    let host = Host::start(&[]);
    assert_eq!(host.text("/.well-known/spin/health"), (200, "OK".to_owned()));
    let info = host.get("/.well-known/spin/info");
    assert_eq!((info.status, info.header("content-type")), (200, Some("application/json")));
    assert_eq!(info.text(), "{\n  \"name\": \"guest\",\n  \"version\": \"0.1.0\"\n}");
    assert_eq!(host.text("/.well-known/spin/other"), (404, String::new()));
}

#[test]
fn a_component_has_nothing_but_what_the_manifest_gives() {
    let folder = application();
    let mut command = command(folder.path());
    command.args(["--variable", "required=value"]).env("SECRET", "of the host");
    let host = Host::run(command, folder);
    assert_eq!(host.text("/environment"), (200, String::new()));
    assert_eq!(host.text("/files"), (200, "none".to_owned()));
    assert_eq!(host.text("/panic").0, 500);
    // Its standard error is the host's.
    host.wait_until_said("asked to");
}

#[test]
fn faults_come_and_go_by_lines_on_standard_input() {
    let mut host = Host::start(&["--variables-fail", "1"]);
    let failed = (500, "Error::Provider(\"injected provider failure\")".to_owned());
    let there = (200, "<value>".to_owned());
    assert_eq!(host.text("/variable/required"), failed);
    assert_eq!(host.text("/variable/required"), there);
    assert_eq!(host.told("variables-fail all"), "ok");
    assert_eq!([host.text("/variable/required"), host.text("/variable/required")], [failed.clone(), failed]);
    // No provider is asked for what no one declared.
    assert!(host.text("/variable/origin").1.starts_with("Error::Undefined("));
    assert_eq!(host.told("variables-fail 0"), "ok");
    assert_eq!(host.text("/variable/required"), there);
    assert_eq!(host.told("kv-fail-opens 1"), "ok");
    assert_eq!(host.text("/kv/get/key").0, 500);
    assert_eq!(host.text("/kv/get/key"), (200, "none".to_owned()));
    assert!(host.told("variables-fail some").starts_with("error: "));
    host.close_input();
    assert_eq!(host.text("/variable/required"), there);
}

#[test]
fn requests_carry_what_the_runtime_adds() {
    let host = Host::start(&[]);
    let (status, headers) = host.text("/headers");
    assert_eq!(status, 200);
    let address = host.address;
    for wanted in [
        format!("host: {address}\n"),
        format!("spin-full-url: http://{address}/headers\n"),
        "spin-path-info: /headers\n".to_owned(),
        "spin-matched-route: /...\n".to_owned(),
        "spin-component-route: /\n".to_owned(),
        "spin-client-addr: 127.0.0.1:".to_owned(),
    ] {
        assert!(headers.contains(&wanted), "{wanted:?} in {headers}");
    }
    assert!(!headers.contains("connection:"), "{headers}");
}
