//! Starting and ending: the manifest, the variables, signals.

use crate::process::{Host, application, command, refused, text_of};

#[test]
fn a_signal_ends_it_cleanly() {
    let host = Host::start(&[]);
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
fn variables_come_from_the_environment_a_file_and_the_file_beside_the_manifest() {
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
    assert_eq!(host.text("/.well-known/spin/health"), (200, "OK".to_owned()));
}
