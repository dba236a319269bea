//! Why a model cannot be run.

use std::fmt;

use crate::model::gguf::GgufError;

#[derive(Debug)]
pub enum ModelError {
    /// The file itself.
    Gguf(GgufError),
    /// Another architecture than this server runs.
    Architecture {
        found: String,
    },
    /// A metadata key whose value is not supported.
    Key {
        key: String,
        why: String,
    },
    /// Numbers that contradict each other.
    Config(String),
    MissingTensor(String),
    /// A tensor of another shape than the metadata say, both `[matrices, rows, columns]`.
    Shape {
        name: String,
        expected: [usize; 3],
        found: [usize; 3],
    },
    /// A tensor of a type that no kernel reads.
    Quantisation {
        name: String,
        found: String,
    },
    /// The thread pool could not be started, or the KV cache does not fit the address space.
    Resources(String),
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gguf(error) => error.fmt(f),
            Self::Architecture { found } => {
                write!(f, "general.architecture is {found:?}; this server runs \"llama4\" and \"qwen3moe\"")
            }
            Self::Key { key, why } => write!(f, "the metadata key {key:?} {why}"),
            Self::Config(why) => write!(f, "the model's metadata make no model: {why}"),
            Self::MissingTensor(name) => {
                write!(f, "the tensor {name:?} is missing; convert the model again, with its text part")
            }
            Self::Shape { name, expected, found } => write!(
                f,
                "the tensor {name:?} holds {found:?} [matrices, rows, columns] where the metadata say {expected:?}; \
                 convert the model again"
            ),
            Self::Quantisation { name, found } => write!(
                f,
                "the tensor {name:?} is {found}, which this server does not read as weights; convert the original model \
                 again, to F16 or to one of ggml's quantised types"
            ),
            Self::Resources(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ModelError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Gguf(error) => Some(error),
            _ => None,
        }
    }
}

impl From<GgufError> for ModelError {
    fn from(error: GgufError) -> Self {
        Self::Gguf(error)
    }
}
