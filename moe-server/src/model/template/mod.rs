//! Renders chats by the Jinja template that a model carries.
//!
//! **Invariant**: a template is data of the model's file: it has no way out of the values given to it, and its steps, its
//! depth and its output are bounded. (What one step allocates is not: a string can be doubled in every step. A request
//! can't do that, only a file that the operator chose.)

mod error;
mod messages;
mod python;

use std::{fmt, io, time::SystemTime};

use minijinja::{Environment, Error, ErrorKind, context, syntax::SyntaxConfig, value::Serde};
use serde_json::Value;

use super::{
    gguf::{Gguf, GgufError},
    prompt::{Guarding, Prompt},
};
pub use error::TemplateError;

/// The keys that name the first and the last token, and those of a packed file that hold their texts.
pub(super) const TOKEN_TEXTS: [(&str, &str); 2] = [
    ("tokenizer.ggml.bos_token_id", "moegate.packed.bos_text"),
    ("tokenizer.ggml.eos_token_id", "moegate.packed.eos_text"),
];

/// For Llama 4 files without a template: Meta's format (`llama4/chat_format.py`), tools as JSON in the system message.
const LLAMA4: &str = include_str!("llama4.jinja");
/// For Qwen3 files without one: ChatML, with tools as Qwen's models know them.
const CHATML: &str = include_str!("chatml.jinja");
const NAME: &str = "chat_template";
/// Instructions for one rendering: a message takes a few dozen.
const FUEL: u64 = 2_000_000;
const RECURSION_LIMIT: usize = 100;
const MAX_OUTPUT_BYTES: usize = 128 << 20;

/// A model's chat template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    guarding: Guarding,
    bos: String,
    eos: String,
    clock: fn() -> SystemTime,
}

impl fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatTemplate").finish_non_exhaustive()
    }
}

impl ChatTemplate {
    /// Compiles `tokenizer.chat_template`, or the built-in template of the architecture where the file has none.
    ///
    /// # Errors
    /// [`super::ModelError`] where the template has a syntax error, or there is none for this architecture.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, super::ModelError> {
        let source = match gguf.find::<&str>("tokenizer.chat_template")? {
            Some(source) => source,
            None => match gguf.get("general.architecture")? {
                "llama4" => LLAMA4,
                "qwen3moe" => CHATML,
                _ => return Err(GgufError::MissingKey("tokenizer.chat_template".to_owned()).into()),
            },
        };
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| TemplateError::Template(describe(&error)))?);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(RECURSION_LIMIT);
        environment.add_filter("tojson", python::tojson);
        environment.add_function("raise_exception", |why: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, "raise_exception").with_source(Raised(why)))
        });
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| TemplateError::Template(describe(&error)))?;
        Ok(Self {
            environment,
            source: source.to_owned(),
            guarding: Guarding::from_gguf(gguf)?,
            bos: token_text(gguf, TOKEN_TEXTS[0])?,
            eos: token_text(gguf, TOKEN_TEXTS[1])?,
            clock: SystemTime::now,
        })
    }

    /// The template's text.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What a packed file keeps of the tokens: the texts of the first and the last one, in the order of
    /// [`TOKEN_TEXTS`].
    pub(super) fn token_texts(&self) -> [&str; 2] {
        [&self.bos, &self.eos]
    }

    /// And the characters with which special tokens begin.
    pub(super) fn special_starts(&self) -> String {
        self.guarding.first_characters()
    }

    /// Takes the time that templates may ask for (`strftime_now`, in UTC) from `clock` instead of the system.
    #[must_use]
    pub fn with_clock(self, clock: fn() -> SystemTime) -> Self {
        Self { clock, ..self }
    }

    /// The prompt for `messages` and `tools` in OpenAI's form.
    ///
    /// # Errors
    /// [`TemplateError`], naming the field of the request that is at fault if one is.
    pub fn render(
        &self,
        messages: &Value,
        tools: Option<&Value>,
        add_generation_prompt: bool,
    ) -> Result<Prompt, TemplateError> {
        let mut messages = messages::normalise(messages)?;
        if self.source.contains(messages::THOUGHT_FIELD) && self.source.contains(messages::THOUGHT_END) {
            messages::set_thoughts_apart(&mut messages);
        }
        let mut tools = tools.filter(|tools| tools.as_array().is_none_or(|tools| !tools.is_empty())).cloned();
        tools.as_ref().map_or(Ok(()), messages::check_tools)?;
        let guard = Guarding::choose([&messages].into_iter().chain(&tools)).ok_or_else(|| {
            TemplateError::field("messages", "hold every private-use character; remove one")
        })?;
        self.guarding.apply(&mut messages, guard);
        if let Some(tools) = &mut tools {
            self.guarding.apply(tools, guard);
        }

        let clock = self.clock;
        let strftime_now = move |format: &str| python::strftime(format, clock());
        let template = self.environment.get_template(NAME).map_err(|error| failed(&error))?;
        let mut output = Bounded::default();
        let values = context! {
            messages => Serde(&messages),
            tools => Serde(&tools),
            add_generation_prompt => add_generation_prompt,
            bos_token => &self.bos,
            eos_token => &self.eos,
            strftime_now => minijinja::Value::from_function(strftime_now),
        };
        let rendered = template.render_captured_to(values, &mut output).map(drop);
        if output.full {
            return Err(TemplateError::TooLong);
        }
        rendered.map_err(|error| failed(&error))?;
        let text = String::from_utf8(output.bytes)
            .map_err(|_| TemplateError::Template("its output is not UTF-8".to_owned()))?;
        Ok(Prompt::new(text, guard))
    }
}

/// What a template said in `raise_exception`.
#[derive(Debug)]
struct Raised(String);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

fn failed(error: &Error) -> TemplateError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(Raised(why)) = error.downcast_ref() {
            return TemplateError::Refused(why.clone());
        }
        source = error.source();
    }
    match error.kind() {
        ErrorKind::OutOfFuel => TemplateError::TooLong,
        _ => TemplateError::Template(describe(error)),
    }
}

/// The error with its causes, in one line.
fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// The text of the token that `key` names; a packed file has it as `packed`.
fn token_text(gguf: &Gguf, (key, packed): (&str, &str)) -> Result<String, GgufError> {
    let Some(token) = gguf.find::<usize>(key)? else { return Ok(String::new()) };
    let Some(tokens) = gguf.find::<Vec<&str>>("tokenizer.ggml.tokens")? else {
        return Ok(gguf.get::<&str>(packed)?.to_owned());
    };
    Ok(tokens.get(token).copied().unwrap_or_default().to_owned())
}

/// Output that ends where it becomes absurd.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    /// Whether more was to be written.
    full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > MAX_OUTPUT_BYTES {
            self.full = true;
            return Err(io::Error::other(format!("its output is longer than {MAX_OUTPUT_BYTES} bytes")));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
