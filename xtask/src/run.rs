//! `cargo xtask run`: the MoE server and the gateway, in workerd or under Spin, on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::build::{self, Host};
use crate::failure::{Failure, Result};
use crate::keys::Keys;
use crate::local::LocalOrigin;
use crate::net::{is_free, wait_for_200};
use crate::process::{Running, Show, run_attached, tick};
use crate::setup::{Node, Setup};
use crate::spin::Runtime;

#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) json: bool,
    pub(crate) port: Option<u16>,
    pub(crate) model: Option<PathBuf>,
    pub(crate) verbose: bool,
    pub(crate) host: Host,
}

/// What the repository's model says; a test of moe-server holds that it still does.
const DIALOGUE: &str = include_str!("../../moe-server/models/demo/dialogue.txt");
const FIRST_PORT: u16 = 8787;
/// A large model's file may have to be read from disk before its server is ready.
const SERVER_LIMIT: Duration = Duration::from_secs(300);
const GATEWAY_LIMIT: Duration = Duration::from_secs(60);

/// Starts both, says how to use them, and runs until a signal comes or one of them ends.
pub(crate) fn run(setup: &Setup, options: &Options) -> Result<()> {
    let origin = LocalOrigin::read(&setup.root.join("moegate.toml"))?;
    let model = options.model.clone().unwrap_or_else(|| setup.root.join("moe-server/models/demo.gguf"));
    if !model.is_file() {
        return Err(Failure::new(format!("there is no model at {}", model.display()))
            .remedy("name a GGUF file: cargo xtask run --model FILE"));
    }
    check_port(&origin)?;
    let port = gateway_port(options.port, origin.port)?;
    let host = match options.host {
        Host::Worker => {
            let node = setup.node()?;
            let out = setup.root.join("build/worker");
            Prepared::Workerd(node, build::worker(setup, &out, &build::Variant::default())?)
        }
        Host::Spin => {
            let runtime = Runtime::find(setup)?;
            build::spin(setup, &setup.root.join("build/spin"), &build::Variant::default())?;
            eprintln!("the component runs in {}", runtime.name());
            Prepared::Spin(runtime)
        }
    };
    let mut cargo = setup.cargo("build");
    cargo.args(["--release", "--package", "moe-server"]);
    run_attached("cargo build of moe-server", cargo)?;
    let keys = Keys::ensure(&setup.root, &origin.secret)?;
    let show = if options.verbose { Show::Stderr } else { Show::Nothing };

    // Building took its time: somebody may have taken the port meanwhile.
    check_port(&origin)?;
    let mut server = Running::start("moe-server", serve(setup, &origin, &keys, &model), show)?;
    wait_for_200(&mut server, origin.port, "/ready", SERVER_LIMIT)?;

    let mut gateway = match &host {
        Prepared::Workerd(node, entry) => {
            let mut command = node.script(&setup.root.join("xtask/node/gateway.mjs"));
            command.current_dir(&setup.root).arg("--vars").arg(&keys.vars);
            command.arg("--persist").arg(setup.root.join(".moegate/kv")).arg("--entry").arg(entry);
            command.args(["--port", &port.to_string()]);
            if options.verbose {
                command.arg("--verbose");
            }
            start_gateway(command, show, &mut server)?
        }
        Prepared::Spin(runtime) => {
            Running::start("the gateway (Spin)", runtime.serve(&setup.root, &keys.vars, port)?, show)?
        }
    };
    wait_for_200(&mut gateway, port, "/health", GATEWAY_LIMIT)?;

    let gateway_url = format!("http://127.0.0.1:{port}");
    if options.json {
        println!("{}", json_line(&gateway_url, &origin.url, &keys));
    } else {
        let dialogue = if options.model.is_none() { DIALOGUE } else { "" };
        println!("{}", instructions(&gateway_url, &origin, &keys, dialogue));
    }
    loop {
        server.must_run()?;
        gateway.must_run()?;
        tick()?;
    }
}

/// What a host needs to start the gateway.
enum Prepared {
    Workerd(Node, PathBuf),
    Spin(Runtime),
}

/// Fails if the port is taken on which the gateway expects the MoE server.
fn check_port(origin: &LocalOrigin) -> Result<()> {
    if is_free(origin.port) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "port {} is taken; the MoE server needs it, because moegate.toml gives its origin as {}",
        origin.port, origin.url
    ))
    .remedy(format!(
        "end what listens there (`ss -ltnp 'sport = :{}'` names it), or change that url in moegate.toml",
        origin.port
    )))
}

fn gateway_port(asked: Option<u16>, origin: u16) -> Result<u16> {
    match asked {
        Some(port) if port == origin => Err(Failure::new(format!("port {port} is the MoE server's"))
            .remedy("choose another one, or leave --port out")),
        Some(port) if is_free(port) => Ok(port),
        Some(port) => Err(Failure::new(format!("port {port} is taken"))
            .remedy("choose another one, or leave --port out for the next free one")),
        None => (FIRST_PORT..=FIRST_PORT + 100)
            .find(|&port| port != origin && is_free(port))
            .ok_or_else(|| Failure::new("no port is free from 8787 on").remedy("name one with --port")),
    }
}

fn serve(setup: &Setup, origin: &LocalOrigin, keys: &Keys, model: &Path) -> Command {
    let mut command = Command::new(setup.root.join("target/release/moe-server"));
    command.arg("serve").arg(model);
    command.args(["--host", "127.0.0.1", "--port", &origin.port.to_string()]);
    command.arg("--api-key-file").arg(&keys.origin_file).args(["--alias", &origin.alias]);
    command.current_dir(&setup.root);
    command
}

/// Starts the gateway and waits for its line that says it is ready.
fn start_gateway(command: Command, show: Show, server: &mut Running) -> Result<Running> {
    let (said, ready) = mpsc::channel();
    let on_line = move |line: &str| {
        if line.starts_with("{\"ready\":true") {
            // Nobody listens once the gateway is ready; a later line is of no interest.
            let _heard = said.send(());
        }
    };
    let mut gateway = Running::start_with("the gateway (workerd)", command, show, Box::new(on_line))?;
    let until = Instant::now() + GATEWAY_LIMIT;
    while ready.try_recv().is_err() {
        gateway.must_run()?;
        server.must_run()?;
        if Instant::now() > until {
            return Err(Failure::new(format!(
                "the gateway was not ready after {} s",
                GATEWAY_LIMIT.as_secs()
            ))
            .output(gateway.tail.lines()));
        }
        tick()?;
    }
    Ok(gateway)
}

fn json_line(gateway_url: &str, origin_url: &str, keys: &Keys) -> String {
    format!(
        "{{\"gateway_url\":\"{gateway_url}\",\"origin_url\":\"{}\",\"client_key\":\"{}\",\"admin_key\":\"{}\"}}",
        origin_url, keys.client, keys.admin
    )
}

fn instructions(gateway_url: &str, origin: &LocalOrigin, keys: &Keys, dialogue: &str) -> String {
    let (client, admin, model) = (&keys.client, &keys.admin, &origin.model);
    let dialogue: String = dialogue.lines().map(|line| format!("  {line}\n")).collect();
    let dialogue = if dialogue.is_empty() {
        dialogue
    } else {
        format!("\nIt is small and talks like this:\n\n{dialogue}")
    };
    format!(
        r#"
The gateway    {gateway_url}/v1
The MoE server {origin_url}

Ask it something:

  curl -N {gateway_url}/v1/chat/completions \
    -H 'authorization: Bearer {client}' -H 'content-type: application/json' \
    -d '{{"model":"{model}","stream":true,"temperature":0,"messages":[{{"role":"user","content":"What is moegate?"}}]}}'
{dialogue}
See what was used:

  curl {gateway_url}/usage -H 'authorization: Bearer {admin}'

From an app on the AI SDK (npm i ai @ai-sdk/openai-compatible):

  import {{ streamText }} from 'ai';
  import {{ createOpenAICompatible }} from '@ai-sdk/openai-compatible';

  const moegate = createOpenAICompatible({{
    name: 'moegate',
    baseURL: '{gateway_url}/v1',
    apiKey: '{client}',
  }});
  const result = streamText({{ model: moegate('{model}'), temperature: 0, prompt: 'What is moegate?' }});
  for await (const text of result.textStream) process.stdout.write(text);

Ctrl-C ends both."#,
        origin_url = origin.url,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_port_is_taken_as_it_is_and_never_the_servers() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let taken = listener.local_addr().unwrap().port();
        let text = gateway_port(Some(taken), 1).unwrap_err().to_string();
        assert!(text.contains(&format!("port {taken} is taken")), "{text}");
        let text = gateway_port(Some(8788), 8788).unwrap_err().to_string();
        assert!(text.contains("is the MoE server's"), "{text}");
        assert_ne!(gateway_port(None, FIRST_PORT).unwrap(), FIRST_PORT);
    }

    #[test]
    fn the_line_for_scripts_has_the_four_fields() {
        let keys = Keys {
            client: "c".to_owned(),
            admin: "a".to_owned(),
            vars: PathBuf::new(),
            origin_file: PathBuf::new(),
        };
        assert_eq!(
            json_line("http://g", "http://o/v1", &keys),
            r#"{"gateway_url":"http://g","origin_url":"http://o/v1","client_key":"c","admin_key":"a"}"#
        );
    }
}
