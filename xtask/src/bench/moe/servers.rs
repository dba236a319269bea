//! The two servers as processes: from their start to the first token, and the memory that they hold.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::bed::Bed;
use super::duel::{Better, Side, Title, duel};
use super::models::{LLAMA4, Mix};
use super::talk::Talker;
use crate::bench::rows::{Row, Target};
use crate::failure::{At, Failure, Result};
use crate::process::{Running, Show, check_interrupted};

const HOST: &str = "Llama-4-like Q4_K_M";
const START: &str = "process start to first token, 8-token prompt";
const WAKE: &str = "wake to first token, less a decode step, to 100 ms";
const MEMORY: &str = "memory after 512 tokens, context of 4,096";
const CONTEXT: &str = "4096";
/// How long a server may take until it answers.
const LIMIT: Duration = Duration::from_secs(120);

/// A server that is not started yet.
struct Server {
    command: Command,
    port: u16,
    /// Where a prompt of tokens is completed, and what the body calls the most tokens wanted.
    path: &'static str,
    most: &'static str,
}

/// # Errors
/// A server does not start or does not answer.
pub(super) fn rows(bed: &mut Bed<'_>, wanted: &dyn Fn(&str, &str) -> bool) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    if ![START, WAKE, MEMORY].iter().any(|what| wanted(HOST, what)) {
        return Ok(rows);
    }
    let file = LLAMA4.file(bed.setup, Mix::Q4_K_M)?;
    let packed = bed.packed(&file)?;
    let tokens = fs::read_to_string(&bed.tokens).at("read", &bed.tokens)?;
    let tokens: Vec<&str> = tokens.lines().collect();
    let launch = Launch {
        server: bed.timed(&bed.server),
        peer: bed.timed(bed.peer.program("llama-server")),
        threads: bed.threads,
    };
    let ours = |run: fn(Server, &[&str]) -> Result<f64>, count: usize| {
        let (launch, packed, tokens) = (&launch, &packed, &tokens);
        Side { name: "moe-server", run: Box::new(move || run(launch.ours(packed)?, &tokens[..count])) }
    };
    let peers = |run: fn(Server, &[&str]) -> Result<f64>, count: usize| {
        let (launch, file, tokens) = (&launch, &file, &tokens);
        [("llama-server", "off"), ("llama-server, flash attention", "on")]
            .map(|(name, flash)| Side {
                name,
                run: Box::new(move || run(launch.peer(file, flash)?, &tokens[..count])),
            })
            .into()
    };
    if wanted(HOST, START) {
        let title = Title {
            host: HOST,
            what: START,
            unit: "ms",
            target: Some(Target::AtMost(0.2)),
            better: Better::Less,
        };
        let step = decode_step(bed, &packed)?;
        let mut own = Vec::new();
        let mut measured = ours(first_token, 8);
        let side = Side {
            name: measured.name,
            run: Box::new(|| {
                let value = (measured.run)()?;
                own.push(value);
                Ok(value)
            }),
        };
        rows.extend(duel(bed, title, side, peers(first_token, 8))?);
        // The first one was to warm up.
        let own: Vec<f64> = own[1..].iter().map(|value| value - step).collect();
        let allowed = vec![100.0; own.len()];
        let what = "process start to first token, less a decode step, to 100 ms";
        rows.push(Row::compared((HOST, what), "moe-server", "ms", &own, &allowed, Some(Target::AtMost(1.0))));
    }
    if wanted(HOST, WAKE) {
        /// The first one is to warm up.
        const ROUNDS: usize = 6;
        let step = decode_step(bed, &packed)?;
        let server = launch.ours(&packed)?;
        let own = woken(server, &tokens[..8], ROUNDS)?.into_iter().skip(1).map(|value| value - step);
        let own: Vec<f64> = own.collect();
        let allowed = vec![100.0; own.len()];
        rows.push(Row::compared((HOST, WAKE), "moe-server", "ms", &own, &allowed, Some(Target::AtMost(1.0))));
    }
    if wanted(HOST, MEMORY) {
        let title = Title {
            host: HOST,
            what: MEMORY,
            unit: "MiB",
            target: Some(Target::AtMost(1.0)),
            better: Better::Less,
        };
        rows.extend(duel(bed, title, ours(memory, 512), peers(memory, 512))?);
    }
    Ok(rows)
}

/// Milliseconds of one step of one sequence.
fn decode_step(bed: &Bed<'_>, packed: &Path) -> Result<f64> {
    let mut command = bed.timed(&bed.server);
    command.arg("bench").arg(packed).args(["--stdin", "--threads", &bed.threads.to_string()]);
    let mut bench = Talker::start("moe-server bench", command)?;
    let seconds = bench.numbers("decode 8 1 16", "seconds")?;
    Ok(seconds.into_iter().fold(f64::INFINITY, f64::min) / 16.0 * 1e3)
}

struct Launch {
    server: Command,
    peer: Command,
    threads: usize,
}

impl Launch {
    fn ours(&self, packed: &Path) -> Result<Server> {
        let port = free_port()?;
        let mut command = again(&self.server);
        command.arg("serve").arg(packed).args(["--no-auth", "--alias", "bench", "--context", CONTEXT]);
        command.args(["--port", &port.to_string(), "--threads", &self.threads.to_string()]);
        Ok(Server { command, port, path: "/v1/completions", most: "max_tokens" })
    }

    fn peer(&self, file: &Path, flash: &str) -> Result<Server> {
        let port = free_port()?;
        let mut command = again(&self.peer);
        command.arg("--model").arg(file).args(["--no-warmup", "--no-repack", "--ctx-size", CONTEXT]);
        command.args(["--parallel", "1", "--host", "127.0.0.1", "--flash-attn", flash]);
        command.args(["--port", &port.to_string(), "--threads", &self.threads.to_string()]);
        Ok(Server { command, port, path: "/completion", most: "n_predict" })
    }
}

fn again(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args());
    copy
}

fn free_port() -> Result<u16> {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|error| Failure::new(format!("no free port: {error}")))
}

/// Milliseconds from the start of the process to its answer of one token.
fn first_token(server: Server, prompt: &[&str]) -> Result<f64> {
    let begun = Instant::now();
    let _running = server.answer(prompt, 1)?;
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}

/// Milliseconds from each wake to an answer of one token, of a server that sleeps in between.
fn woken(server: Server, prompt: &[&str], rounds: usize) -> Result<Vec<f64>> {
    let port = server.port;
    let request = server.request(prompt, 1);
    let mut running = server.answer(prompt, 1)?;
    let told = |path: &str| {
        let head = "HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 0\r\n";
        ask(port, &format!("POST {path} {head}connection: close\r\n\r\n"))
    };
    let mut until = |what: &str, so: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !so() {
            check_interrupted()?;
            running.must_run()?;
            if begun.elapsed() > LIMIT {
                return Err(Failure::new(format!("the server was not {what} after {} s", LIMIT.as_secs())));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    };
    let is_ok = |answer: Option<String>| answer.is_some_and(|answer| answer.starts_with("HTTP/1.1 200"));
    let mut values = Vec::new();
    for _ in 0..rounds {
        // 202 until it sleeps.
        until("asleep", &|| is_ok(told("/sleep")))?;
        let begun = Instant::now();
        told("/wake");
        until("awake", &|| is_ok(ask(port, &request)))?;
        values.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(values)
}

/// MiB that are the process's own once it has answered.
fn memory(server: Server, prompt: &[&str]) -> Result<f64> {
    let running = server.answer(prompt, 8)?;
    let path = format!("/proc/{}/smaps_rollup", running.id());
    let path = Path::new(&path);
    let text = fs::read_to_string(path).at("read", path)?;
    let kibibytes =
        own_memory(&text).ok_or_else(|| Failure::new(format!("{} names no memory", path.display())))?;
    Ok(kibibytes / 1024.0)
}

/// Anonymous memory is private and dirty as a rule; what a mapped file was written to is private and dirty as well.
fn own_memory(rollup: &str) -> Option<f64> {
    let field = |name: &str| -> Option<f64> {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    Some(field("Anonymous:")?.max(field("Private_Dirty:")?))
}

impl Server {
    fn request(&self, prompt: &[&str], most: usize) -> String {
        let body = format!(
            r#"{{"model":"bench","prompt":[{}],"{}":{most},"temperature":0,"stream":false}}"#,
            prompt.join(","),
            self.most
        );
        format!(
            "POST {} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{body}",
            self.path,
            body.len()
        )
    }

    /// Starts it and sends the prompt as soon as it takes one; returns when it has answered.
    fn answer(self, prompt: &[&str], most: usize) -> Result<Running> {
        let request = self.request(prompt, most);
        let begun = Instant::now();
        let mut pause = Duration::from_millis(1);
        let mut running = Running::start("server", self.command, Show::Nothing)?;
        loop {
            match ask(self.port, &request) {
                Some(answer) if answer.starts_with("HTTP/1.1 200") => return Ok(running),
                None => {}
                // It listens before it has loaded its model, on these cores: not to be disturbed too often.
                Some(answer) if answer.starts_with("HTTP/1.1 503") => pause = Duration::from_millis(10),
                Some(answer) => {
                    let lines = answer.lines().map(str::to_owned).collect();
                    return Err(Failure::new("the server refuses the bench's request").output(lines));
                }
            }
            check_interrupted()?;
            running.must_run()?;
            if begun.elapsed() > LIMIT {
                let why = format!("no answer after {} s", LIMIT.as_secs());
                return Err(Failure::new(why).output(running.tail.lines()));
            }
            std::thread::sleep(pause);
        }
    }
}

/// The answer to a request, if somebody is there who answers.
fn ask(port: u16, request: &str) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(LIMIT)).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    (!answer.is_empty()).then(|| String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_memory_is_read_from_the_kernels_text() {
        let text = "00400000-7fff [rollup]\nRss:  9 kB\nPrivate_Dirty:       30 kB\nAnonymous:   20 kB\n";
        assert_eq!(own_memory(text), Some(30.0));
        assert_eq!(own_memory("Rss: 9 kB\n"), None);
    }
}
