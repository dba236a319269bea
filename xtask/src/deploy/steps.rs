//! Steps: said before they are done, or said only.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::{Failure, Result};

type Tool = Box<dyn Fn() -> Command>;

/// The programs that do the work.
pub(super) struct Tools {
    pub(super) wrangler: Tool,
    pub(super) spin: Tool,
    pub(super) curl: Tool,
}

pub(super) struct Steps<'a> {
    pub(super) root: &'a Path,
    pub(super) tools: Tools,
    pub(super) dry_run: bool,
    pub(super) said: &'a mut dyn Write,
}

impl Steps<'_> {
    pub(super) fn say(&mut self, line: &str) -> Result<()> {
        let mark = if self.dry_run { "would " } else { "" };
        writeln!(self.said, "{mark}{line}").map_err(|error| Failure::new(format!("cannot print: {error}")))
    }

    /// Runs a program, and gives what it printed; nothing in a dry run. What it prints is shown.
    pub(super) fn must(&mut self, command: Command, what: &str) -> Result<String> {
        let program = shown(&command);
        match self.output(command, what)? {
            None => Ok(String::new()),
            Some((true, text)) => Ok(text),
            Some((false, text)) => {
                let last: Vec<_> = text.lines().rev().take(12).map(str::to_owned).collect();
                Err(Failure::new(format!("{what}: `{program}` failed"))
                    .output(last.into_iter().rev().collect()))
            }
        }
    }

    /// The same, where a failure says no more than that there is nothing.
    pub(super) fn may(&mut self, command: Command, what: &str) -> Result<Option<String>> {
        Ok(self.output(command, what)?.filter(|(good, _)| *good).map(|(_, text)| text))
    }

    fn output(&mut self, mut command: Command, what: &str) -> Result<Option<(bool, String)>> {
        let program = shown(&command);
        self.say(&format!("{what}: {program}"))?;
        if self.dry_run {
            return Ok(None);
        }
        let output = command.current_dir(self.root).stdin(Stdio::inherit()).stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| {
            Failure::new(format!("{what}: `{program}` cannot be started: {error}")).remedy("install it")
        })?;
        Ok(Some((output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())))
    }
}

/// Name and arguments; none of them is a secret.
fn shown(command: &Command) -> String {
    let name =
        Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    // wrangler is a script of Node's.
    let words = std::iter::once(name).chain(arguments);
    let words = words.map(|word| if word.ends_with("/wrangler.js") { "wrangler".to_owned() } else { word });
    words.skip_while(|word| word == "node").collect::<Vec<_>>().join(" ")
}

/// The first URL of a Worker in what wrangler prints.
pub(super) fn url_in(text: &str) -> Option<String> {
    let words = text.split_whitespace().filter(|word| word.starts_with("https://"));
    words
        .map(|word| word.trim_end_matches(['/', '.', ',']).to_owned())
        .find(|url| url.contains(".workers.dev"))
}
