//! A request that goes on with an answer which another server began (`moegate_wire::resume`).

use super::error::ApiError;
use super::fields::{Fields, wrong};
use crate::engine::TokenId;
use crate::schedule::output::Output;
use crate::schedule::track::Finish;
use axum::http::{HeaderMap, StatusCode};
use moegate_wire::header::RESUME;
use moegate_wire::resume::{FIELD, Handle, INVALID, MISMATCH, WANTED};
use serde_json::Value;

/// Whether the chunks of a stream shall list their tokens.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    headers.get(RESUME).is_some_and(|value| value == WANTED)
}

fn invalid(param: String, message: String) -> ApiError {
    ApiError { code: INVALID, ..ApiError::invalid(param, message) }
}

fn ill_typed(path: &str, expected: &str, value: &Value) -> ApiError {
    ApiError { code: INVALID, ..wrong(path, expected, value) }
}

/// Reads the field of a body, without a look at the model.
///
/// # Errors
/// 400 `invalid_resume`.
pub(super) fn parse(fields: &Fields<'_>) -> Result<Option<Handle>, ApiError> {
    let map = match fields.get(FIELD) {
        None => return Ok(None),
        Some(Value::Object(map)) => map,
        Some(other) => return Err(ill_typed(FIELD, "an object with `tokens` and `vocab`", other)),
    };
    let fields = Fields { path: FIELD, map };
    let field = |name| {
        let path = fields.path_to(name);
        fields
            .get(name)
            .ok_or_else(|| invalid(path.clone(), format!("`{path}` is missing: send it as chunks had it")))
    };
    let path = fields.path_to("tokens");
    let tokens = field("tokens")?;
    let ids = tokens.as_array().ok_or_else(|| ill_typed(&path, "an array of token ids", tokens))?;
    let id = |(index, value): (usize, &Value)| {
        let id = value.as_u64().and_then(|id| TokenId::try_from(id).ok());
        id.ok_or_else(|| ill_typed(&format!("{path}[{index}]"), "a token id", value))
    };
    let vocab = field("vocab")?;
    let text = vocab.as_str().ok_or_else(|| ill_typed(&fields.path_to("vocab"), "a string", vocab))?;
    let tokens = ids.iter().enumerate().map(id).collect::<Result<_, _>>()?;
    Ok(Some(Handle { tokens, vocab: text.to_owned() }))
}

/// Whether the handle is of this vocabulary.
///
/// # Errors
/// 409 `resume_mismatch`; 400 `invalid_resume` for tokens outside of it.
pub(super) fn check(handle: &Handle, vocab: &str, vocab_size: usize) -> Result<(), ApiError> {
    if handle.vocab != vocab {
        let message = format!(
            "the tokens of `{FIELD}` are of another tokenizer or chat template than this server's, which is {vocab}: \
             resume where the same model file is served, or begin anew"
        );
        let error = ApiError::new(StatusCode::CONFLICT, MISMATCH, message);
        return Err(ApiError { param: Some(format!("{FIELD}.vocab")), ..error });
    }
    match handle.tokens.iter().enumerate().find(|&(_, &id)| id as usize >= vocab_size) {
        None => Ok(()),
        Some((index, id)) => {
            let path = format!("{FIELD}.tokens[{index}]");
            let message = format!("`{path}` is {id}, and the model's token ids end at {}", vocab_size - 1);
            Err(invalid(path, message))
        }
    }
}

/// Brings a new output to where it was behind these tokens; answers how the answer ended, if it did with the last.
///
/// # Errors
/// 400 `invalid_resume` for more tokens than the answer has.
pub(super) fn replay(
    output: &mut Output,
    tokens: &[TokenId],
    max_tokens: usize,
) -> Result<Option<Finish>, ApiError> {
    let path = format!("{FIELD}.tokens");
    let count = tokens.len();
    if count > max_tokens {
        let message = format!("`{path}` holds {count} tokens, and the answer may have {max_tokens} at most");
        return Err(invalid(path, message));
    }
    output.replay(tokens).map_err(|end| {
        let message = format!("`{path}` holds {count} tokens, and the answer ends with the first {end}");
        invalid(path, message)
    })
}
