//! The one error of this program: what could not be done, what the tool said last, and what to do about it.

use std::fmt;

pub(crate) type Result<T> = std::result::Result<T, Failure>;

#[derive(Debug)]
pub(crate) enum Failure {
    /// Something could not be done.
    Failed {
        what: String,
        /// The last lines of the tool that failed.
        output: Vec<String>,
        /// What to do next.
        remedy: Option<String>,
    },
    /// A signal asked this program to end; the number is the signal's.
    Interrupted(i32),
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self::Failed { what: what.into(), output: Vec::new(), remedy: None }
    }

    /// Adds what to do next; a remedy that is already there is nearer to the cause and stays.
    pub(crate) fn remedy(self, text: impl Into<String>) -> Self {
        match self {
            Self::Failed { what, output, remedy: None } => {
                Self::Failed { what, output, remedy: Some(text.into()) }
            }
            other => other,
        }
    }

    pub(crate) fn output(self, lines: Vec<String>) -> Self {
        match self {
            Self::Failed { what, remedy, .. } => Self::Failed { what, output: lines, remedy },
            other => other,
        }
    }

    /// Puts the name of the step in front.
    pub(crate) fn during(self, step: &str) -> Self {
        match self {
            Self::Failed { what, output, remedy } => {
                Self::Failed { what: format!("{step}: {what}"), output, remedy }
            }
            other @ Self::Interrupted(_) => other,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { what, output, remedy } => {
                write!(f, "error: {what}")?;
                if !output.is_empty() {
                    write!(f, "\n  its last output:")?;
                    for line in output {
                        write!(f, "\n    {line}")?;
                    }
                }
                if let Some(remedy) = remedy {
                    write!(f, "\n  what to do: {remedy}")?;
                }
                Ok(())
            }
            Self::Interrupted(signal) => write!(f, "ended by signal {signal}"),
        }
    }
}

/// Names the file or folder in an I/O error.
pub(crate) trait At<T> {
    fn at(self, doing: &str, path: &std::path::Path) -> Result<T>;
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, doing: &str, path: &std::path::Path) -> Result<T> {
        self.map_err(|error| Failure::new(format!("cannot {doing} {}: {error}", path.display())))
    }
}
