//! Receipts that go to the gateway by themselves: the command as a process of its own, which is killed and started again.

use crate::gateway::{Gateway, Say, certificate};
use moegate_wire::{Ending, Price, Rates, Receipt, Ticket};
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/tiny.gguf");

/// A machine by the hour, which is what own servers cost.
fn price() -> Price {
    Price { gpu_hour: 3_600_000_000_000, ..Price::from(Rates::of_tokens(1_000_000, 2_000_000)) }
}

/// A server whose outbox and log lie in a folder that outlives it.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(folder: &Path, url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_moe-server"));
    command.args(["serve", MODEL, "--port", "0", "--json", "--threads", "1", "--origin-name", "own"]);
    command.args(["--receipts-to", url, "--outbox"]).arg(folder.join("outbox"));
    command.env("MOE_API_KEY", "key").env("SSL_CERT_FILE", folder.join("trusted.pem")).stdin(Stdio::null());
    command
}

impl Server {
    fn start(folder: &Path, gateway: &Gateway) -> Self {
        Self::with(folder, &format!("http://{}/gw/", gateway.address))
    }

    fn with(folder: &Path, url: &str) -> Self {
        let log = OpenOptions::new().append(true).create(true).open(folder.join("log")).unwrap();
        let mut child = command(folder, url).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let line: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {}", log_of(folder)));
        Self { child, port: u16::try_from(line["port"].as_u64().unwrap()).unwrap() }
    }

    fn ask(&self, what: &str, head: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let length = body.len();
        write!(
            stream,
            "{what} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer key\r\nconnection: close\r\n{head}\
             content-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer
    }

    /// A request as the gateway sends it; when this returns, the whole answer is there.
    fn chat(&self, id: &str, stream: bool) {
        let issued_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let ticket = Ticket { request_id: id.to_owned(), issued_at, price: price(), share: String::new() }
            .encode(b"key");
        self.say(&format!("x-moegate-ticket: {ticket}\r\n"), stream);
    }

    fn say(&self, head: &str, stream: bool) -> String {
        let body = format!(
            r#"{{"model": "tiny", "messages": [{{"role": "user", "content": "Hi"}}], "max_tokens": 5, "stream": {stream}}}"#
        );
        self.ask("POST /v1/chat/completions", head, &body)
    }

    fn receipt(&self, id: &str) -> Receipt {
        let answer = self.ask(&format!("GET /v1/receipts/{id}"), "", "");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    fn stop(mut self) {
        let killed = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(killed.success());
        assert!(self.child.wait().unwrap().success(), "SIGTERM is an orderly end");
    }

    /// With SIGKILL.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn log_of(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap()
}

/// The outbox's newest file with something in it.
fn newest(folder: &Path) -> std::path::PathBuf {
    let files = fs::read_dir(folder.join("outbox")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.metadata().unwrap().len() > 0).max().unwrap()
}

#[test]
fn they_come_until_they_are_taken_and_the_busy_time_adds_up() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(Say::Refuse(500, "not now"));
    let server = Server::start(folder.path(), &gateway);
    server.chat("streamed", true);
    server.chat("whole", false);
    let own = server.say("", false);
    let own = own.lines().find_map(|line| line.strip_prefix("x-moegate-request-id: ")).unwrap().to_owned();
    gateway.until("two refusals", |gateway| gateway.asked() >= 2);
    // This time it has them, and the answer is lost.
    gateway.say(Say::TakeAndHangUp);
    for id in ["streamed", "whole"] {
        assert_eq!(gateway.receipt(id), server.receipt(id));
    }
    gateway.say(Say::Take);
    let twice =
        |gateway: &Gateway| gateway.receipts().iter().filter(|receipt| receipt.id == "whole").count() > 1;
    gateway.until("they come again", twice);
    let receipts = [server.receipt("streamed"), server.receipt("whole"), server.receipt(&own)];
    assert!(receipts.iter().all(|receipt| receipt.ending == Ending::Complete && receipt.busy_us > 0));
    for receipt in &receipts[..2] {
        // A thousand nano-dollars a micro-second, one a token of the prompt and two a token of the answer.
        assert_eq!(receipt.cost.0, 1_000 * receipt.busy_us + receipt.usage.prompt + 2 * 5);
    }
    let metrics = server.ask("GET /metrics", "", "");
    server.stop();

    assert!(gateway.receipts().iter().all(|receipt| receipt.id != own), "not the gateway's");
    let periods = gateway.periods();
    let busy: u64 = periods.iter().map(|period| period.busy_us).sum();
    assert_eq!(busy, receipts.iter().map(|receipt| receipt.busy_us).sum::<u64>());
    let shown = format!("time_seconds_total{{state=\"busy\"}} {}.{:06}", busy / 1_000_000, busy % 1_000_000);
    assert!(metrics.contains(&shown), "{shown}: {metrics}");
    assert!(
        periods.iter().any(|period| period.cold_us > 0) && periods.iter().any(|period| period.idle_us > 0)
    );
    let log = log_of(folder.path());
    assert_eq!(log.matches("receipts are not delivered: status 500, not now").count(), 1, "{log}");
    assert!(log.contains("receipts are delivered again"), "{log}");

    // All is acknowledged: the next server has nothing to say but what its own time went to.
    let before = gateway.receipts().len();
    let server = Server::start(folder.path(), &gateway);
    server.chat("later", false);
    gateway.receipt("later");
    server.stop();
    assert_eq!(gateway.receipts().len(), before + 1);
}

#[test]
fn a_killed_server_delivers_after_its_restart() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(Say::Refuse(503, "busy"));
    let server = Server::start(folder.path(), &gateway);
    for number in 0..3 {
        server.chat(&format!("r{number}"), number == 1);
    }
    // Right after the last byte of the last answer.
    server.kill();
    assert!(gateway.receipts().is_empty());
    let torn = newest(folder.path());
    OpenOptions::new().append(true).open(&torn).unwrap().write_all(b"0123456789abcdef {\"n\":9").unwrap();

    gateway.say(Say::Take);
    let server = Server::start(folder.path(), &gateway);
    let busy: u64 = (0..3).map(|number| gateway.receipt(&format!("r{number}")).busy_us).sum();
    server.stop();
    let log = log_of(folder.path());
    assert!(log.contains("is not whole and is left out"), "{log}");
    assert!(!torn.exists(), "what is delivered goes");
    // The hour of the one that was killed came with its receipts.
    let instances: Vec<u64> =
        gateway.periods().iter().map(|period| period.busy_us).filter(|us| *us > 0).collect();
    assert_eq!(instances.iter().sum::<u64>(), busy);
}

#[test]
fn a_refusal_is_said_once_and_tried_slowly_and_once_more_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(Say::Refuse(401, "no origin\nhas this name"));
    let server = Server::start(folder.path(), &gateway);
    server.chat("a", false);
    gateway.until("it was asked", |gateway| gateway.asked() == 1);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(gateway.asked(), 1);
    let log = log_of(folder.path());
    assert!(log.contains("the gateway refuses the receipts: status 401, no origin\\nhas this name"), "{log}");
    gateway.say(Say::Take);
    server.stop();
    assert_eq!((gateway.asked(), gateway.receipts().len()), (2, 1));
}

#[test]
fn a_gateway_that_does_not_answer_holds_no_shutdown_up() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(Say::Nothing);
    let server = Server::start(folder.path(), &gateway);
    server.chat("a", false);
    gateway.until("it was asked", |gateway| gateway.asked() == 1);
    let begun = Instant::now();
    server.stop();
    let took = begun.elapsed();
    assert!(took > Duration::from_secs(4) && took < Duration::from_secs(9), "{took:?}");
}

#[test]
fn a_gateway_that_is_not_there_yet() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    drop(taken);
    let server = Server::with(folder.path(), &format!("http://{address}/gw"));
    server.chat("early", false);
    while !log_of(folder.path()).contains("no connection to 127.0.0.1") {
        std::thread::sleep(Duration::from_millis(20));
    }
    let gateway = Gateway::on(&address, Say::Take, None);
    assert_eq!(gateway.receipt("early"), server.receipt("early"));
    server.stop();
}

#[test]
fn over_tls_only_to_whom_the_machine_trusts() {
    let folder = tempfile::tempdir().unwrap();
    let (config, pem) = certificate("localhost");
    let (foreign, _) = certificate("localhost");
    fs::write(folder.path().join("trusted.pem"), pem).unwrap();
    let url = |gateway: &Gateway| format!("https://localhost:{}/gw", gateway.address.port());
    let impostor = Gateway::on("127.0.0.1:0", Say::Take, Some(foreign));
    let server = Server::with(folder.path(), &url(&impostor));
    server.chat("a", false);
    while !log_of(folder.path()).contains("TLS with localhost") {
        std::thread::sleep(Duration::from_millis(20));
    }
    server.kill();
    assert_eq!(impostor.asked(), 0);
    let gateway = Gateway::on("127.0.0.1:0", Say::Take, Some(config));
    let server = Server::with(folder.path(), &url(&gateway));
    server.chat("b", true);
    assert_eq!(gateway.receipt("b"), server.receipt("b"));
    gateway.receipt("a");
    server.stop();
}

#[test]
fn says_why_it_cannot_push() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |url: &str, part: &str| {
        let output = command(folder.path(), url).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && stderr.contains(part), "{url}: {stderr}");
    };
    refused("http://gateway.example", "http is for loopback");
    let gateway = Gateway::start(Say::Take);
    let server = Server::start(folder.path(), &gateway);
    refused("http://127.0.0.1:1", "another moe-server uses this folder");
    server.stop();
    fs::remove_dir_all(folder.path().join("outbox")).unwrap();
    fs::write(folder.path().join("outbox"), "").unwrap();
    refused("http://127.0.0.1:1", "--outbox");
}
