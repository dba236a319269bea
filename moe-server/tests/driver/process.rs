//! Processes of `moe-server` beside a card that is a stand-in.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use moe_cuda::{emulation, kv::KvType};
use serde_json::Value;
use tempfile::TempDir;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/tiny.gguf");

/// A card, and a folder for what belongs to it.
pub(crate) struct Card {
    /// Bytes.
    pub(crate) memory: u64,
    /// Of CUDA, as 12040 for 12.4.
    pub(crate) version: u32,
    /// What its kernels are for.
    pub(crate) head_dim: usize,
    pub(crate) kv_type: KvType,
    /// For its files.
    pub(crate) folder: TempDir,
}

impl Default for Card {
    fn default() -> Self {
        Self {
            memory: 1 << 30,
            version: 12_040,
            head_dim: 32,
            kv_type: KvType::F16,
            folder: tempfile::tempdir().unwrap(),
        }
    }
}

/// What was done between the making and the end of a context.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) launches: u64,
    pub(crate) graphs: u64,
    /// The most bytes of memory at a time.
    pub(crate) peak: u64,
}

/// The driver's library for such heads, keys and values, built once.
fn driver(head_dim: usize, kv_type: KvType) -> PathBuf {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _alone = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let name = format!("driver-{}-{head_dim}-{kv_type}", std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let library = folder.join("libcuda.so.1");
    if library.exists() {
        return library;
    }
    fs::create_dir_all(&folder).unwrap();
    emulation::driver(&folder, head_dim, 2, kv_type)
}

impl Card {
    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The next launch fails: with `lost`, the context is of no use; with `gone`, the card is.
    pub(crate) fn fault(&self, what: &str) {
        // Whole at once: it is looked for all the time.
        fs::write(self.file("coming"), what).unwrap();
        fs::rename(self.file("coming"), self.file("fault")).unwrap();
    }

    /// Of all contexts that have ended.
    pub(crate) fn counts(&self) -> Vec<Counts> {
        let text = fs::read_to_string(self.file("counts")).unwrap_or_default();
        let counts = text.lines().map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |name| {
                let at = words.iter().position(|word| *word == name).unwrap();
                words[at + 1].parse().unwrap()
            };
            Counts { launches: number("launches"), graphs: number("graphs"), peak: number("peak") }
        });
        counts.collect()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.tool("serve");
        command.args(["--port", "0", "--json", "--threads", "1"]).args(arguments);
        command.args(["--kv-tokens", "4096", "--context", "1024"]);
        command
    }

    /// One of `moe-server`'s commands for the model, beside this card.
    pub(crate) fn tool(&self, name: &str) -> Command {
        let library = driver(self.head_dim, self.kv_type);
        let mut command = Command::new(env!("CARGO_BIN_EXE_moe-server"));
        command.args([name, MODEL]);
        command.env("MOE_API_KEY", "key").stdin(Stdio::null());
        command.env("LD_LIBRARY_PATH", library.parent().unwrap()).env("MOE_NVRTC", &library);
        command.env("XDG_CACHE_HOME", self.folder.path()).env_remove("MOE_KERNELS");
        command.env("MOE_STAND_IN_MEMORY", self.memory.to_string());
        command.env("MOE_STAND_IN_VERSION", self.version.to_string());
        command.env("MOE_STAND_IN_FAULT", self.file("fault")).env("MOE_STAND_IN_COUNTS", self.file("counts"));
        command
    }

    pub(crate) fn serve(&self, arguments: &[&str]) -> Served {
        let log = self.file("log");
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(fs::File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut served = Served { child, port: 0, log };
        let line: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}: {}", served.log()));
        served.port = u16::try_from(line["port"].as_u64().unwrap()).unwrap();
        served.until("GET /ready", |head, _| head.starts_with("HTTP/1.1 200"));
        served
    }
}

/// Runs a command that ends by itself: its exit code and what it said.
pub(crate) fn exited(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// A server, which ends with the test.
pub(crate) struct Served {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer on its way.
pub(crate) struct Stream(TcpStream);

impl Stream {
    /// What comes next; nothing is an end too early.
    pub(crate) fn more(&mut self) -> String {
        let mut bytes = [0; 4096];
        let count = self.0.read(&mut bytes).unwrap();
        assert!(count > 0, "the stream has ended");
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    pub(crate) fn rest(mut self) -> String {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        String::from_utf8_lossy(&rest).into_owned()
    }
}

impl Served {
    pub(crate) fn open(&self, what: &str, body: &str) -> Stream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let length = body.len();
        // HTTP/1.0: without chunks, so that lines are never cut.
        write!(
            stream,
            "{what} HTTP/1.0\r\nhost: x\r\nauthorization: Bearer key\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        Stream(stream)
    }

    /// Head and body of the answer.
    pub(crate) fn ask(&self, what: &str, body: &str) -> (String, String) {
        let answer = self.open(what, body).rest();
        let (head, body) =
            answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}: {}", self.log()));
        (head.replacen("HTTP/1.0", "HTTP/1.1", 1), body.to_owned())
    }

    /// The body of the answer to a chat.
    pub(crate) fn chat(&self, body: &str) -> String {
        let (head, body) = self.ask("POST /v1/chat/completions", body);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}: {body}: {}", self.log());
        body
    }

    /// Asks until head and body of the answer are such.
    pub(crate) fn until(&self, what: &str, so: impl Fn(&str, &str) -> bool) {
        for _ in 0..2_000 {
            let (head, body) = self.ask(what, "");
            if so(&head, &body) {
                return;
            }
            sleep(Duration::from_millis(10));
        }
        panic!("never at {what}: {}", self.log());
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// The exit code of a server that ends by itself.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Ends it as an operator does.
    pub(crate) fn stop(mut self) {
        let told = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(told.success());
        assert_eq!(self.wait(), Some(0), "{}", self.log());
    }
}
