//! Just enough of Rust's syntax: words, comments, and what a `use` names.

/// Whether `needle` stands in `text` as whole words: `tokio` is in `tokio::spawn`, not in `my_tokio`.
pub(crate) fn has_word(text: &str, needle: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(needle).any(|(at, _)| {
        let before = text[..at].chars().next_back().is_some_and(is_part);
        let after = text[at + needle.len()..].chars().next().is_some_and(is_part);
        !before && !after
    })
}

/// The text without line comments, and with the contents of plain string literals taken out. Line numbers stay.
/// A raw string or a block comment may hide or show a little too much; neither is usual here.
pub(crate) fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut in_string = false;
    for line in text.lines() {
        let mut chars = line.chars().peekable();
        let mut before = ' ';
        while let Some(c) = chars.next() {
            if in_string {
                match c {
                    '\\' => {
                        chars.next();
                    }
                    '"' => {
                        in_string = false;
                        code.push('"');
                    }
                    _ => {}
                }
            } else if c == '/' && chars.peek() == Some(&'/') {
                break;
            } else {
                // '"' as a character literal opens no string.
                if c == '"' && !(before == '\'' && chars.peek() == Some(&'\'')) {
                    in_string = true;
                }
                code.push(c);
            }
            before = c;
        }
        code.push('\n');
    }
    code
}

/// Every path that the `use` items of the code name, with groups written out: `use std::{fs, time::Instant}` gives
/// `std::fs` and `std::time::Instant`. Each comes with its line.
pub(crate) fn used_paths(code: &str) -> Vec<(usize, String)> {
    let mut paths = Vec::new();
    let mut from = 0;
    while let Some(found) = code[from..].find("use ") {
        let start = from + found;
        let begins = code[..start].chars().next_back().is_none_or(|c| c.is_whitespace() || c == ')');
        let rest = &code[start + 4..];
        let end = rest.find(';').unwrap_or(rest.len());
        if begins {
            let line = code[..start].matches('\n').count() + 1;
            let tree: String = rest[..end].split_whitespace().collect::<Vec<_>>().join(" ");
            expand("", &tree, &mut |path| paths.push((line, path)));
        }
        from = start + 4;
    }
    paths
}

fn expand(prefix: &str, tree: &str, emit: &mut impl FnMut(String)) {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        if !tree.is_empty() {
            let path = tree.split(" as ").next().unwrap_or(tree);
            emit(format!("{prefix}{path}"));
        }
        return;
    };
    let close = tree.rfind('}').unwrap_or(tree.len());
    let prefix = format!("{prefix}{}", tree[..open].trim());
    let inner = &tree[open + 1..close];
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&prefix, &inner[start..at], emit);
                start = (at + 1).min(inner.len());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole() {
        assert!(has_word("tokio::spawn(x)", "tokio") && has_word("(tokio)", "tokio"));
        assert!(!has_word("my_tokio::spawn", "tokio") && !has_word("unsafe_code", "unsafe"));
    }

    #[test]
    fn comments_and_strings_are_not_code() {
        let code = code_of("let a = \"un//safe \\\" x\"; // unsafe\nlet q = '\"'; b\n");
        assert_eq!(code, "let a = \"\"; \nlet q = '\"'; b\n");
    }

    #[test]
    fn groups_are_written_out() {
        let code = "use std::{fs, time::{Duration, Instant as I}};\npub use a::b;\n";
        let paths: Vec<String> = used_paths(code).into_iter().map(|(_, path)| path).collect();
        assert_eq!(paths, ["std::fs", "std::time::Duration", "std::time::Instant", "a::b"]);
    }
}
