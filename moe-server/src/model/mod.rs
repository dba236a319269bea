//! A model's file and all that text needs: tokenizer and chat template.

pub mod gguf;
pub mod llama4;
