//! A model's file and all that is made of it: [`gguf`], the weights ([`decoder`]), [`tokenizer`], [`template`]. [`load`]
//! puts them together.
//!
//! A chat becomes tokens in two steps: [`ChatTemplate::render`] makes a [`Prompt`],
//! [`Tokenizer::encode_prompt`] its tokens.

pub mod decoder;
mod error;
mod fingerprint;
pub mod gguf;
mod load;
pub mod packing;
mod prompt;
pub mod template;
pub mod tokenizer;

pub use error::ModelError;
pub use load::{LoadOptions, LoadedModel, Loader, load};
pub use prompt::Prompt;
pub use template::{ChatTemplate, TemplateError};
pub use tokenizer::{Decoder, Special, Tokenizer};
