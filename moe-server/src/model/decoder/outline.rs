//! A model's outline: its configuration, and what each of its weights would be. None of them is read.

use super::{
    Model, ModelError, Outline,
    from_gguf::config,
    loader::{self, Source},
};
use crate::model::gguf::Gguf;

/// A [`Model`] whose matrices are told and not there, and whose vectors are their lengths.
pub type ModelOutline = Model<Outline, usize>;

struct Outlines<'a>(&'a Gguf);

impl Source for Outlines<'_> {
    type Matrix = Outline;
    type Vector = usize;

    fn find(&mut self, name: &str) -> Result<Option<Outline>, ModelError> {
        self.0.find_tensor(name).map(|info| Outline::of(&info)).transpose()
    }

    fn shape(matrix: &Outline) -> [usize; 3] {
        matrix.shape
    }

    fn vector(matrix: &Outline) -> usize {
        matrix.shape[2]
    }
}

impl ModelOutline {
    /// By the file's header and table of tensors.
    ///
    /// # Errors
    /// [`ModelError`], as [`Model::from_gguf`] gives for the same file.
    pub fn of(file: &Gguf) -> Result<Self, ModelError> {
        loader::load(config(file)?, &mut Outlines(file))
    }

    /// Whether the output is the embedding again.
    #[must_use]
    pub fn is_tied(&self) -> bool {
        self.embedding.name == self.output.name
    }
}
