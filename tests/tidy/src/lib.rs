//! What every file of the repository keeps to. Each rule is a pure function of a path and a text, so that each has a
//! test which plants a violation; `tests/repository.rs` applies them to what git tracks.
#![forbid(unsafe_code)]

pub mod fresh;
mod hygiene;
mod portable;
mod pure;
mod size;
mod source;
mod unsafety;

/// One file as the rules see it.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// Relative to the root of the repository, with `/` between the parts.
    pub path: &'a str,
    /// The whole text; files that are not UTF-8 are not given to the rules.
    pub text: &'a str,
}

impl File<'_> {
    fn has_extension(&self, of: &[&str]) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, extension)| of.contains(&extension))
    }

    /// Recorded data: its bytes are as somebody else sent them.
    fn is_recorded(&self) -> bool {
        ["/fixtures/", "/goldens/", "/models/"].iter().any(|folder| self.path.contains(folder))
    }

    /// The rules' own source, which has to spell out what it forbids.
    fn is_tidy_itself(&self) -> bool {
        self.path.starts_with("tests/tidy/")
    }
}

/// A rule gives what is wrong with a file, each problem with its line (from 1; 0 for the whole file).
type Rule = fn(File<'_>) -> Vec<(usize, String)>;

const RULES: &[Rule] = &[
    hygiene::ends_with_one_newline,
    hygiene::has_no_conflict_or_carriage_return,
    hygiene::leaves_nothing_undone,
    portable::names_no_machine_path,
    portable::names_no_registry,
    pure::rooms_are_pure,
    size::is_short_enough,
    unsafety::is_where_it_belongs,
];

/// Everything that is wrong with a file, as lines `path:line: problem`.
#[must_use]
pub fn check(file: File<'_>) -> Vec<String> {
    RULES
        .iter()
        .flat_map(|rule| rule(file))
        .map(|(line, problem)| format!("{}:{line}: {problem}", file.path))
        .collect()
}

/// The entries of the list of long files that are no longer true; `length_of` gives the number of lines of a file
/// that is there.
#[must_use]
pub fn stale_exceptions(length_of: impl Fn(&str) -> Option<usize>) -> Vec<String> {
    size::stale(size::LONG, length_of)
}

/// The lines that satisfy a test, numbered from 1, each with the problem it shows.
fn lines_where(text: &str, problem: impl Fn(&str) -> Option<String>) -> Vec<(usize, String)> {
    text.lines().zip(1..).filter_map(|(line, number)| Some((number, problem(line)?))).collect()
}
