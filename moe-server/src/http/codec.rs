//! Between text and tokens: what the surface needs of a model.

use super::error::ApiError;
use crate::engine::TokenId;
use crate::model::{ChatTemplate, Decoder, Special, TemplateError, Tokenizer};
use crate::schedule::text::Decode;
use axum::http::StatusCode;
use serde_json::Value;
use std::sync::Arc;

/// See the methods. A trait so that the surface is tested without a model's file.
pub trait Codec: Send + Sync {
    /// The tokens of a raw prompt: begins as the model wants it, and special tokens written in it are recognised,
    /// since whoever sends a raw prompt may write the chat's format by hand.
    fn encode(&self, text: &str) -> Vec<TokenId>;

    /// The tokens of a conversation (`[{"role", "content"}]`) up to where the assistant speaks. Text in messages
    /// makes no special tokens.
    ///
    /// # Errors
    /// The chat template does not take it.
    fn encode_chat(&self, messages: &Value) -> Result<Vec<TokenId>, ApiError>;

    /// The most bytes of text that one token stands for: longer texts have more tokens.
    fn longest_token(&self) -> usize;

    fn decoder(&self) -> Box<dyn Decode>;

    /// Whether this token ends an answer.
    fn is_end(&self, token: TokenId) -> bool;

    /// The fingerprint of the tokenizer and the template: 16 hex digits.
    fn vocab(&self) -> &str;
}

/// By the tokenizer and the template that a model brings.
#[derive(Debug)]
pub struct ModelCodec {
    pub tokenizer: Arc<Tokenizer>,
    pub template: Arc<ChatTemplate>,
    pub vocab: String,
}

impl Codec for ModelCodec {
    fn encode(&self, text: &str) -> Vec<TokenId> {
        let mut tokens = self.tokenizer.encode(text, Special::Parse);
        if let Some(bos) = self.tokenizer.bos().filter(|bos| tokens.first() != Some(bos)) {
            tokens.insert(0, bos);
        }
        tokens
    }

    fn encode_chat(&self, messages: &Value) -> Result<Vec<TokenId>, ApiError> {
        let prompt = self.template.render(messages, None, true).map_err(|error| match &error {
            TemplateError::Field { path, .. } => ApiError::invalid(path, error.to_string()),
            _ if error.is_of_request() => ApiError::invalid("messages", error.to_string()),
            _ => ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "chat_template_failed",
                format!("{error}; use /v1/completions, or convert the model with a working template"),
            ),
        })?;
        Ok(self.tokenizer.encode_prompt(&prompt))
    }

    fn longest_token(&self) -> usize {
        self.tokenizer.longest_token()
    }

    fn decoder(&self) -> Box<dyn Decode> {
        Box::new(Decoding(Some(self.tokenizer.decoder())))
    }

    fn is_end(&self, token: TokenId) -> bool {
        self.tokenizer.is_end(token)
    }

    fn vocab(&self) -> &str {
        &self.vocab
    }
}

/// A decoder until it is finished.
struct Decoding(Option<Decoder>);

impl Decode for Decoding {
    fn push(&mut self, token: TokenId) -> String {
        self.0.as_mut().map(|decoder| decoder.push(token)).unwrap_or_default()
    }

    fn finish(&mut self) -> String {
        self.0.take().map(Decoder::finish).unwrap_or_default()
    }
}
