//! The command `moegate`.

mod admin;
mod check;
mod config;
mod decimal;
mod explain;
mod import;
mod keys;
mod plan;
mod reconcile;
mod rows;

use check::{Check, Manifest};
use explain::Explain;
use import::Import;
use keys::Keys;
use lexopt::prelude::*;
use moegate_config::authoring;
use plan::Plan;
use reconcile::Reconcile;
use std::collections::BTreeMap;
use std::process::ExitCode;

const HELP: &str = "\
moegate COMMAND

Commands:
  check [FILE]      say what is wrong with a configuration (default: moegate.toml); exit 1 if anything is
      --platform P    by the rules of workers, spin or spin-hosted too (Fermyon Wasm Functions)
      --spin FILE     hold that Spin manifest to it (default: a spin.toml beside it, except for workers)
      --no-spin       look at no Spin manifest
      --explain REQUEST.json
                      print where a request with that body would go, in which order, and why
      --key NAME      with --explain: sent with that client key (default: the first that may use the model)
      --header NAME=VALUE
                      with --explain: sent with that header; may be given more than once
  import portkey|litellm|openrouter FILE
                    print another gateway's configuration as a moegate.toml (FILE `-`: from standard input), and on standard
                    error what to set, to fill in and to look at; exit 1 if no valid one comes out
      --model NAME    what clients ask for, where the file does not say; may be given more than once
      --provider SLUG=NAME
                      the provider behind a virtual key of Portkey; may be given more than once
  reconcile INVOICE.csv --usage ROWS.jsonl
                    compare a provider's invoice or usage export (OpenAI's, Anthropic's, or a plain one) with the ledger's
                    export, by UTC day and model; exit 0: equal, 1: they differ, 2: a file is not what it should be. One of
                    the files may be `-`: from standard input
      --origin NAME   only attempts at that origin
      --tolerance D   by how many dollars the cost of a line may differ (default: 0)
      --json          print JSON
  plan --gpu-hour DOLLARS [--usage ROWS.jsonl]
                    what a million output tokens cost on own GPUs at the measured utilisation, what they cost elsewhere, and
                    from where on own GPUs are cheaper; exit 2: something is missing or wrong
      --gpus N        how many are paid for (default: 1), each with a server of its own
      --origin NAME   with --usage: the origin that the GPUs are or would be (default: those that report busy time)
      --billed-hours H
                      with --usage: how long the GPUs were paid for (default: from the first attempt to the last)
      --tokens-per-second N
                      output tokens of all the GPUs while they are busy (default: measured)
      --output-tokens-per-day N, --input-tokens-per-day N, --cached-tokens-per-day N
                      the load, without --usage; cached ones are part of the input
      --price-input D, --price-cached D, --price-output D
                      elsewhere, in dollars per million tokens (default: what third parties' attempts cost)
      --sleep-after N, --wake-seconds N
                      with --usage: what it would cost if the GPUs slept after so many idle seconds, and who would wait for
                      their waking
      --keep-warm \"Mon-Fri 08:00-18:00\"
                      with --sleep-after: and if they stayed awake within these hours (UTC); `;` stands between windows that
                      hold together; may be given more than once, to compare
      --ops-hours-per-month H, --ops-hourly D
                      the work that own GPUs make, and what an hour of it costs
      --json          print JSON
  keys new          make a client key for moegate.toml: the key for its holder, the hash for the gateway
      --name NAME     the name that usage records will show (default: app)
  config push FILE --url URL
                    have a running gateway serve by that configuration, without a deploy: routes, keys, tenants, limits and
                    prices may differ from what is deployed; exit 2: it cannot be used, or the gateway did not take it. The
                    admin key comes from the environment variable MOEGATE_ADMIN_KEY
      --note TEXT     why, for who reads the list of versions
      --if-version N  only if N is the latest version (default: the one that is read just before)
      --platform P    by the rules of workers, spin or spin-hosted too
  config diff FILE --url URL
                    print what is different from what runs, by path; exit 0: nothing, 1: something, 2: that cannot be told
  config rollback [VERSION] --url URL
                    have an earlier version hold again (default: the one before the latest; 0: what is deployed)
  config show [VERSION] --url URL
                    print what holds and the versions before it, or the JSON of one
  keys list|create NAME|limit NAME|rotate NAME|revoke NAME|audit --url URL
                    keys of the gateway at that URL, made and changed while it runs; the admin key, or one with `makes_keys`,
                    stands in the environment variable MOEGATE_ADMIN_KEY
      --tenant T, --errors full|plain
                      create: the tenant that it belongs to; how much it is told of errors
      --model NAME    create, limit: a model that it may use; may be given more than once. --all-models: all
      --limit day:requests=100,dollars=5
                      create, limit: what may be used in a minute, hour, day or month, or at once (concurrent=4); may be given
                      more than once, and replaces all limits that there are. --no-limits: none
      --expires TIME, --ttl 7d
                      create, limit: when it ends (RFC 3339, Unix seconds, or never), or in how long
      --overlap 24h   rotate: how long the secrets before stay good (default: a day)
      --all           list: revoked keys too
      --json          print JSON, a line for each row
  schema            print the JSON Schema of moegate.toml
  reference         print the configuration's reference page
  openapi           print the OpenAPI document that the gateway serves
  help              print this text
";

enum Command {
    Help,
    Check(Check),
    Import(Import),
    Reconcile(Reconcile),
    Plan(Box<Plan>),
    Config(config::Command),
    Keys(Keys),
    Schema,
    Reference,
    OpenApi,
}

fn main() -> ExitCode {
    let command = match parse(lexopt::Parser::from_env()) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("error: {error}; see `moegate help`");
            return ExitCode::from(2);
        }
    };
    let result = match command {
        Command::Help => print(HELP),
        Command::Check(what) => check::run(&what).and_then(|text| print(&text)),
        Command::Import(what) => import::run(&what).and_then(|imported| {
            print(&imported.toml)?;
            eprint!("{}", imported.notes);
            Ok(())
        }),
        Command::Reconcile(what) => return finish(reconcile::run(&what)),
        Command::Plan(what) => return finish(plan::run(&what)),
        Command::Config(what) => return finish(config::run(&what)),
        Command::Keys(what) => keys::run(&what).and_then(|text| print(&text)),
        Command::Schema => print(&authoring::schema()),
        Command::Reference => print(&authoring::reference()),
        Command::OpenApi => print(&moegate_openapi::pretty()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What a command for scripts found out.
struct Answer {
    text: String,
    is_yes: bool,
}

/// Exit status 0: yes, 1: no, 2: that could not be found out.
fn finish(answer: Result<Answer, String>) -> ExitCode {
    match answer.and_then(|answer| print(&answer.text).map(|()| answer.is_yes)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn parse(mut arguments: lexopt::Parser) -> Result<Command, lexopt::Error> {
    let mut words = Vec::new();
    let (mut platform, mut manifest) = (None, None);
    let (mut request, mut key, mut headers) = (None, None, Vec::new());
    let (mut models, mut providers) = (Vec::new(), BTreeMap::new());
    while let Some(argument) = arguments.next()? {
        match argument {
            Value(word) if words.is_empty() && word == "reconcile" => {
                return Ok(reconcile::parse(&mut arguments)?.map_or(Command::Help, Command::Reconcile));
            }
            Value(word) if words.is_empty() && word == "plan" => {
                return Ok(
                    plan::parse(&mut arguments)?.map_or(Command::Help, |plan| Command::Plan(Box::new(plan)))
                );
            }
            Value(word) if words.is_empty() && word == "config" => {
                return Ok(config::parse(&mut arguments)?.map_or(Command::Help, Command::Config));
            }
            Value(word) if words.is_empty() && word == "keys" => {
                return Ok(keys::parse(&mut arguments)?.map_or(Command::Help, Command::Keys));
            }
            Value(word) => words.push(word.string()?),
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("platform") => platform = Some(arguments.value()?.parse()?),
            Long("spin") if manifest.is_none() => {
                manifest = Some(Manifest::At(arguments.value()?.into()));
            }
            Long("no-spin") if manifest.is_none() => manifest = Some(Manifest::LeftOut),
            Long("explain") if request.is_none() => request = Some(arguments.value()?.into()),
            Long("key") if key.is_none() => key = Some(arguments.value()?.string()?),
            Long("header") => headers.push(arguments.value()?.parse_with(explain::header)?),
            Long("model") => models.push(arguments.value()?.string()?),
            Long("provider") => {
                let text = arguments.value()?.string()?;
                let (slug, name) =
                    text.split_once('=').ok_or("--provider wants SLUG=NAME, such as main-258f4d=openai")?;
                providers.insert(slug.to_owned(), name.to_owned());
            }
            other => return Err(other.unexpected()),
        }
    }
    let explain = match request {
        Some(request) => Some(Explain { request, key, headers }),
        None if key.is_some() || !headers.is_empty() => {
            return Err("--key and --header belong to --explain".into());
        }
        None => None,
    };
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    if let ["check"] | ["check", _] = words[..] {
        return Ok(Command::Check(Check {
            file: words.get(1).unwrap_or(&"moegate.toml").into(),
            platform,
            manifest: manifest.unwrap_or(Manifest::Beside),
            explain,
        }));
    }
    if let (["import", from, file], None, None, None) = (&words[..], &platform, &manifest, &explain) {
        let from = import::From::of(from).ok_or_else(|| {
            format!("cannot import from `{from}`: there are portkey, litellm and openrouter")
        })?;
        match from {
            import::From::Litellm if !models.is_empty() || !providers.is_empty() => {
                return Err("--model and --provider are not for litellm: its file has both".into());
            }
            import::From::Openrouter if !providers.is_empty() => {
                return Err("--provider is for portkey".into());
            }
            _ => {}
        }
        return Ok(Command::Import(Import { from, file: file.into(), models, providers }));
    }
    if !models.is_empty() || !providers.is_empty() {
        return Err("--model and --provider belong to import".into());
    }
    match (&words[..], platform, manifest, explain) {
        ([] | ["help"], None, None, None) => Ok(Command::Help),
        (["schema"], None, None, None) => Ok(Command::Schema),
        (["reference"], None, None, None) => Ok(Command::Reference),
        (["openapi"], None, None, None) => Ok(Command::OpenApi),
        _ => Err(format!("there is no command `{}` with these options", words.join(" ")).into()),
    }
}

fn print(text: &str) -> Result<(), String> {
    use std::io::Write;
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| format!("cannot write: {error}"))
}
