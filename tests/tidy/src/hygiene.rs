//! Small things that otherwise cost a review comment each.

use crate::{File, lines_where};

pub(crate) fn ends_with_one_newline(file: File<'_>) -> Vec<(usize, String)> {
    let fine = file.text.is_empty() || (file.text.ends_with('\n') && !file.text.ends_with("\n\n"));
    if fine || file.is_recorded() {
        return Vec::new();
    }
    vec![(file.text.lines().count(), "the file does not end with exactly one newline".to_owned())]
}

pub(crate) fn has_no_conflict_or_carriage_return(file: File<'_>) -> Vec<(usize, String)> {
    if file.is_recorded() {
        return Vec::new();
    }
    // `lines` takes a carriage return off the end, hence `split`.
    (1..)
        .zip(file.text.split('\n'))
        .filter_map(|(number, line)| {
            if line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ") {
                Some((number, "a merge conflict is left here".to_owned()))
            } else if line.ends_with('\r') {
                Some((number, "the line ends with a carriage return".to_owned()))
            } else {
                None
            }
        })
        .collect()
}

/// What is not finished, and tests that do not run.
const UNDONE: &[&str] = &[
    "todo!(",
    "unimplemented!(",
    "dbg!(",
    "#[ignore",
    "test.skip(",
    "test.only(",
    "test.todo(",
    "pytest.mark.skip",
    "unittest.skip",
];

pub(crate) fn leaves_nothing_undone(file: File<'_>) -> Vec<(usize, String)> {
    if !file.has_extension(&["rs", "mjs", "js", "ts", "tsx", "py"]) || file.is_tidy_itself() {
        return Vec::new();
    }
    lines_where(file.text, |line| {
        let found = UNDONE.iter().find(|mark| line.contains(**mark))?;
        Some(format!("{found} is not for the repository: finish it, or leave it out"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_newline_is_there_once() {
        for (text, expected) in [("a\n", 0), ("", 0), ("a", 1), ("a\n\n", 1)] {
            assert_eq!(ends_with_one_newline(File { path: "a.md", text }).len(), expected, "{text:?}");
        }
        assert_eq!(ends_with_one_newline(File { path: "tests/fixtures/a.sse", text: "a" }).len(), 0);
    }

    #[test]
    fn conflicts_and_carriage_returns_are_found() {
        for text in ["<<<<<<< HEAD\n", ">>>>>>> theirs\n", "a\r\n"] {
            assert_eq!(has_no_conflict_or_carriage_return(File { path: "a.rs", text }).len(), 1, "{text:?}");
        }
        assert_eq!(has_no_conflict_or_carriage_return(File { path: "a.rs", text: "a\nb\n" }).len(), 0);
    }

    #[test]
    fn unfinished_work_is_found() {
        for (path, text) in [
            ("src/a.rs", "fn f() { todo!() }\n"),
            ("src/a.rs", "#[ignore]\n"),
            ("src/a.rs", "#[ignore = \"slow\"]\n"),
            ("tests/clients/a.mjs", "test.skip('x', f);\n"),
            ("tests/clients/a.py", "@pytest.mark.skip\n"),
        ] {
            assert_eq!(leaves_nothing_undone(File { path, text }).len(), 1, "{text}");
        }
        assert_eq!(leaves_nothing_undone(File { path: "docs/a.md", text: "no todo!() here\n" }).len(), 0);
    }
}
