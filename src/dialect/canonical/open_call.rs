//! A tool call of a stream whose arguments are not whole yet, for APIs that say a call at once.

use std::borrow::Cow;

/// The call, as far as it has come.
#[derive(Debug, Clone)]
pub(in crate::dialect) struct OpenCall {
    /// Tells calls of one answer apart.
    slot: u64,
    pub(in crate::dialect) id: String,
    pub(in crate::dialect) name: String,
    pub(in crate::dialect) arguments: String,
    pub(in crate::dialect) signature: Option<String>,
}

impl OpenCall {
    /// Without arguments.
    pub(in crate::dialect) fn new(
        slot: u64,
        id: String,
        name: &str,
        signature: Option<&Cow<'_, str>>,
    ) -> Self {
        let signature = signature.map(|text| text.clone().into_owned());
        Self { slot, id, name: name.to_owned(), arguments: String::new(), signature }
    }

    /// Adds arguments to the latest call of that slot, and gives it; `None` where there is none.
    pub(in crate::dialect) fn add<'c>(calls: &'c mut [Self], slot: u64, json: &str) -> Option<&'c Self> {
        let call = calls.iter_mut().rev().find(|call| call.slot == slot)?;
        call.arguments.push_str(json);
        Some(call)
    }
}
