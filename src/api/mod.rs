//! The dialects clients speak.

pub mod openai;
