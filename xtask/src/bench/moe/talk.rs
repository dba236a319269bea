//! Programs that are asked line by line and answer each line with one of JSON.

use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::process::{Running, Show, check_interrupted};

pub(super) struct Talker {
    running: Running,
    answers: Receiver<String>,
}

impl Talker {
    pub(super) fn start(name: &str, command: Command) -> Result<Self> {
        let (send, answers) = channel();
        let on_line = move |line: &str| {
            // Nobody listens any more when the talker is gone.
            let _ended = send.send(line.to_owned());
        };
        Ok(Self { running: Running::start_with(name, command, Show::Nothing, Box::new(on_line))?, answers })
    }

    /// The answer to one line.
    ///
    /// # Errors
    /// The program ended, or answered with something else than JSON.
    pub(super) fn ask(&mut self, line: &str) -> Result<Value> {
        self.running.say(line)?;
        loop {
            check_interrupted()?;
            match self.answers.recv_timeout(Duration::from_millis(50)) {
                Ok(answer) => {
                    return serde_json::from_str(&answer).map_err(|error| {
                        Failure::new(format!("{} answered {answer:?}: {error}", self.running.name))
                    });
                }
                Err(RecvTimeoutError::Timeout) => self.running.must_run()?,
                Err(RecvTimeoutError::Disconnected) => {
                    self.running.wait()?;
                    return Err(Failure::new(format!("{} ended", self.running.name))
                        .output(self.running.tail.lines()));
                }
            }
        }
    }

    /// The numbers in a field of the answer: a list, or one alone.
    ///
    /// # Errors
    /// As [`Self::ask`], and where the field has no number.
    pub(super) fn numbers(&mut self, line: &str, field: &str) -> Result<Vec<f64>> {
        let answer = self.ask(line)?;
        let numbers: Vec<f64> = match &answer[field] {
            Value::Array(list) => list.iter().filter_map(Value::as_f64).collect(),
            one => one.as_f64().into_iter().collect(),
        };
        if numbers.is_empty() {
            return Err(Failure::new(format!("{} answered without {field}: {answer}", self.running.name)));
        }
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talker(script: &str) -> Talker {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Talker::start("a script", command).unwrap()
    }

    #[test]
    fn a_line_is_answered_with_numbers() {
        let mut echo = talker(r#"while read a b; do echo "{\"x\":[$a,$b],\"y\":$b}"; done"#);
        assert_eq!(echo.numbers("1 2", "x").unwrap(), [1.0, 2.0]);
        assert_eq!(echo.numbers("3 4.5", "y").unwrap(), [4.5]);
        assert!(echo.numbers("1 2", "z").unwrap_err().to_string().contains("without z"));
    }

    #[test]
    fn an_end_and_another_language_are_told() {
        let failure = talker("read a; echo no").ask("x").unwrap_err().to_string();
        assert!(failure.contains("answered \"no\""), "{failure}");
        let failure = talker("read a; echo why >&2; exit 3").ask("x").unwrap_err().to_string();
        assert!(failure.contains("ended") && failure.contains("why"), "{failure}");
    }
}
