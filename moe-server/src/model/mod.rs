//! A model's file and all that is made of it: [`gguf`], its tensors ([`weights`]), what its layers do with them ([`decoder`]),
//! [`tokenizer`], [`template`]; and [`packing`], into a file that needs no work at start. [`crate::load`] puts them together.
//!
//! A chat becomes tokens in two steps: [`ChatTemplate::render`] makes a [`Prompt`],
//! [`Tokenizer::encode_prompt`] its tokens.

pub mod decoder;
mod error;
pub(crate) mod fingerprint;
pub mod gguf;
pub mod packing;
mod prompt;
pub mod template;
pub mod tokenizer;
pub mod weights;

pub use error::ModelError;
pub use prompt::Prompt;
pub use template::{ChatTemplate, TemplateError};
pub use tokenizer::{Decoder, Special, Tokenizer};
