//! Files of secrets: lines of `NAME=value`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::failure::{At, Failure, Result};

/// Secrets by name.
pub(crate) type Secrets = BTreeMap<String, String>;

/// Reads a file.
pub(crate) fn read(file: &Path) -> Result<Secrets> {
    let text = std::fs::read_to_string(file).at("read", file)?;
    parse(&text, &file.display().to_string())
}

/// Blank lines and lines that begin with `#` are passed over; one pair of quotes around a value is taken off. An error
/// names file and line but nothing of its text, which may be a secret.
fn parse(text: &str, file: &str) -> Result<Secrets> {
    let mut secrets = Secrets::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let failure = |what: &str| Failure::new(format!("{file}:{number}: {what}"));
        let (name, value) = line.split_once('=').ok_or_else(|| failure("expected NAME=value"))?;
        let (name, value) = (name.trim_end(), unquoted(value.trim_start()));
        let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if name.is_empty() || !name.bytes().all(good) || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(failure("what stands before `=` is no name: use letters, digits and `_`"));
        }
        if value.chars().any(char::is_control) {
            return Err(failure("the value has a control character, which no header can have"));
        }
        if secrets.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(failure("the name has a value already, further up"));
        }
    }
    Ok(secrets)
}

fn unquoted(value: &str) -> &str {
    let inside = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

/// A file that [`parse`] and gateway.mjs read as these secrets.
pub(crate) fn to_text(secrets: &Secrets) -> String {
    secrets.iter().map(|(name, value)| format!("{name}=\"{value}\"\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_secrets_and_back() {
        let text = "# mine\n\nA=1\r\n  B_2 = \" two \"\nC='q\"'\nD=\"\nE=\nF=a=b#c\nG=\"\"x\"\"\n";
        let secrets = parse(text, "f").unwrap();
        let expected = [
            ("A", "1"),
            ("B_2", " two "),
            ("C", "q\""),
            ("D", "\""),
            ("E", ""),
            ("F", "a=b#c"),
            ("G", "\"x\""),
        ];
        assert_eq!(secrets, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(parse(&to_text(&secrets), "f").unwrap(), secrets);
    }

    #[test]
    fn a_bad_line_is_named_by_its_number_and_its_text_is_kept_back() {
        for line in
            ["sk-secret", "=sk-secret", "sk-secret=1", "1A=sk-secret", "a-b=sk-secret", "A=sk-\u{7}secret"]
        {
            let said = parse(&format!("A1=x\n\n{line}\n"), "keys.env").unwrap_err().to_string();
            assert!(said.contains("keys.env:3: ") && !said.contains("secret"), "{said}");
        }
        let said = parse("A=1\nA=sk-2\n", "keys.env").unwrap_err().to_string();
        assert!(said.contains("keys.env:2: ") && !said.contains("sk-2"), "{said}");
    }
}
