//! JSON as bytes.

use serde::Deserialize;
use serde::de::Error;

/// Reads a value. It goes by way of text: for each type, `serde_json`'s reader of bytes would be compiled beside its reader of text.
///
/// # Errors
/// Bytes that are not UTF-8 anywhere, no JSON, or JSON of another form.
pub(crate) fn from_bytes<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> serde_json::Result<T> {
    str::from_utf8(bytes).map_err(Error::custom).and_then(serde_json::from_str)
}

#[cfg(test)]
mod tests {
    use super::from_bytes;

    #[test]
    fn text_is_looked_at_as_a_whole() {
        assert_eq!(from_bytes::<u8>(b" 7 ").unwrap(), 7);
        assert!(from_bytes::<u8>(b"7 8").is_err());
        // Also where a reader of bytes would not look: in what is skipped.
        let said = from_bytes::<()>(b"\"\xff\"").unwrap_err().to_string();
        assert!(said.contains("utf-8"), "{said}");
        from_bytes::<serde::de::IgnoredAny>(b"\"\xff\"").unwrap_err();
    }
}
