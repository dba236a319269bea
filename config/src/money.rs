//! Prices as people write them.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// US dollars per million tokens, written as a decimal string such as `"0.15"` and held in nano-dollars.
///
/// A string, since a TOML float would be binary: `0.1 + 0.2` has no place in a bill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct DollarsPerMillion(pub u64);

impl DollarsPerMillion {
    /// Digits, optionally a point and up to nine more.
    ///
    /// # Errors
    /// A sentence for the person who wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is not a price: write dollars as a decimal string, such as \"0.15\"");
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return Err(wrong());
        }
        if fraction.len() > 9 {
            return Err(format!("`{text}` is finer than a nano-dollar: at most nine digits after the point"));
        }
        let whole: u64 = whole.parse().map_err(|_| wrong())?;
        let fraction: u64 = format!("{fraction:0<9}").parse().map_err(|_| wrong())?;
        let nano = whole.checked_mul(1_000_000_000).and_then(|nano| nano.checked_add(fraction));
        nano.filter(|&nano| nano <= 1_000_000_000_000_000)
            .map(Self)
            .ok_or_else(|| format!("`{text}` is more than a million dollars; that must be a slip"))
    }
}

impl<'de> Deserialize<'de> for DollarsPerMillion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Serialize for DollarsPerMillion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&moegate_wire::Nanodollars(self.0).to_dollars())
    }
}

#[cfg(feature = "authoring")]
impl schemars::JsonSchema for DollarsPerMillion {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DollarsPerMillion".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9]+(\\.[0-9]{1,9})?$",
            "description": "US dollars per million tokens as a decimal string, such as \"0.15\"."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices() {
        for (text, nano) in [
            ("0", 0),
            ("0.15", 150_000_000),
            ("3", 3_000_000_000),
            ("0.000000001", 1),
            ("12.5", 12_500_000_000),
        ] {
            assert_eq!(DollarsPerMillion::parse(text), Ok(DollarsPerMillion(nano)), "{text}");
        }
        for text in
            ["", ".", "1.", ".5", "-1", "1e3", "0.0000000001", "99999999999999999999", "1000001", "$1", "1,5"]
        {
            assert!(DollarsPerMillion::parse(text).is_err(), "{text}");
        }
    }
}
