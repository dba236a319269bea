//! `cargo xtask`: set-up, build, run and test of this repository.

mod bench;
mod bindings;
mod build;
mod cache;
mod deploy;
mod failure;
mod keys;
mod local;
mod lock;
mod net;
mod pins;
mod process;
mod run;
mod secrets;
mod setup;
mod slim;
mod spin;
mod test;

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::prelude::*;

use build::Host;
use failure::{Failure, Result};
use setup::Setup;

const HELP: &str = "\
cargo xtask COMMAND

Commands:
  run               set up what is missing, build, start the MoE server and the gateway
      --host HOST     workerd (default), or spin: in `spin` where it is on PATH, else in the test host
      --json          print one line {\"gateway_url\",\"origin_url\",\"client_key\",\"admin_key\"} once both are ready
      --port N        the gateway's port (default: 8787, or the next free one)
      --model FILE    the GGUF file to serve (default: the small one of this repository)
      --device WHAT   what computes: cpu, auto, or cuda:N (cpu); as for `moe-server serve`
      --verbose       show what the servers print
      --config FILE   run the gateway under that moegate.toml instead, built in a folder of its own
      --secrets FILE  with --config: the secrets it names, a line NAME=value each. A client's or the admin's hash that is
                      missing there is made with its key, which is printed; the same one every time. Another that is
                      missing is named: requests that need it fail
      --demo wake     with the configuration in examples/wake: a server that sleeps after ten seconds
      --with-mock     start the stand-in provider for the origins named mock-… (default without --config; --no-mock leaves
                      it out): tools, objects, images, embeddings and failures without an account
      --no-server     with --config: the gateway alone. Otherwise the configuration must have an origin of kind moegate
                      at http://127.0.0.1:PORT
                      With --json, origin_url is null where no server was started; client_key is that of the first
                      [[keys]] whose key is known here; a key of which only the hash is known is null. SIGTERM ends all
  test [SUITE…]     set up what is missing and run the suites (default: all but `browser`)
  bench gateway     compare the gateway with a bare pass-through, in workerd and in the test host
                    for Spin
      --host HOST     workerd or spin only
      --json FILE     also write the rows to a file
      --rounds N      (default: 9)
      --only TEXT     only the loads whose name has this text in it
      --before DIR    compare with the Worker of another checkout, built there with the bench's configuration
  bench moe         compare the MoE server with llama.cpp, which is built for it, on models of random weights
      --json FILE     also write the rows to a file
      --rounds N      (default: 6)
      --only TEXT     only the rows whose name has this text in it
      --threads N     of either side (default: as many as there are processors)
      --realtime      run what is timed at real-time priority: for a machine that does other things too; needs root
      --prepare       build the peer and make the models, 16 GB in all, and measure nothing
  build worker|spin build the gateway for Workers (build/worker/moegate.wasm) or for Spin (build/spin/moegate.wasm)
      --out DIR       another folder; with MOEGATE_CONFIG=FILE another configuration
      --features F    features of the gateway's package (for tests)
  deploy workers    check, set what secrets are missing, deploy, and ask whether it serves. Hashes of keys that are missing
                    are made with their keys, which are printed once; other secrets are asked for
      --dry-run       only say each step
      --secrets FILE  the secrets, a line NAME=value each; they replace those that are set
      --preview NAME  a Worker, storage and keys of its own, named after that branch
      --seed FILE     derive the preview's keys from that text instead of printing them: for builds whose log others read
      --remove-preview NAME  remove that branch's Worker
      --url URL       where it answers, if not on workers.dev
  deploy spin       check, build, and push the component to a registry
      --registry REF  where to, such as registry.example/me/moegate:1
      --dry-run, --secrets FILE, --url URL
  wrangler ARG…     the pinned wrangler, under a Node that it runs on: `cargo xtask wrangler deploy`
  setup             set up everything now: afterwards the commands need no network
  help              print this text

Everything that is downloaded lies in one folder: $MOEGATE_CACHE, else $XDG_CACHE_HOME/moegate, else
~/.cache/moegate. It may be deleted at any time. Set-up never installs anything system-wide and needs no root.
";

enum Command {
    Help,
    Setup,
    Run(run::Options),
    Test { suites: Vec<String> },
    BenchGateway(bench::Options),
    BenchMoe(bench::moe::Options),
    Build { host: Host, out: Option<PathBuf>, features: Option<String> },
    Deploy(deploy::Options),
    Wrangler { arguments: Vec<OsString> },
}

fn main() -> ExitCode {
    let command = match parse(lexopt::Parser::from_env()) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("error: {error}\n  what to do: see `cargo xtask help`");
            return ExitCode::from(2);
        }
    };
    match process::catch_signals().and_then(|()| execute(command)) {
        Ok(code) => code,
        Err(Failure::Interrupted(signal)) => {
            eprintln!("ended");
            ExitCode::from(128 + u8::try_from(signal).unwrap_or(0))
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> Result<ExitCode> {
    match command {
        Command::Help => print!("{HELP}"),
        Command::Setup => {
            let setup = Setup::new()?;
            setup.wasm()?;
            setup.node()?;
            setup.python()?;
            setup.cargo_deny()?;
            eprintln!("set-up is complete: {}", setup.cache.root().display());
        }
        Command::Run(options) => run::run(&Setup::new()?, &options)?,
        Command::Test { suites } => {
            if !test::test(&Setup::new()?, &suites)? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::BenchMoe(options) => bench::moe::moe(&Setup::new()?, &options)?,
        Command::BenchGateway(options) => bench::gateway(&Setup::new()?, &options)?,
        Command::Build { host, out, features } => {
            if host == Host::Spin {
                // `spin build` comes this way: one that cannot run the component says so here, not at `spin up`.
                spin::installed()?;
            }
            let setup = Setup::new()?;
            let variant = build::Variant { features: features.as_deref(), ..Default::default() };
            let (build, folder): (fn(&_, &_, &_) -> _, _) = match host {
                Host::Worker => (build::worker, "build/worker"),
                Host::Spin => (build::spin, "build/spin"),
            };
            build(&setup, &out.unwrap_or_else(|| setup.root.join(folder)), &variant)?;
        }
        Command::Deploy(options) => deploy::deploy(&Setup::new()?, &options)?,
        Command::Wrangler { arguments } => {
            let setup = Setup::new()?;
            let mut wrangler = setup.node()?.wrangler();
            wrangler.args(arguments).current_dir(&setup.root);
            // In this process's place: wrangler asks questions at the terminal.
            let error = wrangler.exec();
            return Err(Failure::new(format!("wrangler cannot be started: {error}")));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn parse(mut args: lexopt::Parser) -> std::result::Result<Command, lexopt::Error> {
    let Some(first) = args.next()? else { return Ok(Command::Help) };
    let name = match first {
        Value(value) => value.string()?,
        Short('h') | Long("help") => return Ok(Command::Help),
        other => return Err(other.unexpected()),
    };
    match name.as_str() {
        "help" => Ok(Command::Help),
        "setup" => match args.next()? {
            None => Ok(Command::Setup),
            Some(other) => Err(other.unexpected()),
        },
        "run" => {
            let mut options = run::Options::default();
            while let Some(arg) = args.next()? {
                match arg {
                    Long("json") => options.json = true,
                    Long("port") => options.port = Some(args.value()?.parse()?),
                    Long("model") => options.model = Some(args.value()?.into()),
                    Long("device") => options.device = Some(args.value()?),
                    Long("verbose") => options.verbose = true,
                    Long("host") => options.host = args.value()?.parse_with(Host::parse)?,
                    Long("config") => options.config = Some(args.value()?.into()),
                    Long("demo") => options.demo = Some(args.value()?.parse_with(run::Demo::parse)?),
                    Long("secrets") => options.secrets = Some(args.value()?.into()),
                    Long("no-server") => options.no_server = true,
                    Long("with-mock") => options.mock = run::WithMock::Yes,
                    Long("no-mock") => options.mock = run::WithMock::No,
                    Short('h') | Long("help") => return Ok(Command::Help),
                    other => return Err(other.unexpected()),
                }
            }
            if let Some(problem) = options.problem() {
                return Err(problem.into());
            }
            Ok(Command::Run(options))
        }
        "test" => {
            let mut suites = Vec::new();
            while let Some(arg) = args.next()? {
                match arg {
                    Value(suite) => suites.push(suite.string()?),
                    Short('h') | Long("help") => return Ok(Command::Help),
                    other => return Err(other.unexpected()),
                }
            }
            Ok(Command::Test { suites })
        }
        "bench" => match args.next()? {
            Some(Value(value)) if value == "gateway" => bench_gateway(&mut args),
            Some(Value(value)) if value == "moe" => bench_moe(&mut args),
            Some(other) => Err(other.unexpected()),
            None => Err("bench what? `cargo xtask bench gateway` or `cargo xtask bench moe`".into()),
        },
        "build" => {
            let host = match args.next()? {
                Some(Value(value)) if value == "worker" => Host::Worker,
                Some(Value(value)) if value == "spin" => Host::Spin,
                Some(other) => return Err(other.unexpected()),
                None => {
                    return Err("build what? `cargo xtask build worker` or `cargo xtask build spin`".into());
                }
            };
            let (mut out, mut features) = (None, None);
            while let Some(arg) = args.next()? {
                match arg {
                    Long("out") => out = Some(args.value()?.into()),
                    Long("features") => features = Some(args.value()?.string()?),
                    other => return Err(other.unexpected()),
                }
            }
            Ok(Command::Build { host, out, features })
        }
        "deploy" => deploy_of(&mut args),
        "wrangler" => Ok(Command::Wrangler { arguments: args.raw_args()?.collect() }),
        unknown => Err(format!("there is no command {unknown}").into()),
    }
}

fn deploy_of(args: &mut lexopt::Parser) -> std::result::Result<Command, lexopt::Error> {
    let host = match args.next()? {
        Some(Value(value)) if value == "workers" => Host::Worker,
        Some(Value(value)) if value == "spin" => Host::Spin,
        Some(other) => return Err(other.unexpected()),
        None => {
            return Err("deploy where? `cargo xtask deploy workers` or `cargo xtask deploy spin`".into());
        }
    };
    let mut options = deploy::Options { host, ..Default::default() };
    while let Some(arg) = args.next()? {
        match arg {
            Long("dry-run") => options.dry_run = true,
            Long("secrets") => options.secrets = Some(args.value()?.into()),
            Long("preview") => options.preview = Some(args.value()?.string()?),
            Long("remove-preview") => options.remove_preview = Some(args.value()?.string()?),
            Long("seed") => options.seed = Some(args.value()?.into()),
            Long("registry") => options.registry = Some(args.value()?.string()?),
            Long("url") => options.url = Some(args.value()?.string()?),
            other => return Err(other.unexpected()),
        }
    }
    match options.problem() {
        Some(problem) => Err(problem.into()),
        None => Ok(Command::Deploy(options)),
    }
}

fn bench_gateway(args: &mut lexopt::Parser) -> std::result::Result<Command, lexopt::Error> {
    let mut options = bench::Options::default();
    while let Some(arg) = args.next()? {
        match arg {
            Long("json") => options.json = Some(args.value()?.into()),
            Long("rounds") => options.rounds = args.value()?.parse::<std::num::NonZeroUsize>()?.get(),
            Long("before") => options.before = Some(args.value()?.into()),
            Long("only") => options.only = args.value()?.string()?,
            Long("host") => options.host = Some(args.value()?.parse_with(Host::parse)?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::BenchGateway(options))
}

fn bench_moe(args: &mut lexopt::Parser) -> std::result::Result<Command, lexopt::Error> {
    let mut options = bench::moe::Options::default();
    while let Some(arg) = args.next()? {
        match arg {
            Long("json") => options.json = Some(args.value()?.into()),
            Long("rounds") => options.rounds = args.value()?.parse::<std::num::NonZeroUsize>()?.get(),
            Long("only") => options.only = Some(args.value()?.string()?),
            Long("prepare") => options.prepare = true,
            Long("realtime") => options.realtime = true,
            Long("threads") => {
                options.threads = Some(args.value()?.parse::<std::num::NonZeroUsize>()?.get());
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::BenchMoe(options))
}
