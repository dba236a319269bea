//! `cargo xtask run`: the MoE server and the gateway, in workerd or under Spin, on this machine.

mod options;
mod own;
mod stand_in;
mod text;

use std::fs::{self, File};
use std::path::{Path, PathBuf, absolute};
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use moegate_config::authoring;

use crate::build::{self, Host};
use crate::failure::{At, Failure, Result};
use crate::keys::{self, Keys};
use crate::local::LocalOrigin;
use crate::lock;
use crate::net::{is_free, wait_for_200};
use crate::process::{Running, Show, run_attached, tick};
use crate::secrets::{self, Secrets};
use crate::setup::{Node, Setup};
use crate::spin::Runtime;
pub(crate) use options::{Demo, Options, WithMock};
use own::{Made, Own};
use stand_in::StandIn;

const FIRST_PORT: u16 = 8787;
/// A large model's file may have to be read from disk before its server is ready.
const SERVER_LIMIT: Duration = Duration::from_secs(300);
const GATEWAY_LIMIT: Duration = Duration::from_secs(60);

/// Starts what is asked for, says how to use it, and runs until a signal comes or one of the servers ends.
pub(crate) fn run(setup: &Setup, options: &Options) -> Result<()> {
    let demo = options.demo.map(|demo| setup.root.join(demo.config()));
    let config = demo.as_deref().or(options.config.as_deref());
    let own = config.map(|file| Own::read(file, options.host)).transpose()?;
    let given = options.secrets.as_deref().map(secrets::read).transpose()?.unwrap_or_default();
    let origin = match &own {
        None => Some(of_checkout(setup)?),
        Some(_) if options.no_server => None,
        Some(own) => Some(LocalOrigin::of(&own.config).map_err(|failure| {
            failure.remedy("add --no-server: the gateway then runs alone, under any configuration")
        })?),
    };
    let stand_in = StandIn::wanted(options, config.unwrap_or(&setup.root.join("moegate.toml")))?;
    let model = model(setup, options)?;
    if let Some(origin) = &origin {
        check_port(origin)?;
    }
    if let Some(stand_in) = &stand_in {
        stand_in.check_port()?;
    }
    let others = [origin.as_ref().map(|origin| origin.port), stand_in.as_ref().map(|one| one.port)];
    let port = gateway_port(options.port, &others)?;
    let prepared = {
        let folder = setup.root.join(".moegate");
        fs::create_dir_all(&folder).at("create", &folder)?;
        // Cargo leaves what it builds at one place, whatever the configuration.
        let _held = lock::hold(&folder.join("build.lock"), "waiting for another run that builds")?;
        prepare(setup, options.host, own.as_ref())?
    };
    if origin.is_some() {
        let mut cargo = setup.cargo("build");
        cargo.args(["--release", "--package", "moe-server"]);
        run_attached("cargo build of moe-server", cargo)?;
    }
    let setting = match &own {
        None => Setting::of_checkout(setup, origin)?,
        Some(own) => Setting::of(setup, own, &given, origin)?,
    };
    let show = if options.verbose { Show::Stderr } else { Show::Nothing };
    let mut server = match &setting.origin {
        Some(origin) => {
            // Building took its time: somebody may have taken the port meanwhile.
            check_port(origin)?;
            let mut command = serve(setup, origin, setting.keys(), &model);
            if let Some(device) = &options.device {
                command.arg("--device").arg(device);
            }
            let mut server = Running::start("moe-server", command, show)?;
            wait_for_200(&mut server, origin.port, "/ready", SERVER_LIMIT)?;
            Some(server)
        }
        None => None,
    };

    let mut mock = match &stand_in {
        Some(stand_in) => Some(stand_in.start(setup, show)?),
        None => None,
    };
    let mut gateway = match &prepared.host {
        Ready::Workerd(node, entry) => {
            let mut command = node.script(&setup.root.join("xtask/node/gateway.mjs"));
            command.current_dir(&setup.root).arg("--vars").arg(&setting.keys().vars);
            command.arg("--persist").arg(setting.state.join("kv")).arg("--entry").arg(entry);
            command.args(["--port", &port.to_string(), "--watch"]);
            if options.verbose {
                command.arg("--verbose");
            }
            start_gateway(command, show, server.as_mut())?
        }
        Ready::Spin(runtime) => {
            let state = setting.state.join("spin");
            let command = runtime.serve(&prepared.manifest, &state, &setting.secrets, port)?;
            Running::start("the gateway (Spin)", command, show)?
        }
    };
    wait_for_200(&mut gateway, port, "/health", GATEWAY_LIMIT)?;

    let gateway_url = format!("http://127.0.0.1:{port}");
    let (keys, origin) = (setting.keys(), setting.origin.as_ref());
    if options.json {
        println!("{}", text::json_line(&gateway_url, origin.map(|origin| origin.url.as_str()), keys));
    } else if let (None, Some(origin)) = (&own, origin) {
        let shown = (options.model.is_none(), stand_in.is_some());
        println!("{}", text::instructions(&gateway_url, origin, keys, shown));
    } else if let Some(own) = &own {
        println!("{}", text::of_own(&gateway_url, origin, &own.config, keys));
    }
    loop {
        if let Some(server) = &mut server {
            server.must_run()?;
        }
        if let Some(mock) = &mut mock {
            mock.must_run()?;
        }
        gateway.must_run()?;
        tick()?;
    }
}

/// The MoE server that the checkout's configuration asks for.
fn of_checkout(setup: &Setup) -> Result<LocalOrigin> {
    let file = setup.root.join("moegate.toml");
    let text = fs::read_to_string(&file).at("read", &file)?;
    let config = authoring::parse(&text).map_err(|problems| {
        let lines: String = problems.iter().map(|problem| format!("\n  {problem}")).collect();
        Failure::new(format!("{} cannot be used:{lines}", file.display()))
    })?;
    LocalOrigin::of(&config).map_err(|failure| {
        failure.during(&file.display().to_string()).remedy(
            "add one with a route, for instance url = \"http://127.0.0.1:8788/v1\": it is the MoE server `run` starts",
        )
    })
}

/// The model's file. The server is started in another folder than this program.
fn model(setup: &Setup, options: &Options) -> Result<PathBuf> {
    let model = match &options.model {
        Some(file) => absolute(file).at("find", file)?,
        None => setup.root.join("moe-server/models/demo.gguf"),
    };
    if options.no_server || model.is_file() {
        return Ok(model);
    }
    Err(Failure::new(format!("there is no model at {}", model.display()))
        .remedy("name a GGUF file: cargo xtask run --model FILE"))
}

/// What is built for a host, and what it takes to start it.
struct Prepared {
    host: Ready,
    /// For Spin.
    manifest: PathBuf,
}

enum Ready {
    Workerd(Node, PathBuf),
    Spin(Runtime),
}

fn prepare(setup: &Setup, host: Host, own: Option<&Own>) -> Result<Prepared> {
    let folder = own.map(|own| own.prepare_build(&setup.root, host)).transpose()?;
    let config = folder.as_ref().map(|folder| folder.join("moegate.toml"));
    let config =
        match &config {
            Some(file) => Some(file.to_str().ok_or_else(|| {
                Failure::new(format!("{} is not UTF-8, as cargo wants paths", file.display()))
            })?),
            None => None,
        };
    let variant = build::Variant { config, ..Default::default() };
    let out = |usual: &str| folder.clone().unwrap_or_else(|| setup.root.join(usual));
    let manifest = folder.as_ref().unwrap_or(&setup.root).join("spin.toml");
    let host = match host {
        Host::Worker => {
            let node = setup.node()?;
            Ready::Workerd(node, build::worker(setup, &out("build/worker"), &variant)?)
        }
        Host::Spin => {
            let runtime = Runtime::find(setup)?;
            build::spin(setup, &out("build/spin"), &variant)?;
            eprintln!("the component runs in {}", runtime.name());
            Ready::Spin(runtime)
        }
    };
    Ok(Prepared { host, manifest })
}

/// The secrets that the servers are started with, and where they leave what stays.
struct Setting {
    origin: Option<LocalOrigin>,
    keys: Whose,
    /// As Spin gets them.
    secrets: Secrets,
    state: PathBuf,
    /// So that no other run uses `state`.
    _held: Option<File>,
}

enum Whose {
    Checkout(Keys),
    Own(Made),
}

impl Setting {
    fn of_checkout(setup: &Setup, origin: Option<LocalOrigin>) -> Result<Self> {
        let secret = origin.as_ref().map_or("", |origin| origin.secret.as_str());
        let keys = Keys::ensure(&setup.root, secret)?;
        let secrets = keys::lines(&keys.vars)?;
        let state = setup.root.join(".moegate");
        Ok(Self { origin, keys: Whose::Checkout(keys), secrets, state, _held: None })
    }

    fn of(setup: &Setup, own: &Own, given: &Secrets, origin: Option<LocalOrigin>) -> Result<Self> {
        let folder = own.folder(&setup.root)?;
        let (state, held) = own::state(&folder)?;
        let made = {
            let _held = lock::hold(&folder.join("lock"), "waiting for another run of this configuration")?;
            own.keys((&folder, &state), given, origin.as_ref())?
        };
        for (whose, key) in &made.made {
            eprintln!("{whose}: {key}");
        }
        if !made.missing.is_empty() {
            eprintln!("warning: secrets without a value: {}", made.missing.join(", "));
        }
        if !made.unused.is_empty() {
            eprintln!("warning: the configuration names no such secrets: {}", made.unused.join(", "));
        }
        let mut secrets = made.values.clone();
        secrets.extend(made.missing.iter().map(|name| (name.clone(), String::new())));
        Ok(Self { origin, keys: Whose::Own(made), secrets, state, _held: Some(held) })
    }

    fn keys(&self) -> &Keys {
        match &self.keys {
            Whose::Checkout(keys) => keys,
            Whose::Own(made) => &made.keys,
        }
    }
}

/// Fails if the port is taken on which the gateway expects the MoE server.
fn check_port(origin: &LocalOrigin) -> Result<()> {
    if is_free(origin.port) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "port {} is taken; the MoE server needs it, because the configuration gives its origin as {}",
        origin.port, origin.url
    ))
    .remedy(format!(
        "end what listens there (`ss -ltnp 'sport = :{}'` names it), or change that url",
        origin.port
    )))
}

/// `others`: the ports of the origins that are started.
fn gateway_port(asked: Option<u16>, others: &[Option<u16>]) -> Result<u16> {
    match asked {
        Some(port) if others.contains(&Some(port)) => {
            Err(Failure::new(format!("port {port} is an origin's"))
                .remedy("choose another one, or leave --port out"))
        }
        Some(port) if is_free(port) => Ok(port),
        Some(port) => Err(Failure::new(format!("port {port} is taken"))
            .remedy("choose another one, or leave --port out for the next free one")),
        None => (FIRST_PORT..=FIRST_PORT + 100)
            .find(|&port| !others.contains(&Some(port)) && is_free(port))
            .ok_or_else(|| Failure::new("no port is free from 8787 on").remedy("name one with --port")),
    }
}

fn serve(setup: &Setup, origin: &LocalOrigin, keys: &Keys, model: &Path) -> Command {
    let mut command = Command::new(setup.built("release/moe-server"));
    command.arg("serve").arg(model);
    command.args(["--host", "127.0.0.1", "--port", &origin.port.to_string()]);
    command.arg("--api-key-file").arg(&keys.origin_file);
    for alias in &origin.aliases {
        command.args(["--alias", alias]);
    }
    if let Some(seconds) = origin.sleep_after_s {
        command.args(["--sleep-after", &seconds.to_string()]);
    }
    command.current_dir(&setup.root);
    command
}

/// Starts the gateway and waits for its line that says it is ready.
fn start_gateway(command: Command, show: Show, mut server: Option<&mut Running>) -> Result<Running> {
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
        if let Some(server) = &mut server {
            server.must_run()?;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_port_is_taken_as_it_is_and_never_the_servers() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let taken = listener.local_addr().unwrap().port();
        let text = gateway_port(Some(taken), &[Some(1)]).unwrap_err().to_string();
        assert!(text.contains(&format!("port {taken} is taken")), "{text}");
        let text = gateway_port(Some(8788), &[None, Some(8788)]).unwrap_err().to_string();
        assert!(text.contains("is an origin's"), "{text}");
        assert_ne!(gateway_port(None, &[Some(FIRST_PORT)]).unwrap(), FIRST_PORT);
    }

    #[test]
    fn options_that_cannot_go_together() {
        let own = || Options { config: Some("a.toml".into()), ..Options::default() };
        for (options, good) in [
            (Options::default(), true),
            (Options { no_server: true, ..Options::default() }, false),
            (Options { secrets: Some("s".into()), ..Options::default() }, false),
            (own(), true),
            (Options { no_server: true, secrets: Some("s".into()), ..own() }, true),
            (Options { model: Some("m".into()), ..own() }, true),
            (Options { no_server: true, model: Some("m".into()), ..own() }, false),
            (Options { demo: Some(Demo::Wake), ..Options::default() }, true),
            (Options { demo: Some(Demo::Wake), ..own() }, false),
        ] {
            assert_eq!(options.problem().is_none(), good, "{options:?}");
        }
    }
}
