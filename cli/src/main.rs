//! The command `moegate`.

use lexopt::prelude::*;
use moegate_config::authoring;
use moegate_config::key::NewKey;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
moegate COMMAND

Commands:
  check [FILE]      say what is wrong with a configuration (default: moegate.toml); exit 1 if anything is
  keys new          make a client key: the key for its holder, the hash for the gateway
      --name NAME     the name that usage records will show (default: app)
  schema            print the JSON Schema of moegate.toml
  reference         print the configuration's reference page
  help              print this text
";

enum Command {
    Help,
    Check(PathBuf),
    NewKey { name: String },
    Schema,
    Reference,
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
        Command::Check(file) => check(&file),
        Command::NewKey { name } => new_key(&name),
        Command::Schema => print(&authoring::schema()),
        Command::Reference => print(&authoring::reference()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: lexopt::Parser) -> Result<Command, lexopt::Error> {
    let mut words = Vec::new();
    let mut name = None;
    while let Some(argument) = arguments.next()? {
        match argument {
            Value(word) => words.push(word.string()?),
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("name") => name = Some(arguments.value()?.string()?),
            other => return Err(other.unexpected()),
        }
    }
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match (&words[..], name) {
        ([] | ["help"], None) => Ok(Command::Help),
        (["check"], None) => Ok(Command::Check("moegate.toml".into())),
        (["check", file], None) => Ok(Command::Check(file.into())),
        (["keys", "new"], name) => Ok(Command::NewKey { name: name.unwrap_or_else(|| "app".to_owned()) }),
        (["schema"], None) => Ok(Command::Schema),
        (["reference"], None) => Ok(Command::Reference),
        _ => Err(format!("there is no command `{}` with these options", words.join(" ")).into()),
    }
}

fn print(text: &str) -> Result<(), String> {
    use std::io::Write;
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| format!("cannot write: {error}"))
}

fn check(file: &Path) -> Result<(), String> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read {name}: {error}"))?;
    match authoring::parse(&text) {
        Ok(config) => {
            let (origins, routes, keys) = (config.origins.len(), config.routes.len(), config.keys.len());
            print(&format!("{name}: good. Origins: {origins}, routes: {routes}, keys: {keys}.\n"))?;
            let secrets = config.secret_names();
            if !secrets.is_empty() {
                print(&format!("Platform secrets it needs: {}.\n", secrets.join(", ")))?;
            }
            for origin in config.origins.iter().filter(|o| o.authority().is_some_and(|a| a.is_address())) {
                print(&format!(
                    "Origin `{}` has an IP address: fine locally, but deployed Workers reach host names only.\n",
                    origin.name
                ))?;
            }
            if keys == 0 {
                print("Without a key every call is answered 401: `moegate keys new` makes one.\n")?;
            }
            Ok(())
        }
        Err(problems) => {
            let lines: Vec<_> = problems.iter().map(|problem| format!("  {problem}")).collect();
            Err(format!("{name} cannot be used:\n{}", lines.join("\n")))
        }
    }
}

fn new_key(name: &str) -> Result<(), String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(good) {
        return Err(format!("`{name}` cannot be a key's name: use 1 to 64 letters, digits, `-` or `_`"));
    }
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| format!("no randomness to be had: {error}"))?;
    let NewKey { key, sha256 } = NewKey::from_random(&random);
    print(&format!(
        "For its holder, shown only now:

    {key}

For moegate.toml, either the hash itself:

    [[keys]]
    name = \"{name}\"
    sha256 = \"{sha256}\"

or the name of a platform secret that holds it (`wrangler secret put APP_KEY_SHA256`, or a line in .dev.vars):

    [[keys]]
    name = \"{name}\"
    sha256_secret = \"APP_KEY_SHA256\"
"
    ))
}
