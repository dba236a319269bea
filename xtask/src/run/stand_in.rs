//! The stand-in provider: what the origins whose names begin with `mock-` are, without an account
//! (`xtask/node/stand-in.mjs`).

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use moegate_config::{Config, authoring};

use super::options::{Options, WithMock};
use crate::failure::{At, Failure, Result};
use crate::local::loopback_port;
use crate::net::is_free;
use crate::process::{Running, Show, tick};
use crate::setup::Setup;

const PREFIX: &str = "mock-";
const LIMIT: Duration = Duration::from_secs(30);

/// The one that a configuration asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StandIn {
    pub(super) port: u16,
}

impl StandIn {
    /// What `run` is to start beside the gateway of the configuration in `file`.
    pub(super) fn wanted(options: &Options, file: &Path) -> Result<Option<Self>> {
        let demo = options.config.is_none() && options.demo.is_none();
        match options.mock {
            WithMock::No => return Ok(None),
            WithMock::Demo if !demo => return Ok(None),
            WithMock::Demo | WithMock::Yes => {}
        }
        let text = fs::read_to_string(file).at("read", file)?;
        // What is wrong with the file is said where the gateway is built.
        let found = authoring::parse(&text).ok().and_then(|config| Self::of(&config));
        if found.is_none() && options.mock == WithMock::Yes {
            return Err(Failure::new(format!(
                "no origin in {} is the stand-in provider",
                file.display()
            ))
            .remedy(
                "add one: name = \"mock-openai\", kind = \"openai\", url = \"http://127.0.0.1:8790/openai/v1\" (docs/guides/stand-in.md)",
            ));
        }
        Ok(found)
    }

    /// The first such origin on loopback says the port; the others share it, each under a path of its own.
    fn of(config: &Config) -> Option<Self> {
        let named = config.origins.iter().filter(|origin| origin.name.starts_with(PREFIX));
        named.filter_map(|origin| loopback_port(&origin.url)).next().map(|port| Self { port })
    }

    /// Fails if the port is taken on which the gateway expects it.
    pub(super) fn check_port(&self) -> Result<()> {
        if is_free(self.port) {
            return Ok(());
        }
        Err(Failure::new(format!(
            "port {} is taken; the stand-in provider needs it, because the configuration has its origins there",
            self.port
        ))
        .remedy(format!(
            "end what listens there (`ss -ltnp 'sport = :{}'` names it), change the url of the origins mock-…, or add --no-mock",
            self.port
        )))
    }

    /// Starts it and waits until it listens.
    pub(super) fn start(&self, setup: &Setup, show: Show) -> Result<Running> {
        let mut command = setup.node()?.script(&setup.root.join("xtask/node/stand-in.mjs"));
        command.args(["--port", &self.port.to_string()]).current_dir(&setup.root);
        let (said, ready) = mpsc::channel();
        let on_line = move |line: &str| {
            if line.starts_with("{\"ready\":true") {
                // Nobody listens once it is ready; there is no second such line.
                let _heard = said.send(());
            }
        };
        let mut running = Running::start_with("the stand-in provider", command, show, Box::new(on_line))?;
        let until = Instant::now() + LIMIT;
        while ready.try_recv().is_err() {
            running.must_run()?;
            if Instant::now() > until {
                return Err(Failure::new("the stand-in provider was not ready after 30 s")
                    .output(running.tail.lines()));
            }
            tick()?;
        }
        Ok(running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    const CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../moegate.toml");

    #[test]
    fn it_is_started_with_the_checkouts_configuration_and_with_others_only_when_asked() {
        let file = Path::new(CHECKOUT);
        let with = |mock, config: Option<&Path>| Options {
            mock,
            config: config.map(PathBuf::from),
            ..Options::default()
        };
        let wanted = |options: &Options| StandIn::wanted(options, file).unwrap();
        assert_eq!(wanted(&with(WithMock::Demo, None)), Some(StandIn { port: 8790 }));
        assert_eq!(wanted(&with(WithMock::No, None)), None);
        assert_eq!(wanted(&with(WithMock::Demo, Some(file))), None);
        assert_eq!(wanted(&with(WithMock::Yes, Some(file))), Some(StandIn { port: 8790 }));
    }

    #[test]
    fn a_configuration_without_it_is_told_what_to_add() {
        let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/wake/moegate.toml"));
        let options = Options { mock: WithMock::Yes, config: Some(file.to_owned()), ..Options::default() };
        let text = StandIn::wanted(&options, file).unwrap_err().to_string();
        assert!(text.contains("mock-openai") && text.contains("8790"), "{text}");
    }
}
