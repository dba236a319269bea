//! One module, one idea: a source file has at most 400 lines.

use crate::File;

const WANTED: usize = 400;
const LIMIT: usize = 600;

/// Files that are longer, and may not grow beyond 600 lines. This list only ever gets shorter.
pub(crate) const LONG: &[&str] = &[];

pub(crate) fn is_short_enough(file: File<'_>) -> Vec<(usize, String)> {
    judge(file, LONG)
}

fn judge(file: File<'_>, long: &[&str]) -> Vec<(usize, String)> {
    if !file.has_extension(&["rs", "mjs", "js", "ts", "tsx", "py"]) || file.is_recorded() {
        return Vec::new();
    }
    let lines = file.text.lines().count();
    let problem = if lines > LIMIT {
        format!("{lines} lines; {LIMIT} is the limit for a source file: divide it by idea")
    } else if lines > WANTED && !long.contains(&file.path) {
        format!("{lines} lines, more than {WANTED}: divide it by idea")
    } else {
        return Vec::new();
    };
    vec![(0, problem)]
}

/// The entries of the list that are no longer true.
pub(crate) fn stale(long: &[&str], length_of: impl Fn(&str) -> Option<usize>) -> Vec<String> {
    long.iter()
        .filter_map(|path| match length_of(path) {
            None => Some(format!("{path} is gone: take it off the list in tests/tidy/src/size.rs")),
            Some(lines) if lines <= WANTED => {
                Some(format!("{path} has {lines} lines: take it off the list in tests/tidy/src/size.rs"))
            }
            Some(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_found_unless_it_is_listed_and_never_beyond_the_limit() {
        let of = |lines: usize, long| judge(File { path: "a.rs", text: &"x\n".repeat(lines) }, long).len();
        assert_eq!([of(400, &[]), of(401, &[]), of(401, &["a.rs"]), of(601, &["a.rs"])], [0, 1, 0, 1]);
        let text = &"x\n".repeat(1000);
        assert_eq!(is_short_enough(File { path: "package-lock.json", text }).len(), 0);
    }

    #[test]
    fn the_list_shrinks() {
        let length_of =
            |path: &str| [("a.rs", 401), ("b.rs", 400)].iter().find(|(at, _)| *at == path).map(|(_, n)| *n);
        let stale = stale(&["a.rs", "b.rs", "c.rs"], length_of);
        assert_eq!(stale.len(), 2);
        assert!(stale[0].starts_with("b.rs has 400") && stale[1].starts_with("c.rs is gone"), "{stale:?}");
    }
}
