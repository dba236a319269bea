//! The members of an object that a client sent: read by name, and what is left is told.

use crate::dialect::json::{Text, says_something, whole_number};
use crate::error::{ApiError, shown_name};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// An object's members, and where in the request it stands (`messages[2].content[0]`; empty for the body itself).
#[derive(Debug)]
pub(in crate::dialect) struct Fields<'a> {
    path: String,
    members: Vec<(Cow<'a, str>, Option<&'a RawValue>)>,
}

/// Objects with more members are refused: a body of many megabytes could hold millions, each of which takes memory.
const MOST_MEMBERS: usize = 10_000;
/// Arrays with more elements are refused, for the same reason.
const MOST_ELEMENTS: usize = 100_000;
/// So many members that nobody read are told.
const MOST_TOLD: usize = 100;

/// Of a member given twice the last one holds, as in most parsers.
fn keep_last(members: &mut Vec<(Cow<'_, str>, Option<&RawValue>)>) {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_unstable_by(|&a, &b| members[a].0.cmp(&members[b].0).then(a.cmp(&b)));
    let mut is_last = vec![true; members.len()];
    for pair in order.windows(2) {
        is_last[pair[0]] = members[pair[0]].0 != members[pair[1]].0;
    }
    let mut is_last = is_last.into_iter();
    members.retain(|_| is_last.next().unwrap_or(true));
}

/// The elements of an array that a client sent. `must`: what it must be.
///
/// # Errors
/// 400: it is none, or has too many elements.
pub(in crate::dialect) fn client_list<'a>(
    raw: &'a RawValue,
    path: &str,
    must: &str,
) -> Result<Vec<&'a RawValue>, ApiError> {
    let elements: Result<Elements<'a>, _> = serde_json::from_str(raw.get());
    match elements {
        Ok(Elements(elements)) if elements.len() > MOST_ELEMENTS => {
            Err(wrong(path, "has too many elements: at most 100000 are read"))
        }
        Ok(Elements(elements)) => Ok(elements),
        Err(_) => Err(wrong(path, must)),
    }
}

struct Elements<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Array;
        impl<'de> Visitor<'de> for Array {
            type Value = Elements<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Elements<'de>, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element::<&RawValue>()? {
                    // One too many shows that there are too many.
                    if elements.len() <= MOST_ELEMENTS {
                        elements.push(element);
                    }
                }
                Ok(Elements(elements))
            }
        }
        deserializer.deserialize_seq(Array)
    }
}

struct Members<'a>(Vec<(Cow<'a, str>, Option<&'a RawValue>)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members: Vec<(Cow<'de, str>, Option<&'de RawValue>)> = Vec::new();
                while let Some(Text(name)) = map.next_key()? {
                    let value = map.next_value::<&RawValue>()?;
                    // One too many shows that there are too many.
                    if members.len() <= MOST_MEMBERS {
                        members.push((name, Some(value)));
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl<'a> Fields<'a> {
    /// # Errors
    /// 400: it is no object.
    pub(in crate::dialect) fn of(raw: &'a RawValue, path: impl Into<String>) -> Result<Self, ApiError> {
        Self::of_text(raw.get(), path)
    }

    /// Of a whole body.
    ///
    /// # Errors
    /// 400: it is no object.
    pub(in crate::dialect) fn of_text(text: &'a str, path: impl Into<String>) -> Result<Self, ApiError> {
        let path = path.into();
        let members: Result<Members<'a>, _> = serde_json::from_str(text);
        match members {
            Ok(Members(members)) if members.len() > MOST_MEMBERS => {
                Err(wrong(&path, "has too many members: at most 10000 are read"))
            }
            Ok(Members(mut members)) => {
                keep_last(&mut members);
                Ok(Self { path, members })
            }
            Err(_) => Err(wrong(&path, "must be an object")),
        }
    }

    /// The path of a member.
    pub(in crate::dialect) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Takes a member's value; null is none.
    pub(in crate::dialect) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        #[cfg(test)]
        asked::add(self.path(name));
        let (_, value) = self.members.iter_mut().find(|(own, _)| own == name)?;
        value.take().filter(|raw| raw.get() != "null")
    }

    /// Members that need not be said to anybody: hints, and what the gateway itself looks at.
    pub(in crate::dialect) fn skip(&mut self, names: &[&str]) {
        for name in names {
            self.take(name);
        }
    }

    /// # Errors
    /// 400: it is no string.
    pub(in crate::dialect) fn text(&mut self, name: &str) -> Result<Option<Cow<'a, str>>, ApiError> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        let text: Result<Text<'a>, _> = serde_json::from_str(raw.get());
        text.map(|Text(text)| Some(text)).map_err(|_| wrong(&self.path(name), "must be a string"))
    }

    /// # Errors
    /// 400: it is missing, or no string.
    pub(in crate::dialect) fn needed_text(&mut self, name: &str) -> Result<Cow<'a, str>, ApiError> {
        self.text(name)?.ok_or_else(|| missing(&self.path(name)))
    }

    /// # Errors
    /// 400: it is no boolean.
    pub(in crate::dialect) fn flag(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.take(name).map(RawValue::get) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(wrong(&self.path(name), "must be true or false")),
        }
    }

    /// # Errors
    /// 400: it is no whole number.
    pub(in crate::dialect) fn count(&mut self, name: &str) -> Result<Option<u64>, ApiError> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        whole_number(raw)
            .map(Some)
            .ok_or_else(|| wrong(&self.path(name), "must be a whole number, 0 or more"))
    }

    /// A number, as it stands there; none where it is `usual`.
    ///
    /// # Errors
    /// 400: it is no number.
    pub(in crate::dialect) fn number(
        &mut self,
        name: &str,
        usual: &[&str],
    ) -> Result<Option<&'a RawValue>, ApiError> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        if !raw.get().starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            return Err(wrong(&self.path(name), "must be a number"));
        }
        Ok((!usual.contains(&raw.get())).then_some(raw))
    }

    /// An array's elements, each with its path.
    ///
    /// # Errors
    /// 400: it is no array, or has too many elements.
    pub(in crate::dialect) fn elements(
        &mut self,
        name: &str,
    ) -> Result<Vec<(String, &'a RawValue)>, ApiError> {
        let Some(raw) = self.take(name) else { return Ok(Vec::new()) };
        let path = self.path(name);
        let elements = client_list(raw, &path, "must be an array")?;
        Ok(elements.into_iter().enumerate().map(|(at, raw)| (format!("{path}[{at}]"), raw)).collect())
    }

    /// Another object within.
    ///
    /// # Errors
    /// 400: it is no object.
    pub(in crate::dialect) fn object(&mut self, name: &str) -> Result<Option<Fields<'a>>, ApiError> {
        let path = self.path(name);
        self.take(name).map(|raw| Fields::of(raw, path)).transpose()
    }

    /// The same members under other names: for APIs that take several spellings of one.
    pub(in crate::dialect) fn renamed(mut self, name: fn(Cow<'a, str>) -> Cow<'a, str>) -> Self {
        for (own, _) in &mut self.members {
            *own = name(std::mem::take(own));
        }
        self
    }

    /// What nobody took, null aside.
    pub(in crate::dialect) fn into_members(self) -> Vec<(Cow<'a, str>, &'a RawValue)> {
        let members = self.members.into_iter().filter_map(|(name, value)| Some((name, value?)));
        members.filter(|(_, value)| value.get() != "null").collect()
    }

    /// The paths of what nobody took, where even `{}` asks for something.
    pub(in crate::dialect) fn rest_of_switches(self, others: &mut Vec<String>) {
        for (name, value) in &self.members {
            if others.len() < MOST_TOLD && value.is_some_and(|value| !matches!(value.get(), "null" | "false"))
            {
                others.push(self.path(&shown_name(name)));
            }
        }
    }

    /// The paths of what nobody took and that asks for something.
    pub(in crate::dialect) fn rest(self, others: &mut Vec<String>) {
        for (name, value) in &self.members {
            if others.len() < MOST_TOLD && value.is_some_and(says_something) {
                others.push(self.path(&shown_name(name)));
            }
        }
    }
}

/// 400 for a member of the wrong type.
pub(in crate::dialect) fn wrong(path: &str, must: &str) -> ApiError {
    let what = if path.is_empty() { "the request body" } else { path };
    let error = ApiError::invalid("wrong_type", None, format!("`{what}` {must}"));
    ApiError { param: (!path.is_empty()).then(|| Cow::Owned(path.to_owned())), ..error }
}

/// 400 for a member that is missing.
pub(in crate::dialect) fn missing(path: &str) -> ApiError {
    let error = ApiError::invalid("missing_field", None, format!("`{path}` is missing"));
    ApiError { param: Some(Cow::Owned(path.to_owned())), ..error }
}

/// 400 for a value that is not among those that there are.
pub(in crate::dialect) fn unknown(path: &str, value: &str, known: &str) -> ApiError {
    let message = format!("`{path}` is {:?}, but must be one of: {known}", shown_name(value));
    let error = ApiError::invalid("unknown_value", None, message);
    ApiError { param: Some(Cow::Owned(path.to_owned())), ..error }
}

/// For tests: the paths of all members that were asked for, there or not.
#[cfg(test)]
pub(in crate::dialect) mod asked {
    use std::cell::RefCell;

    thread_local! {
        static PATHS: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
    }

    pub(super) fn add(path: String) {
        PATHS.with_borrow_mut(|paths| {
            if let Some(paths) = paths {
                paths.push(path);
            }
        });
    }

    /// What `read` makes, and what this thread asked for meanwhile.
    pub(in crate::dialect) fn during<T>(read: impl FnOnce() -> T) -> (T, Vec<String>) {
        PATHS.set(Some(Vec::new()));
        let made = read();
        (made, PATHS.take().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_takes_is_told() {
        let text = r#"{"a":"x","b":1,"c":false,"d":{"e":[1]},"f":null,"g":2}"#;
        let mut fields = Fields::of_text(text, "m[0]").unwrap();
        assert_eq!(fields.text("a").unwrap().as_deref(), Some("x"));
        fields.skip(&["b"]);
        let mut others = Vec::new();
        let mut inner = fields.object("d").unwrap().unwrap();
        assert_eq!(inner.elements("e").unwrap()[0].0, "m[0].d.e[0]");
        inner.rest(&mut others);
        fields.rest(&mut others);
        assert_eq!(others, ["m[0].g"]);
    }

    #[test]
    fn wrong_types_are_named_with_their_place() {
        let mut fields = Fields::of_text(r#"{"a":1,"b":"x","c":-1}"#, "m[0]").unwrap();
        for error in [
            fields.text("a").unwrap_err(),
            fields.flag("b").unwrap_err(),
            fields.count("c").unwrap_err(),
            fields.needed_text("d").unwrap_err(),
        ] {
            assert_eq!(error.status, 400);
            assert!(error.param.unwrap().starts_with("m[0]."));
        }
        assert!(Fields::of_text("[]", "").is_err());
    }

    #[test]
    fn the_last_of_two_members_holds() {
        let fields = Fields::of_text(r#"{"b":1,"a":2,"b":3,"c":4,"a":5}"#, "").unwrap();
        let members: Vec<_> = fields.into_members().into_iter().map(|(n, v)| format!("{n}{v}")).collect();
        assert_eq!(members, ["b3", "c4", "a5"]);
    }

    #[test]
    fn what_has_too_many_parts_is_refused_by_name() {
        let text = format!("{{\"a\":[{}1],\"b\":[{}1]}}", "1,".repeat(100_000), "1,".repeat(99_999));
        let mut fields = Fields::of_text(&text, "m").unwrap();
        let error = fields.elements("a").unwrap_err();
        assert_eq!((error.status, error.param.as_deref()), (400, Some("m.a")));
        assert_eq!(fields.elements("b").unwrap().len(), 100_000);
        let members = |count: usize| {
            let members: Vec<_> = (0..count).map(|at| format!("\"{at}\":1")).collect();
            Fields::of_text(&format!("{{{}}}", members.join(",")), "m").map(|fields| {
                let mut others = Vec::new();
                fields.rest(&mut others);
                others.len()
            })
        };
        assert_eq!(members(10_000).unwrap(), 100);
        assert_eq!(members(10_001).unwrap_err().param.as_deref(), Some("m"));
    }
}
