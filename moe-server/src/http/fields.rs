//! Reading a request's JSON by hand, so that an error can name the field, what it must be and what it is.

use super::error::ApiError;
use crate::json_kind;
use serde_json::{Map, Value};
use std::ops::RangeInclusive;

/// The error for a value of the wrong type.
#[must_use]
pub fn wrong(path: &str, expected: &str, value: &Value) -> ApiError {
    ApiError {
        code: "invalid_type",
        ..ApiError::invalid(path, format!("`{path}` must be {expected}, and is {}", json_kind::of(value)))
    }
}

/// A JSON object and the path to it, empty for the body itself.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    pub path: &'a str,
    pub map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    #[must_use]
    pub fn path_to(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The field, where it is present and not null.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    fn read<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| wrong(&self.path_to(name), expected, value))
    }

    /// # Errors
    /// Not a boolean.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, ApiError> {
        self.read(name, "a boolean", Value::as_bool)
    }

    /// # Errors
    /// Not a string.
    pub fn string(&self, name: &str) -> Result<Option<&'a str>, ApiError> {
        self.read(name, "a string", Value::as_str)
    }

    /// # Errors
    /// Not a number, or out of `range`.
    pub fn number(&self, name: &str, range: RangeInclusive<f64>) -> Result<Option<f64>, ApiError> {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        let number = self.read(name, &expected, Value::as_f64)?;
        self.within(name, &expected, number, number.is_none_or(|number| range.contains(&number)))
    }

    /// # Errors
    /// Not an integer, or less than `least`.
    pub fn integer(&self, name: &str, least: i64) -> Result<Option<i64>, ApiError> {
        let expected = if least == i64::MIN {
            "an integer of 64 bits".to_owned()
        } else {
            format!("an integer of at least {least}")
        };
        if least != i64::MIN
            && let Some(value) = self.get(name)
            && value.as_i64().is_none()
            && value.as_f64().is_some_and(|value| value >= 9e15)
        {
            let path = self.path_to(name);
            return Err(ApiError::invalid(path.clone(), format!("`{path}` is too large: it is {value}")));
        }
        // Some clients write whole numbers with a fraction: 16.0.
        #[expect(clippy::cast_possible_truncation, reason = "whole, and below 2^53")]
        let whole = |value: &Value| {
            let float = || value.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9e15).map(|f| f as i64);
            // The seed is a bit pattern: let the upper half of u64 through.
            value.as_i64().or_else(|| value.as_u64().map(u64::cast_signed)).or_else(float)
        };
        let number = self.read(name, &expected, whole)?;
        self.within(name, &expected, number, number.is_none_or(|number| number >= least))
    }

    fn within<T: ToString>(
        &self,
        name: &str,
        expected: &str,
        value: Option<T>,
        ok: bool,
    ) -> Result<Option<T>, ApiError> {
        match value {
            Some(value) if !ok => {
                let path = self.path_to(name);
                let message = format!("`{path}` must be {expected}, and is {}", value.to_string());
                Err(ApiError::invalid(path, message))
            }
            value => Ok(value),
        }
    }
}
