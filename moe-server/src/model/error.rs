//! Why a model cannot be used.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::{gguf::GgufError, template::TemplateError, weights};

/// What is wrong with a model's file.
#[derive(Debug)]
pub enum ModelError {
    Gguf(GgufError),
    /// The tokenizer's metadata contradicts itself, or is of a kind not supported.
    Tokenizer(String),
    Template(TemplateError),
    /// A packed file that cannot be used, and why.
    Packed(String),
    /// The weights, or what they need to run.
    Weights(weights::ModelError),
    /// Any of these, with the file that it is about.
    InFile {
        path: PathBuf,
        error: Box<ModelError>,
    },
}

impl ModelError {
    /// The same with the file's name, where it is not named already.
    pub(crate) fn in_file(self, path: &Path) -> Self {
        match self {
            Self::Gguf(GgufError::Io { .. }) | Self::InFile { .. } => self,
            error => Self::InFile { path: path.to_owned(), error: Box::new(error) },
        }
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gguf(error) => error.fmt(f),
            Self::Tokenizer(why) => write!(f, "the model's tokenizer cannot be used: {why}"),
            Self::Template(error) => write!(f, "the metadata key \"tokenizer.chat_template\": {error}"),
            Self::Packed(why) => {
                write!(
                    f,
                    "this packed file cannot be used: {why}; pack the model again (moe-server pack MODEL.gguf)"
                )
            }
            Self::Weights(error) => error.fmt(f),
            Self::InFile { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for ModelError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Gguf(error) => Some(error),
            Self::Tokenizer(_) | Self::Packed(_) => None,
            Self::Template(error) => Some(error),
            Self::Weights(error) => Some(error),
            Self::InFile { error, .. } => Some(error),
        }
    }
}

impl From<GgufError> for ModelError {
    fn from(error: GgufError) -> Self {
        Self::Gguf(error)
    }
}

impl From<TemplateError> for ModelError {
    fn from(error: TemplateError) -> Self {
        Self::Template(error)
    }
}

impl From<weights::ModelError> for ModelError {
    fn from(error: weights::ModelError) -> Self {
        Self::Weights(error)
    }
}
