//! `multipart/form-data` (RFC 7578), read strictly: what gateway and origin could read differently is refused. Nothing is
//! copied but the parts' names.

use crate::error::ApiError;
use memchr::memmem;
use std::ops::Range;

/// More parts than any of these endpoints has: images to edit are up to 16.
const MOST_PARTS: usize = 64;
/// The longest head of a part.
const LONGEST_HEAD: usize = 4096;

pub(super) struct Form<'a> {
    body: &'a [u8],
    pub(super) parts: Vec<Part>,
}

pub(super) struct Part {
    pub(super) name: String,
    /// It has a file's name.
    pub(super) is_file: bool,
    /// Where its content stands in the body.
    pub(super) content: Range<usize>,
    /// All of it, from its delimiter to the next.
    pub(super) whole: Range<usize>,
}

impl Form<'_> {
    /// A part's content as text; `None` for a file, or what is no text.
    pub(super) fn text(&self, at: usize) -> Option<&str> {
        let part = self.parts.get(at).filter(|part| !part.is_file)?;
        std::str::from_utf8(&self.body[part.content.clone()]).ok()
    }
}

fn bad(what: &str) -> ApiError {
    ApiError::invalid(
        "invalid_form",
        None,
        format!("the request body is not valid multipart/form-data: {what}"),
    )
}

/// The boundary that a content type names. `None`: it is another type.
///
/// # Errors
/// 400: it is a form without a boundary that RFC 2046, section 5.1.1, allows.
pub(super) fn boundary(content_type: &str) -> Result<Option<String>, ApiError> {
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Ok(None);
    }
    let mut found = None;
    for (name, value) in parameters_of(parameters).ok_or_else(|| bad("its content type cannot be read"))? {
        if name.eq_ignore_ascii_case("boundary") && found.replace(value).is_some() {
            return Err(bad("its content type names several boundaries"));
        }
    }
    let is_good = |boundary: &String| {
        (1..=70).contains(&boundary.len())
            && !boundary.ends_with(' ')
            && boundary.bytes().all(|b| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&b))
    };
    found.filter(is_good).map(Some).ok_or_else(|| bad("its content type names no boundary that can be one"))
}

/// `a=b; c="d"`, names as they stand there. `None` where it is something else.
fn parameters_of(text: &str) -> Option<Vec<(&str, String)>> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    loop {
        rest = rest.trim_start_matches([';', ' ', '\t']);
        if rest.is_empty() {
            return Some(found);
        }
        let (name, after) = rest.split_once('=')?;
        let is_token =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
        if !is_token(name) {
            return None;
        }
        let mut value = String::new();
        if let Some(quoted) = after.strip_prefix('"') {
            let mut chars = quoted.char_indices();
            let end = loop {
                match chars.next()? {
                    (at, '"') => break at + 1,
                    // Browsers write `%22`; a backslash in a file's name stands for itself.
                    (_, '\\') if chars.as_str().starts_with('"') => {
                        chars.next();
                        value.push('"');
                    }
                    (_, c) => value.push(c),
                }
            };
            rest = &quoted[end..];
            if !rest.trim_start().is_empty() && !rest.trim_start().starts_with(';') {
                return None;
            }
        } else {
            let end = after.find(';').unwrap_or(after.len());
            let text = after[..end].trim_end();
            if !is_token(text) {
                return None;
            }
            value.push_str(text);
            rest = &after[end..];
        }
        found.push((name, value));
    }
}

/// # Errors
/// 400 that says what is wrong with it.
pub(super) fn read<'a>(body: &'a [u8], boundary: &str) -> Result<Form<'a>, ApiError> {
    let first = format!("--{boundary}");
    if !body.starts_with(first.as_bytes()) {
        return Err(bad("it does not begin with the boundary that its content type names"));
    }
    let delimiter = format!("\r\n{first}");
    let delimiters = memmem::Finder::new(delimiter.as_bytes());
    let mut parts = Vec::new();
    let mut start = 0;
    // Behind a delimiter.
    let mut at = first.len();
    while !body[at..].starts_with(b"--") {
        if parts.len() == MOST_PARTS {
            return Err(bad("it has too many parts"));
        }
        let Some(head) = body[at..].strip_prefix(b"\r\n") else {
            return Err(bad("its boundary is followed by something else than a line's end"));
        };
        // The empty line may follow the boundary at once: a part without a head, which has no name.
        let shown = &head[..head.len().min(LONGEST_HEAD)];
        let length = memmem::find(shown, b"\r\n\r\n").ok_or_else(|| bad("a part's head has no end"))?;
        let (name, is_file) = name_of(&head[..length])?;
        let from = at + 2 + length + 4;
        let Some(length) = delimiters.find(&body[from..]) else { return Err(bad("it has no end")) };
        let content = from..from + length;
        at = content.end + delimiter.len();
        // The next delimiter, without the line's end before it.
        let next = content.end + 2;
        parts.push(Part { name, is_file, content, whole: start..next });
        start = next;
    }
    if !body[at + 2..].trim_ascii().is_empty() {
        return Err(bad("something follows its end"));
    }
    Ok(Form { body, parts })
}

/// The name that a part's head gives it, and whether it is a file.
fn name_of(head: &[u8]) -> Result<(String, bool), ApiError> {
    let head = std::str::from_utf8(head).map_err(|_| bad("a part's head is not UTF-8"))?;
    let mut found = None;
    for line in head.split("\r\n") {
        if line.contains(['\r', '\n']) || line.starts_with([' ', '\t']) {
            return Err(bad("a part's head is folded, or has a line of its own form"));
        }
        let (header, value) = line.split_once(':').ok_or_else(|| bad("a part's head cannot be read"))?;
        // RFC 7578, section 4.7: senders must not use it.
        if header.eq_ignore_ascii_case("content-transfer-encoding")
            && !matches!(value.trim().to_ascii_lowercase().as_str(), "binary" | "8bit" | "7bit")
        {
            return Err(bad("a part has a transfer encoding"));
        }
        if header.eq_ignore_ascii_case("content-disposition") && found.replace(value).is_some() {
            return Err(bad("a part has several dispositions"));
        }
    }
    let unnamed = || bad("a part has no name");
    let (kind, parameters) = found.and_then(|value| value.split_once(';')).ok_or_else(unnamed)?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err(bad("a part is not `form-data`"));
    }
    let mut name = None;
    let mut is_file = false;
    for (parameter, value) in parameters_of(parameters).ok_or_else(|| bad("a part's name cannot be read"))? {
        // RFC 7578, section 4.2: `name*` must not be used.
        if parameter.eq_ignore_ascii_case("name*") {
            return Err(bad("a part's name is in a form that RFC 7578 forbids"));
        }
        if parameter.eq_ignore_ascii_case("name") && name.replace(value).is_some() {
            return Err(bad("a part has several names"));
        }
        is_file |= parameter.eq_ignore_ascii_case("filename") || parameter.eq_ignore_ascii_case("filename*");
    }
    Ok((name.ok_or_else(unnamed)?, is_file))
}
