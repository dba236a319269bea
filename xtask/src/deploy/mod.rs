//! `cargo xtask deploy workers|spin`: check, build, secrets, deploy, and one request to see that it serves.

mod secrets;
mod steps;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{BufRead, IsTerminal, Write, stderr, stdin};
use std::path::{Path, PathBuf};
use std::process::Command;

use moegate_config::Config;
use moegate_config::authoring::{self, Platform, spin as manifest};

use crate::build::Host;
use crate::failure::{At, Failure, Result};
use crate::secrets as files;
use crate::setup::Setup;
use secrets::{Asking, Values};
use steps::{Steps, Tools};

/// What the command line says.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) host: Host,
    /// Only say what would be done.
    pub(crate) dry_run: bool,
    /// A gateway of its own, with keys of its own, for that branch.
    pub(crate) preview: Option<String>,
    /// Removes that branch's gateway.
    pub(crate) remove_preview: Option<String>,
    /// A file with a text that the keys of a preview are derived from, where nobody sees what is printed.
    pub(crate) seed: Option<PathBuf>,
    /// Lines NAME=value.
    pub(crate) secrets: Option<PathBuf>,
    /// Spin: where the component is pushed to, such as `registry.example/me/moegate:1`.
    pub(crate) registry: Option<String>,
    /// Where it will answer; on Workers wrangler says that.
    pub(crate) url: Option<String>,
}

impl Options {
    /// What contradicts itself.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        match self.host {
            Host::Worker if self.registry.is_some() => Some("--registry is for `deploy spin`"),
            Host::Spin if self.registry.is_none() => {
                Some("`deploy spin` wants --registry REFERENCE: where hosts fetch the component from")
            }
            _ if self.seed.is_some() && self.preview.is_none() => Some("--seed is for --preview"),
            Host::Spin if self.preview.is_some() || self.remove_preview.is_some() => {
                Some("--preview is for `deploy workers`: push to another --registry reference instead")
            }
            _ => None,
        }
    }
}

pub(crate) fn deploy(setup: &Setup, options: &Options) -> Result<()> {
    let node = if options.host == Host::Worker { Some(setup.node()?) } else { None };
    let tools = Tools {
        wrangler: Box::new(move || {
            node.as_ref().map_or_else(|| Command::new("wrangler"), |node| node.wrangler())
        }),
        spin: Box::new(|| Command::new("spin")),
        curl: Box::new(|| Command::new("curl")),
    };
    let mut said = stderr().lock();
    let mut steps = Steps { root: &setup.root, tools, dry_run: options.dry_run, said: &mut said };
    run(&mut steps, options, &mut Terminal)
}

/// All of it. What is asked comes from `asking`.
fn run(steps: &mut Steps<'_>, options: &Options, asking: &mut dyn Asking) -> Result<()> {
    if let Some(branch) = &options.remove_preview {
        let mut delete = (steps.tools.wrangler)();
        delete.args(["delete", "--force", "--name", &preview_name(branch)?]);
        return steps.must(delete, "remove the preview").map(drop);
    }
    let config = check(steps, options.host)?;
    let given = options.secrets.as_deref().map(files::read).transpose()?.unwrap_or_default();
    let read = |file: &PathBuf| fs::read_to_string(file).at("read", file);
    let name = options.preview.as_deref().map(preview_name).transpose()?;
    let seed = options.seed.as_ref().map(read).transpose()?.zip(name.clone());
    if seed.as_ref().is_some_and(|(seed, _)| seed.trim().len() < 32) {
        return Err(Failure::new("the seed has less than 32 characters").remedy("openssl rand -hex 32"));
    }
    let values = Values { config: &config, given, seed };
    match options.host {
        Host::Worker => workers(steps, options, name.as_deref(), &values, asking),
        Host::Spin => spin(steps, options, &values, asking),
    }
}

fn check(steps: &mut Steps<'_>, host: Host) -> Result<Config> {
    let platform = if host == Host::Worker { Platform::Workers } else { Platform::Spin };
    let file = steps.root.join("moegate.toml");
    let text = fs::read_to_string(&file).at("read", &file)?;
    steps.say(&format!("check moegate.toml by the rules of {platform}"))?;
    let config = authoring::parse_for(&text, Some(platform)).map_err(|problems| {
        let lines = problems.iter().map(ToString::to_string).collect();
        Failure::new("moegate.toml cannot be deployed").output(lines).remedy("change what is named")
    })?;
    match host {
        Host::Worker => {
            for origin in &config.origins {
                if origin.authority().is_some_and(|own| own.is_address() || own.is_loopback()) {
                    return Err(Failure::new(format!(
                        "origin `{}` is {}, which Cloudflare's edge does not reach",
                        origin.name, origin.url
                    ))
                    .remedy("give it a public name with https: docs/guides/private-origin.md has the ways"));
                }
            }
            steps.say("check wrangler.toml: KV namespace USAGE, Durable Object LEDGER and its migration")?;
            let file = steps.root.join("wrangler.toml");
            let text = fs::read_to_string(&file).at("read", &file)?;
            for (part, what) in [
                ("binding = \"USAGE\"", "the KV namespace's binding USAGE"),
                ("name = \"LEDGER\"", "the Durable Object's binding LEDGER"),
                ("new_sqlite_classes = [\"Ledger\"]", "the migration that makes the class Ledger"),
            ] {
                if !text.contains(part) {
                    return Err(Failure::new(format!("wrangler.toml lacks {what}"))
                        .remedy("take the lines over from this repository's wrangler.toml"));
                }
            }
        }
        Host::Spin => {
            steps.say("check spin.toml against moegate.toml")?;
            let file = steps.root.join("spin.toml");
            let text = fs::read_to_string(&file).at("read", &file)?;
            manifest::check(&text, &config).map_err(|problems| {
                let lines = problems.iter().map(ToString::to_string).collect();
                Failure::new("spin.toml does not fit moegate.toml").output(lines)
            })?;
        }
    }
    Ok(config)
}

fn workers(
    steps: &mut Steps<'_>,
    options: &Options,
    name: Option<&str>,
    values: &Values<'_>,
    asking: &mut dyn Asking,
) -> Result<()> {
    let with_name = |command: &mut Command| {
        if let Some(name) = name {
            command.args(["--name", name]);
        }
    };
    let mut who = (steps.tools.wrangler)();
    who.arg("whoami");
    steps.must(who, "see who is logged in to Cloudflare").map_err(|failure| {
        failure.remedy("`cargo xtask wrangler login`, or set CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID")
    })?;
    let mut list = (steps.tools.wrangler)();
    list.args(["secret", "list", "--format", "json"]);
    with_name(&mut list);
    // A Worker that is not there yet has none.
    let known = steps.may(list, "see which secrets are set")?.unwrap_or_default();
    let known = secrets::listed(&known);
    let made = values.complete(&known, steps, asking)?;
    let mut deploy = (steps.tools.wrangler)();
    deploy.arg("deploy");
    with_name(&mut deploy);
    let what = "build, make the namespace and the Durable Objects' class where they are missing, and deploy";
    let said = match made.is_empty() {
        true => steps.must(deploy, what)?,
        false => {
            let file = secrets::Private::write(steps, &made)?;
            deploy.arg("--secrets-file").arg(file.path());
            steps.must(deploy, what)?
        }
    };
    let url = options.url.clone().or_else(|| steps::url_in(&said));
    smoke(steps, url, values.config)
}

fn spin(
    steps: &mut Steps<'_>,
    options: &Options,
    values: &Values<'_>,
    asking: &mut dyn Asking,
) -> Result<()> {
    let mut build = (steps.tools.spin)();
    build.arg("build");
    steps.must(build, "build the component")?;
    let made = values.complete(&[], steps, asking)?;
    let file = steps.root.join("build/spin/variables.env");
    steps.say(&format!("write the host's variables to {}, readable by you alone", file.display()))?;
    if !steps.dry_run {
        secrets::write_variables(&file, &made)?;
    }
    // `problem` wants one.
    let reference = options.registry.as_deref().unwrap_or_default();
    let mut push = (steps.tools.spin)();
    push.args(["registry", "push", reference]);
    steps.must(push, "push the component")?;
    steps.say(&format!(
        "on the host, with that file's variables (deploy/systemd/moegate-spin.service does): spin up --from {reference}"
    ))?;
    match &options.url {
        Some(url) => smoke(steps, Some(url.clone()), values.config),
        None => steps.say("no --url: nothing was asked whether it serves"),
    }
}

/// Health without a key, and that a key is wanted.
fn smoke(steps: &mut Steps<'_>, url: Option<String>, config: &Config) -> Result<()> {
    let Some(url) = url else {
        if steps.dry_run {
            return steps.say("ask GET /health for 200, and GET /v1/models without a key for 401");
        }
        return Err(Failure::new("it is deployed, but wrangler printed no URL")
            .remedy("give --url: a Worker with `workers_dev = false` answers where its routes say"));
    };
    let url = url.trim_end_matches('/');
    for (path, wanted) in [("/health", "200"), ("/v1/models", "401")] {
        let mut curl = (steps.tools.curl)();
        curl.args(["--silent", "--show-error", "--max-time", "20", "--retry", "5", "--retry-all-errors"]);
        curl.args(["--output", "/dev/null", "--write-out", "%{http_code}"]).arg(format!("{url}{path}"));
        let said = steps.must(curl, &format!("ask GET {path} for {wanted}"))?;
        if !steps.dry_run && said.trim() != wanted {
            return Err(Failure::new(format!("GET {url}{path} gave {}, not {wanted}", said.trim())).remedy(
                "`cargo xtask wrangler tail` shows what it says; `wrangler rollback` takes it back",
            ));
        }
    }
    let model = config.routes.first().map_or("MODEL", |route| &route.model);
    steps.say(&format!("it serves: {url}/v1, with a model such as `{model}`"))
}

/// The name of a branch's Worker: letters, digits and dashes, at most 54 of them (a label of workers.dev has 63).
fn preview_name(branch: &str) -> Result<String> {
    let lower = branch.to_ascii_lowercase();
    let dashed: String = lower.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let name = dashed.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
    if name.is_empty() {
        return Err(Failure::new(format!("--preview {branch:?} has no letter or digit to make a name of")));
    }
    let name = name.get(..46).unwrap_or(&name).trim_end_matches('-');
    Ok(format!("moegate-{name}"))
}

struct Terminal;

impl Asking for Terminal {
    fn is_there(&self) -> bool {
        stdin().is_terminal() && stderr().is_terminal()
    }

    /// What is typed is not shown where the terminal can do that.
    fn ask(&mut self, question: &str) -> Result<String> {
        let _ = write!(stderr(), "{question}: ");
        let echo = |on: &str| Command::new("stty").arg(on).status().is_ok_and(|status| status.success());
        let hidden = echo("-echo");
        let mut line = String::new();
        let read = stdin().lock().read_line(&mut line);
        if hidden {
            echo("echo");
            let _ = writeln!(stderr());
        }
        read.at("read", Path::new("the terminal"))?;
        Ok(line.trim().to_owned())
    }
}
