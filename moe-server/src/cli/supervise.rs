//! `moe-server supervise`.

use super::args::{self, Command, UsageError};
use super::key::{VARIABLE, auth};
use super::serve::{BACKLOG, reserve, signals, taken};
use super::values::{number, window};
use lexopt::{Arg, Parser, ValueExt};
use moe_server::sleep::Rules;
use moe_server::supervise;
use std::ffi::OsString;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime::Builder;

pub(crate) const HELP: &str = "\
Starts and stops a server as it is needed, so that a machine holds nothing of a server that sleeps.

usage: moe-server supervise [options] -- MODEL.gguf [options of serve]

It listens on the public address and passes requests on to the server, which it starts at POST /wake and stops at POST
/sleep or when it is idle. It answers /health, /ready, /wake, /sleep and /lease by itself, with the server's key. A server
that ends by itself is started again at the next wake only, and after failures not before a pause of 1 to 60 seconds.

  --listen ADDRESS:PORT  where to listen; port 0 picks a free one (127.0.0.1:8788)
  --idle N               seconds with nothing to do and without a lease after which the server is stopped; off without it.
                         POST requests count, others do not
  --keep-warm WINDOW     when it is not, in UTC, such as \"Mon-Fri 08:00-18:00\"; it is started at the beginning; may be
                         repeated
  --wake-on-request      a POST request with the key starts the server and waits; else it is refused with 503 `asleep`
  --grace N              seconds that the server may take to end before it is killed (10)
  --json                 print the address as one line of JSON
  --help

Of the server's options, --host, --port and --json are set here, and those about sleeping are not for it.
";

/// The options of `supervise`; see [`HELP`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    listen: SocketAddr,
    rules: Rules,
    grace: Duration,
    json: bool,
    api_key_file: Option<PathBuf>,
    no_auth: bool,
    /// From `serve` on.
    arguments: Vec<OsString>,
}

/// Reads the arguments behind `supervise`; none where its help is asked for.
///
/// # Errors
/// [`UsageError`].
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Options>, UsageError> {
    let fail = |why: &str| Err(UsageError(why.to_owned()));
    let mut own: Vec<OsString> = arguments.into_iter().collect();
    let server = own.iter().position(|word| word == "--").map(|index| own.split_off(index));
    let mut listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 8788));
    let (mut rules, mut grace, mut json) = (Rules::default(), 10, false);
    let mut parser = Parser::from_args(own);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("listen") => {
                let text = parser.value()?.string()?;
                listen = text.parse().map_err(|_| {
                    UsageError(format!(
                        "--listen {text}: give an IP address and a port, such as 127.0.0.1:8788"
                    ))
                })?;
            }
            Arg::Long("idle") => {
                rules.sleep_after = Some(Duration::from_secs(number(&mut parser, "idle", 1)?));
            }
            Arg::Long("keep-warm") => rules.keep_warm.push(window(&parser.value()?.string()?)?),
            Arg::Long("wake-on-request") => rules.wake_on_request = true,
            Arg::Long("grace") => grace = number(&mut parser, "grace", 1)?,
            Arg::Long("json") => json = true,
            Arg::Value(word) => {
                return fail(&format!(
                    "put `--` before the model: supervise [options] -- {}",
                    word.display()
                ));
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let Some(server) = server else {
        return fail("`supervise` wants a model: supervise [options] -- MODEL.gguf [options of serve]");
    };
    let arguments: Vec<OsString> =
        std::iter::once("serve".into()).chain(server.into_iter().skip(1)).collect();
    // As the server will read them, so that a mistake is told at once.
    let Command::Serve(serve) = args::parse(arguments.clone())? else {
        return fail("behind `--`, give a model and options of serve");
    };
    if serve.sleep != Rules::default() {
        return fail(
            "--sleep-after, --keep-warm and --wake-on-request are not for the server: give --idle, --keep-warm and \
             --wake-on-request before `--`",
        );
    }
    if serve.no_auth && !listen.ip().is_loopback() {
        return fail("--no-auth is for loopback addresses only: give a key, or --listen on 127.0.0.1");
    }
    Ok(Some(Options {
        listen,
        rules,
        grace: Duration::from_secs(grace),
        json,
        api_key_file: serve.api_key_file,
        no_auth: serve.no_auth,
        arguments,
    }))
}

/// Supervises until a signal.
///
/// # Errors
/// What went wrong and what to do.
pub(super) fn supervise(options: &Options) -> Result<(), String> {
    let variable = std::env::var(VARIABLE).ok();
    let auth = auth(options.api_key_file.as_deref(), variable.as_deref(), options.no_auth)?;
    let program = std::env::current_exe().map_err(|error| format!("where this program is: {error}"))?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(4)
        .thread_name("supervise")
        .enable_all()
        .build()
        .map_err(|error| format!("no threads for HTTP: {error}"))?;
    let socket = reserve(options.listen).map_err(|error| taken(options.listen, &error))?;
    runtime.block_on(async {
        let stop = signals().map_err(|error| format!("no signals: {error}"))?;
        let listener = socket.listen(BACKLOG).map_err(|error| taken(options.listen, &error))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let url = format!("http://{address}");
        let line = if options.json {
            serde_json::json!({"url": url, "port": address.port()}).to_string()
        } else {
            format!("supervising on {url}")
        };
        let mut out = std::io::stdout();
        // Whoever started it may not care for its output.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        let options = supervise::Options {
            program,
            arguments: options.arguments.clone(),
            auth,
            rules: options.rules.clone(),
            grace: options.grace,
        };
        supervise::run(listener, options, stop).await;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Option<Options>, UsageError> {
        parse(text.split_whitespace().map(OsString::from))
    }

    #[test]
    fn options_of_both_are_told_apart() {
        let options =
            line("--listen [::1]:9 --idle 60 --wake-on-request --grace 3 --json -- m.gguf --api-key-file k");
        let expected = Options {
            listen: "[::1]:9".parse().unwrap(),
            rules: Rules {
                sleep_after: Some(Duration::from_secs(60)),
                wake_on_request: true,
                keep_warm: Vec::new(),
            },
            grace: Duration::from_secs(3),
            json: true,
            api_key_file: Some("k".into()),
            no_auth: false,
            arguments: ["serve", "m.gguf", "--api-key-file", "k"].map(OsString::from).into(),
        };
        assert_eq!(options, Ok(Some(expected)));
        assert_eq!(line("--help"), Ok(None));
        let usual = line("-- m").unwrap().unwrap();
        for part in [usual.listen.to_string(), usual.grace.as_secs().to_string()] {
            assert!(HELP.contains(&format!("({part})")), "{part}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("", "wants a model"),
            ("m.gguf", "put `--` before"),
            ("--", "a model"),
            ("-- m --prot 1", "--prot"),
            ("-- --help", "options of serve"),
            ("-- m --sleep-after 5", "give --idle"),
            ("--idle 0 -- m", "at least 1"),
            ("--listen 80 -- m", "an IP address and a port"),
            ("--keep-warm x -- m", "give days"),
            ("--listen 0.0.0.0:80 -- m --no-auth", "loopback"),
            ("--port 1 -- m", "--port"),
        ] {
            let error = line(text).unwrap_err();
            assert!(error.0.contains(part), "{text}: {error}");
        }
    }
}
