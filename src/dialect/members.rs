//! The members of a client's body, and the edits that take out or replace some of them: what every dialect does where the
//! origin speaks the client's own API.
//!
//! Everything else in a body passes untouched, byte for byte: only the spans that must differ are replaced.

use super::json::{Text, member, name_of, span};
use super::request::{CannotEncode, Changes};
use crate::config::{DeniedAction, is_harmless, is_same_field};
use crate::error::{ApiError, shown_name};
use crate::payload::{Edit, edited, sort_edits};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The byte order mark, in UTF-8.
const MARK: &str = "\u{feff}";

/// Bodies with more members are refused: one of many megabytes could hold millions, each of which takes memory.
const MOST_OTHERS: usize = 10_000;

/// No API has more members that the gateway looks at.
const MOST_KNOWN: usize = 16;

/// The members of a body's object.
#[derive(Debug)]
pub(super) struct Members<'a> {
    bytes: &'a [u8],
    names: &'static [&'static str],
    /// In the order of the names.
    known: [Option<&'a RawValue>; MOST_KNOWN],
    others: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// Reads an object by these names.
struct Object<'n, 'a> {
    names: &'n [&'static str],
    members: Members<'a>,
}

impl<'de> DeserializeSeed<'de> for Object<'_, 'de> {
    type Value = Members<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Members<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, 'de> {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Members<'de>, A::Error> {
        while let Some(Text(name)) = map.next_key()? {
            let value = map.next_value()?;
            match self.names.iter().position(|known| *known == name) {
                // Gateway and origin might read different ones.
                Some(at) if self.members.known[at].is_some() => {
                    return Err(A::Error::duplicate_field(self.names[at]));
                }
                Some(at) => self.members.known[at] = Some(value),
                None if self.members.others.len() >= MOST_OTHERS => {
                    return Err(A::Error::custom("it has more than 10000 members"));
                }
                None => self.members.others.push((name, value)),
            }
        }
        Ok(self.members)
    }
}

impl<'a> Members<'a> {
    /// Reads a body. `names`: the members that the gateway itself looks at; [`Self::get`] finds them by their place there.
    /// Such a member given twice, or under a name that only nearly differs, is refused: gateway and origin might read
    /// different ones.
    ///
    /// # Errors
    /// 400 that names the field and what it must be.
    pub(super) fn read(bytes: &'a [u8], names: &'static [&'static str]) -> Result<Self, ApiError> {
        let text = std::str::from_utf8(bytes).map_err(|e| {
            ApiError::invalid("invalid_json", None, format!("the request body is not UTF-8: {e}"))
        })?;
        // Some editors and shells begin a file with it (RFC 8259, section 8.1).
        let text = text.strip_prefix(MARK).unwrap_or(text);
        if text.trim_start().as_bytes().first() != Some(&b'{') {
            return Err(ApiError::invalid("invalid_json", None, "the request body must be a JSON object"));
        }
        debug_assert!(names.len() <= MOST_KNOWN);
        let members = Members { bytes, names, known: [None; MOST_KNOWN], others: Vec::new() };
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let members = Object { names, members }
            .deserialize(&mut deserializer)
            .and_then(|members| deserializer.end().map(|()| members))
            .map_err(|e| {
                ApiError::invalid("invalid_json", None, format!("the request body is not valid JSON: {e}"))
            })?;
        for (name, _) in &members.others {
            if let Some(known) = names.iter().find(|known| is_same_field(known, name)) {
                return Err(ApiError::invalid(
                    "ambiguous_field",
                    Some(known),
                    format!(
                        "{} differs from `{known}` only in case, `-` or `_`, and some origins would read it as that: write `{known}` or leave it out",
                        serde_json::Value::from(shown_name(name))
                    ),
                ));
            }
        }
        Ok(members)
    }

    /// The member whose name stands there in the list of names.
    pub(super) fn get(&self, at: usize) -> Option<&'a RawValue> {
        self.known[at]
    }

    /// A member of another name.
    pub(super) fn other(&self, name: &str) -> Option<&'a RawValue> {
        self.others.iter().find(|(own, _)| own == name).map(|(_, value)| *value)
    }

    /// The model's name.
    ///
    /// # Errors
    /// 400: it is missing, or no string.
    pub(super) fn model(&self, at: usize) -> Result<String, ApiError> {
        let model = self.known[at].ok_or_else(|| {
            ApiError::invalid(
                "missing_field",
                Some("model"),
                "`model` is missing: name the model to use; GET /v1/models lists them",
            )
        })?;
        let Text(model) =
            serde_json::from_str(model.get()).map_err(|_| wrong("model", "must be a string"))?;
        Ok(model.into_owned())
    }

    /// Where a member's value stands; an empty span for none.
    pub(super) fn span(&self, raw: Option<&RawValue>) -> std::ops::Range<usize> {
        raw.map_or(0..0, |raw| span(self.bytes, raw))
    }

    /// Another value for a member.
    pub(super) fn replaced(&self, old: &RawValue, text: String) -> Edit {
        Edit { span: span(self.bytes, old), text }
    }

    /// The body.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// A whole member goes.
    pub(super) fn removed(&self, value: &RawValue) -> Option<Edit> {
        member(self.bytes, span(self.bytes, value)).map(|span| Edit { span, text: String::new() })
    }

    /// Another name for a member.
    pub(super) fn renamed(&self, value: &RawValue, name: &str) -> Option<Edit> {
        let span = name_of(self.bytes, span(self.bytes, value).start)?;
        Some(Edit { span, text: format!("\"{name}\"") })
    }

    /// A member in front of all others. The object is not empty (it has a model), so a comma after it is right.
    pub(super) fn added(&self, member: &str) -> Edit {
        let brace = self.bytes.iter().position(|&b| b == b'{').unwrap_or(0) + 1;
        Edit { span: brace..brace, text: format!("{member},") }
    }

    /// One more element at the end of an array; `None` where it is none.
    pub(super) fn appended(&self, array: &RawValue, element: &str) -> Option<Edit> {
        let inner = array.get().strip_prefix('[')?.strip_suffix(']')?;
        let at = span(self.bytes, array).end - 1;
        let comma = if inner.trim().is_empty() { "" } else { "," };
        Some(Edit { span: at..at, text: format!("{comma}{element}") })
    }

    /// Elements of an array go; not all of them do. Both in their order.
    pub(super) fn without(&self, all: &[&RawValue], gone: &[&RawValue], edits: &mut Vec<Edit>) {
        let mut gone = gone.iter().peekable();
        let mut kept = false;
        for (at, raw) in all.iter().enumerate() {
            if gone.next_if(|own| std::ptr::eq(**own, *raw)).is_none() {
                kept = true;
                continue;
            }
            let own = span(self.bytes, raw);
            // With the comma before it, where something stands before; otherwise with the one behind it.
            let span = match (kept, all.get(at + 1)) {
                (true, _) => span(self.bytes, all[at - 1]).end..own.end,
                (false, Some(next)) => own.start..span(self.bytes, next).start,
                (false, None) => own,
            };
            edits.push(Edit { span, text: String::new() });
        }
    }

    /// What has to go whatever the API: a byte order mark, which many parsers refuse, and the members that the origin is
    /// not to get.
    ///
    /// # Errors
    /// The first one that its configuration refuses.
    pub(super) fn denied(&self, changes: &Changes<'_>, edits: &mut Vec<Edit>) -> Result<(), CannotEncode> {
        self.denied_but(changes, "", edits)
    }

    fn denied_but(
        &self,
        changes: &Changes<'_>,
        own: &str,
        edits: &mut Vec<Edit>,
    ) -> Result<(), CannotEncode> {
        if self.bytes.starts_with(MARK.as_bytes()) {
            edits.push(Edit { span: 0..MARK.len(), text: String::new() });
        }
        let known = self.names.iter().zip(&self.known);
        let known = known.filter_map(|(name, value)| value.map(|value| (*name, value)));
        let others = self.others.iter().map(|(name, value)| (&**name, *value));
        for (name, value) in known.chain(others) {
            if !changes.origin.denies(name) || is_harmless(name, value.get()) || name == own {
                continue;
            }
            match changes.origin.denied_action() {
                DeniedAction::Refuse => return Err(CannotEncode::Field(name.to_owned())),
                DeniedAction::Drop => edits.extend(self.removed(value)),
            }
        }
        Ok(())
    }

    /// The body without what [`Self::denied`] takes out, for reading it whole.
    ///
    /// # Errors
    /// As there.
    pub(super) fn allowed(&self, changes: &Changes<'_>) -> Result<Cow<'a, str>, CannotEncode> {
        self.allowed_but(changes, "")
    }

    /// The same, where the member `own` is the gateway's own business.
    ///
    /// # Errors
    /// As there.
    pub(super) fn allowed_but(&self, changes: &Changes<'_>, own: &str) -> Result<Cow<'a, str>, CannotEncode> {
        let mut edits = Vec::new();
        self.denied_but(changes, own, &mut edits)?;
        if edits.is_empty() {
            return Ok(String::from_utf8_lossy(self.bytes));
        }
        let bytes = edited(self.bytes, self.merged(edits));
        Ok(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The edits in their order. Members that stand together may share a comma when they go: the second begins within the
    /// first. What goes from the object's beginning takes the comma behind it along.
    pub(super) fn merged(&self, mut edits: Vec<Edit>) -> Vec<Edit> {
        sort_edits(&mut edits);
        edits.dedup_by(|later, earlier| {
            let overlaps = later.span.start < earlier.span.end;
            if overlaps {
                earlier.span.end = earlier.span.end.max(later.span.end);
                earlier.text.push_str(&later.text);
            }
            overlaps
        });
        for edit in edits.iter_mut().filter(|edit| edit.text.is_empty()) {
            let rest = self.bytes[edit.span.end..].trim_ascii_start();
            if self.bytes[..edit.span.start].trim_ascii_end().ends_with(b"{") && rest.starts_with(b",") {
                edit.span.end = self.bytes.len() - rest.len() + 1;
            }
        }
        edits
    }
}

/// 400 for a member of the wrong type.
pub(super) fn wrong(field: &'static str, must: &str) -> ApiError {
    ApiError::invalid("wrong_type", Some(field), format!("`{field}` {must}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_too_many_members_is_refused() {
        let body = |count: usize| format!("{{\"model\":\"m\"{}}}", ",\"x\":1".repeat(count));
        assert!(Members::read(body(MOST_OTHERS).as_bytes(), &["model"]).is_ok());
        let error = Members::read(body(MOST_OTHERS + 1).as_bytes(), &["model"]).unwrap_err();
        assert_eq!(error.status, 400);
        assert!(error.message.contains("more than 10000 members"), "{}", error.message);
    }

    #[test]
    fn elements_go_with_their_commas() {
        let body = br#"{"a":[1,2,3,4]}"#;
        let members = Members::read(body, &["a"]).unwrap();
        let all: Vec<&RawValue> = serde_json::from_str(members.get(0).unwrap().get()).unwrap();
        for (gone, left) in
            [(&[0, 2][..], "[2,4]"), (&[0, 1], "[3,4]"), (&[2, 3], "[1,2]"), (&[3], "[1,2,3]")]
        {
            let gone: Vec<_> = gone.iter().map(|&at| all[at]).collect();
            let mut edits = Vec::new();
            members.without(&all, &gone, &mut edits);
            let made = edited(body, members.merged(edits));
            assert_eq!(made, format!("{{\"a\":{left}}}").into_bytes());
        }
    }
}
