//! The resume handle: what another server of the same model needs to go on with a stream that broke off, exactly where it
//! did.
//!
//! A streamed request with the header [`crate::header::RESUME`] gets a [`Handle`] as the member [`MEMBER`] of every chunk
//! that carries text or the finish reason. It lists the tokens generated since the last such chunk. So the lists of all
//! chunks that arrived whole, one after the other, are the tokens behind exactly their text, including tokens whose text
//! is still held back (a part of a character, what may begin a stop string).
//!
//! The same request with those tokens in the field [`FIELD`] of its body is answered with what follows.

use serde::{Deserialize, Serialize};

/// The value of [`crate::header::RESUME`] that asks for handles.
pub const WANTED: &str = "1";
/// The field of a request's body; it holds a [`Handle`].
pub const FIELD: &str = "moegate_resume";
/// The top-level member of chunks and answers; it holds a [`Handle`], or [`Resumed`] beside the usage.
pub const MEMBER: &str = "moegate";
/// The code of the error for a handle of another vocabulary, with status 409.
pub const MISMATCH: &str = "resume_mismatch";
/// The code of the error for any other handle that cannot be resumed, with status 400.
pub const INVALID: &str = "invalid_resume";

/// Tokens of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    /// In the order of the answer, a token that ends it included.
    pub tokens: Vec<u32>,
    /// The fingerprint of tokenizer and chat template: 16 hex digits. Tokens mean nothing under another one.
    pub vocab: String,
}

/// Stands in the chunk with the usage (or the unstreamed answer) of a resumed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// How many tokens the request resumed; the usage counts them as prompt tokens.
    pub resumed_tokens: u64,
}
