//! Writes JSON as it goes, in the order it is told: no tree in memory, and one copy of the code for all shapes.

use serde_json::value::RawValue;

/// A JSON text under way. Commas are its own business.
#[derive(Debug, Default)]
pub(crate) struct JsonWriter {
    text: Vec<u8>,
    /// Something stands before, which a comma follows.
    after: bool,
}

impl JsonWriter {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { text: Vec::with_capacity(bytes), after: false }
    }

    /// An object with what `fill` says.
    pub(crate) fn object(&mut self, fill: impl FnOnce(&mut Self)) {
        self.open(b'{');
        fill(self);
        self.close(b'}');
    }

    /// An array with what `fill` says.
    pub(crate) fn array(&mut self, fill: impl FnOnce(&mut Self)) {
        self.open(b'[');
        fill(self);
        self.close(b']');
    }

    /// A member's name; its value follows.
    pub(crate) fn key(&mut self, name: &str) -> &mut Self {
        self.string(name);
        self.text.push(b':');
        self.after = false;
        self
    }

    pub(crate) fn string(&mut self, text: &str) {
        self.comma();
        // A text always serialises.
        let quoted = serde_json::to_writer(&mut self.text, text);
        debug_assert!(quoted.is_ok());
        self.after = true;
    }

    /// A value that is JSON already.
    pub(crate) fn raw(&mut self, json: &str) {
        self.comma();
        self.text.extend_from_slice(json.as_bytes());
        self.after = true;
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.comma();
        self.text.extend_from_slice(number.to_string().as_bytes());
        self.after = true;
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.raw(if value { "true" } else { "false" });
    }

    pub(crate) fn member(&mut self, name: &str, text: &str) {
        self.key(name).string(text);
    }

    /// A member, if there is a value for it.
    pub(crate) fn optional(&mut self, name: &str, value: Option<&RawValue>) {
        if let Some(value) = value {
            self.key(name).raw(value.get());
        }
    }

    pub(crate) fn into_string(self) -> String {
        // All that was written was text.
        String::from_utf8(self.text).unwrap_or_default()
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.text
    }

    fn open(&mut self, bracket: u8) {
        self.comma();
        self.text.push(bracket);
        self.after = false;
    }

    fn close(&mut self, bracket: u8) {
        self.text.push(bracket);
        self.after = true;
    }

    fn comma(&mut self) {
        if self.after {
            self.text.push(b',');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_stand_where_they_belong() {
        let mut json = JsonWriter::default();
        json.object(|json| {
            json.member("a", "\"é\n");
            json.key("b").array(|json| {
                json.number(1);
                json.object(|_| {});
                json.bool(true);
            });
            json.optional("c", None);
            json.key("d").raw("null");
        });
        assert_eq!(json.into_string(), r#"{"a":"\"é\n","b":[1,{},true],"d":null}"#);
    }
}
