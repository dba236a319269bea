//! The command line.

pub(crate) use super::help::HELP;
use super::values::{device, host, kv_type, number, percent, switch, window};
use super::{bench, gpu, pack, plan, supervise};
use lexopt::{Arg, Parser, ValueExt};
use moe_server::engine::cpu::KvType;
use moe_server::load::DeviceChoice;
use moe_server::sleep::Rules;
use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Version,
    Serve(Box<Options>),
    Pack(PackArgs),
    /// None where its help is asked for.
    Bench(Option<Box<bench::Options>>),
    /// None where its help is asked for.
    Gpu(Option<gpu::Options>),
    /// None where its help is asked for.
    Plan(Option<plan::Options>),
    /// None where its help is asked for.
    Supervise(Option<Box<supervise::Options>>),
}

/// The options of `pack`; see [`HELP`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PackArgs {
    pub(crate) model: PathBuf,
    pub(crate) output: Option<PathBuf>,
    /// 0 takes what there is.
    pub(crate) threads: usize,
    pub(crate) verify: bool,
}

/// The options of `serve`; see [`HELP`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) model: PathBuf,
    pub(crate) host: IpAddr,
    pub(crate) port: u16,
    pub(crate) api_key_file: Option<PathBuf>,
    pub(crate) no_auth: bool,
    pub(crate) require_ticket: bool,
    pub(crate) aliases: Vec<String>,
    /// 0 takes what there is.
    pub(crate) threads: usize,
    pub(crate) device: DeviceChoice,
    pub(crate) context: Option<usize>,
    pub(crate) kv_tokens: Option<usize>,
    pub(crate) kv_type: KvType,
    pub(crate) prefix_cache: bool,
    pub(crate) max_queue: usize,
    pub(crate) max_batch: usize,
    pub(crate) step_ms: u64,
    pub(crate) keepalive_s: u64,
    pub(crate) max_body_mb: usize,
    /// All three or none.
    pub(crate) receipts_to: Option<String>,
    pub(crate) origin_name: Option<String>,
    pub(crate) outbox: Option<PathBuf>,
    pub(crate) outbox_mb: u64,
    pub(crate) otlp: Option<String>,
    pub(crate) otlp_percent: u8,
    pub(crate) sleep: Rules,
    pub(crate) warm_state: Option<PathBuf>,
    pub(crate) warm_state_mib: u64,
    pub(crate) json: bool,
}

impl Options {
    fn new(model: PathBuf) -> Self {
        Self {
            model,
            host: Ipv4Addr::LOCALHOST.into(),
            port: 8788,
            api_key_file: None,
            no_auth: false,
            require_ticket: false,
            aliases: Vec::new(),
            threads: 0,
            device: DeviceChoice::default(),
            context: None,
            kv_tokens: None,
            kv_type: KvType::F16,
            prefix_cache: true,
            max_queue: 128,
            max_batch: 32,
            step_ms: 100,
            keepalive_s: 3,
            max_body_mb: 32,
            receipts_to: None,
            origin_name: None,
            outbox: None,
            outbox_mb: 64,
            otlp: None,
            otlp_percent: 100,
            sleep: Rules::default(),
            warm_state: None,
            warm_state_mib: 256,
            json: false,
        }
    }
}

/// A command line that cannot be followed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsageError(pub(crate) String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nrun `moe-server --help` for the usage", self.0)
    }
}

impl From<lexopt::Error> for UsageError {
    fn from(error: lexopt::Error) -> Self {
        Self(error.to_string())
    }
}

/// Reads the arguments (without the program's name).
///
/// # Errors
/// [`UsageError`].
pub(crate) fn parse(args: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Command, UsageError> {
    let fail = |why: &str| Err(UsageError(why.to_owned()));
    let mut args = args.into_iter().map(Into::into).peekable();
    if args.next_if(|word: &OsString| word == "bench").is_some() {
        return Ok(Command::Bench(bench::parse(args)?.map(Box::new)));
    }
    if args.next_if(|word: &OsString| word == "gpu").is_some() {
        return Ok(Command::Gpu(gpu::parse(args)?));
    }
    if args.next_if(|word: &OsString| word == "plan").is_some() {
        return Ok(Command::Plan(plan::parse(args)?));
    }
    if args.next_if(|word: &OsString| word == "supervise").is_some() {
        return Ok(Command::Supervise(supervise::parse(args)?.map(Box::new)));
    }
    let mut parser = Parser::from_args(args);
    let mut options = Options::new(PathBuf::new());
    let mut words: Vec<OsString> = Vec::new();
    while let Some(arg) = parser.next()? {
        let name = match arg {
            Arg::Value(word) if words.is_empty() && word == "pack" => {
                return Ok(pack::parse(&mut parser)?.map_or(Command::Help, Command::Pack));
            }
            Arg::Value(word) => {
                words.push(word);
                continue;
            }
            Arg::Short('h') => "help",
            Arg::Short('V') => "version",
            Arg::Long(name) => name,
            Arg::Short(_) => return Err(arg.unexpected().into()),
        }
        .to_owned();
        match name.as_str() {
            "help" => return Ok(Command::Help),
            "version" => return Ok(Command::Version),
            "host" => options.host = host(&parser.value()?.string()?)?,
            "port" => options.port = number(&mut parser, "port", 0)?,
            "api-key-file" => options.api_key_file = Some(parser.value()?.into()),
            "no-auth" => options.no_auth = true,
            "require-ticket" => options.require_ticket = true,
            "alias" => options.aliases.push(parser.value()?.string()?),
            "threads" => options.threads = number(&mut parser, "threads", 1)?,
            "device" => options.device = device(&parser.value()?.string()?)?,
            "context" => options.context = Some(number(&mut parser, "context", 2)?),
            "kv-tokens" => options.kv_tokens = Some(number(&mut parser, "kv-tokens", 2)?),
            "kv-type" => options.kv_type = kv_type(&parser.value()?.string()?)?,
            "prefix-cache" => options.prefix_cache = switch(&mut parser, "prefix-cache")?,
            "max-queue" => options.max_queue = number(&mut parser, "max-queue", 1)?,
            "max-batch" => options.max_batch = number(&mut parser, "max-batch", 1)?,
            "step-ms" => options.step_ms = number(&mut parser, "step-ms", 1)?,
            "keepalive-s" => options.keepalive_s = number(&mut parser, "keepalive-s", 1)?,
            "max-body-mb" => options.max_body_mb = number(&mut parser, "max-body-mb", 1)?,
            "receipts-to" => options.receipts_to = Some(parser.value()?.string()?),
            "origin-name" => options.origin_name = Some(parser.value()?.string()?),
            "outbox" => options.outbox = Some(parser.value()?.into()),
            "outbox-mb" => options.outbox_mb = number(&mut parser, "outbox-mb", 1)?,
            "otlp" => options.otlp = Some(parser.value()?.string()?),
            "otlp-percent" => options.otlp_percent = percent(&mut parser, "otlp-percent")?,
            "sleep-after" => {
                options.sleep.sleep_after = Some(Duration::from_secs(number(&mut parser, "sleep-after", 1)?));
            }
            "keep-warm" => options.sleep.keep_warm.push(window(&parser.value()?.string()?)?),
            "wake-on-request" => options.sleep.wake_on_request = true,
            "warm-state" => options.warm_state = Some(parser.value()?.into()),
            "warm-state-mib" => options.warm_state_mib = number(&mut parser, "warm-state-mib", 1)?,
            "json" => options.json = true,
            _ => return fail(&format!("there is no option --{name}")),
        }
    }
    let mut words = words.into_iter();
    match words.next() {
        Some(word) if word == "serve" => {}
        Some(word) => return fail(&format!("there is no command {}", word.display())),
        None => return fail("say what to do: `moe-server serve MODEL.gguf`"),
    }
    let Some(model) = words.next() else { return fail("`serve` wants a model: a GGUF file") };
    if let Some(more) = words.next() {
        return fail(&format!("`serve` takes one model, and {} is a second", more.display()));
    }
    options.model = model.into();
    if options.no_auth && options.api_key_file.is_some() {
        return fail("--no-auth and --api-key-file contradict each other: leave one out");
    }
    if options.no_auth && !options.host.is_loopback() {
        return fail("--no-auth is for loopback addresses only: give a key, or leave --host out");
    }
    if options.no_auth && options.require_ticket {
        return fail(
            "--require-ticket checks what is signed with the key: give one in the place of --no-auth",
        );
    }
    let push = [options.receipts_to.is_some(), options.origin_name.is_some(), options.outbox.is_some()];
    if push.contains(&true) && push.contains(&false) {
        return fail("--receipts-to, --origin-name and --outbox go together: give all three, or none");
    }
    if options.origin_name.as_deref() == Some("") {
        return fail("--origin-name is empty: give this server's name in the gateway's configuration");
    }
    if options.no_auth && options.receipts_to.is_some() {
        return fail("--receipts-to signs with the key: give one in the place of --no-auth");
    }
    if options.warm_state.is_some() && !options.prefix_cache {
        return fail(
            "--warm-state keeps the prefix cache, and --prefix-cache off leaves none: leave one out",
        );
    }
    Ok(Command::Serve(Box::new(options)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Command, UsageError> {
        parse(text.split_whitespace())
    }

    #[test]
    fn defaults_and_options() {
        let options = Options::new("m.gguf".into());
        assert_eq!(line("serve m.gguf"), Ok(Command::Serve(Box::new(options.clone()))));
        let all = "serve --host ::1 --port=0 m.gguf --api-key-file k --alias a --alias b --threads 2 --context 9 \
                   --kv-tokens 8 --kv-type q8_0 --max-queue 7 --max-batch 6 --step-ms 3 --keepalive-s 5 --max-body-mb 4 \
                   --receipts-to https://g --origin-name o --outbox d --outbox-mb 9 --otlp https://c --otlp-percent 0 --sleep-after 60 --wake-on-request --json \
                   --warm-state w --warm-state-mib 5 --prefix-cache on --require-ticket --device cuda:1";
        let expected = Options {
            host: "::1".parse().unwrap(),
            port: 0,
            api_key_file: Some("k".into()),
            require_ticket: true,
            aliases: vec!["a".into(), "b".into()],
            threads: 2,
            device: DeviceChoice::Cuda(1),
            context: Some(9),
            kv_tokens: Some(8),
            kv_type: KvType::Q8_0,
            max_queue: 7,
            max_batch: 6,
            step_ms: 3,
            keepalive_s: 5,
            max_body_mb: 4,
            receipts_to: Some("https://g".into()),
            origin_name: Some("o".into()),
            outbox: Some("d".into()),
            outbox_mb: 9,
            otlp: Some("https://c".into()),
            otlp_percent: 0,
            sleep: Rules {
                sleep_after: Some(Duration::from_secs(60)),
                wake_on_request: true,
                keep_warm: Vec::new(),
            },
            warm_state: Some("w".into()),
            warm_state_mib: 5,
            json: true,
            ..options
        };
        assert_eq!(line(all), Ok(Command::Serve(Box::new(expected))));
        assert_eq!(line("serve --help"), Ok(Command::Help));
        let pack = PackArgs { model: "m".into(), ..PackArgs::default() };
        assert_eq!(line("pack m"), Ok(Command::Pack(pack.clone())));
        let all = PackArgs { output: Some("o".into()), threads: 3, ..pack.clone() };
        assert_eq!(line("pack --output o m --threads 3"), Ok(Command::Pack(all)));
        assert_eq!(line("pack --verify m"), Ok(Command::Pack(PackArgs { verify: true, ..pack })));
        assert_eq!(line("pack --help"), Ok(Command::Help));
        assert_eq!(line("-V"), Ok(Command::Version));
        assert!(line("serve m --no-auth --host localhost").is_ok());
        let off = Options { prefix_cache: false, ..Options::new("m".into()) };
        assert_eq!(line("serve m --prefix-cache off"), Ok(Command::Serve(Box::new(off))));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("", "serve MODEL"),
            ("run", "run"),
            ("serve", "a model"),
            ("serve a b", "b is a second"),
            ("serve m --prot 1", "--prot"),
            ("pack", "a model"),
            ("pack a b", "b is a second"),
            ("pack m --port 1", "--port"),
            ("pack m --threads 0", "at least 1"),
            ("pack m --verify --output o", "leave --output out"),
            ("serve m -p 1", "-p"),
            ("serve m --port", "--port"),
            ("serve m --port 70000", "70000"),
            ("serve m --threads 0", "at least 1"),
            ("serve m --kv-type q4_0", "q8_0 or f32"),
            ("serve m --prefix-cache 1", "on or off"),
            ("serve m --device gpu", "cuda:N"),
            ("serve m --prefix-cache off --warm-state w", "leave one out"),
            ("serve m --host example.org", "IP address"),
            ("serve m --no-auth --host 0.0.0.0", "loopback"),
            ("serve m --no-auth --api-key-file k", "contradict"),
            ("serve m --no-auth --require-ticket", "in the place of --no-auth"),
            ("serve m --receipts-to https://g --outbox d", "go together"),
            ("serve m --receipts-to https://g --outbox d --origin-name=", "--origin-name is empty"),
            ("serve m --receipts-to https://g --outbox d --origin-name o --no-auth", "signs with the key"),
            ("serve m --outbox-mb 0", "at least 1"),
            ("serve m --otlp-percent 101", "0 to 100"),
            ("serve m --sleep-after 0", "at least 1"),
            ("serve m --keep-warm Mon", "\"Mon\": give days"),
        ] {
            let error = line(text).unwrap_err();
            assert!(error.0.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn the_help_names_every_option_and_its_default() {
        let defaults = Options::new(PathBuf::new());
        for part in [
            format!("({})", defaults.port),
            format!("({})", defaults.kv_type),
            format!("({})", defaults.max_queue),
            format!("({})", defaults.max_batch),
            format!("({})", defaults.step_ms),
            format!("({})", defaults.keepalive_s),
            format!("({})", defaults.max_body_mb),
            format!("({})", defaults.outbox_mb),
            format!("({})", defaults.otlp_percent),
            format!("({})", defaults.warm_state_mib),
            format!("({})", defaults.host),
        ] {
            assert!(HELP.contains(&part), "{part}");
        }
    }
}
