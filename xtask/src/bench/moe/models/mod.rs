//! The models that the bench runs: random weights in the shapes of real models, made on this machine.

mod blocks;
mod gguf;
mod llama4;
mod qwen3moe;
mod vocabulary;

use std::fs;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use crate::cache::Step;
use crate::failure::{At, Result};
use crate::setup::Setup;
pub(super) use blocks::Random;
use blocks::Type;
use gguf::{File, Fill, Tensor, Value};
use vocabulary::Vocabulary;

/// Elements of an attention head.
const HEAD: usize = 128;
/// Change it when the same shape gives another file.
const VERSION: &str = "2";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Architecture {
    Llama4,
    Qwen3Moe,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    /// Llama 4's 202,048 tokens.
    Real,
    MadeUp(usize),
}

/// Types of the tensors, as llama-quantize mixes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "llama.cpp's own names")]
pub(super) enum Mix {
    Q4_K_M,
    Q8_0,
}

impl Mix {
    fn most(self) -> Type {
        match self {
            Self::Q4_K_M => Type::Q4_K,
            Self::Q8_0 => Type::Q8_0,
        }
    }

    /// Of the output matrix.
    fn output(self) -> Type {
        match self {
            Self::Q4_K_M => Type::Q6_K,
            Self::Q8_0 => Type::Q8_0,
        }
    }

    /// Of the values' and the down projections (`use_more_bits` in llama-quant.cpp).
    fn more_bits(self, layer: usize, layers: usize) -> Type {
        let eighth = layers / 8;
        if layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2 {
            self.output()
        } else {
            self.most()
        }
    }

    /// llama.cpp's number for the mixture.
    fn file_type(self) -> u32 {
        match self {
            Self::Q4_K_M => 15,
            Self::Q8_0 => 7,
        }
    }
}

/// A model's shape. Hidden and expert sizes are multiples of 256, heads have [`HEAD`] elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) architecture: Architecture,
    pub(super) words: Words,
    pub(super) hidden: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) layers: usize,
    pub(super) experts: usize,
    pub(super) used: usize,
    /// The inner size of an expert.
    pub(super) expert: usize,
}

pub(super) const LLAMA4: Shape = Shape {
    name: "llama4-like",
    architecture: Architecture::Llama4,
    words: Words::Real,
    hidden: 2048,
    heads: 16,
    kv_heads: 4,
    layers: 8,
    experts: 16,
    used: 1,
    expert: 3328,
};

pub(super) const QWEN3: Shape = Shape {
    name: "qwen3moe-like",
    architecture: Architecture::Qwen3Moe,
    words: Words::MadeUp(151_936),
    hidden: 2048,
    heads: 32,
    kv_heads: 4,
    layers: 8,
    experts: 128,
    used: 8,
    expert: 768,
};

/// Fewer layers: as many as 4 GB hold.
pub(super) const QWEN3_SHORT: Shape = Shape { name: "qwen3moe-like-short", layers: 5, ..QWEN3 };

/// Small enough to be run in F32 as well, for the text check.
pub(super) const TEXT: Shape = Shape {
    name: "llama4-like-small",
    words: Words::MadeUp(32_768),
    hidden: 1024,
    heads: 8,
    kv_heads: 2,
    expert: 768,
    ..LLAMA4
};

impl Shape {
    /// The file, made first if it is not there.
    ///
    /// # Errors
    /// No room, or no vocabulary to be had.
    pub(super) fn file(&self, setup: &Setup, mix: Mix) -> Result<PathBuf> {
        let pins = format!("{VERSION} {self:?} {mix:?}");
        let folder = format!("model-{}-{mix:?}", self.name).to_lowercase();
        let step = Step {
            folder: &folder,
            what: &format!("a model of random weights, {} in {mix:?}", self.name),
            cost: "no download, 0.2 to 4 GB on disk",
            pins: &[&pins],
            remedy: "see that the disk has 4 GB free",
        };
        // Before the step: steps do not nest.
        let real = match self.words {
            Words::Real if !setup.cache.folder(&step).is_dir() => setup.llama4_vocabulary()?,
            _ => PathBuf::new(),
        };
        let folder = setup.cache.install(&step, |partial| {
            let vocabulary = match (self.words, self.architecture) {
                (Words::Real, _) => Vocabulary::llama4(&fs::read_to_string(&real).at("read", &real)?)?,
                (Words::MadeUp(size), Architecture::Llama4) => Vocabulary::made_up("llama4", size),
                (Words::MadeUp(size), Architecture::Qwen3Moe) => Vocabulary::made_up("qwen2", size),
            };
            let path = partial.join("model.gguf");
            let file = match self.architecture {
                Architecture::Llama4 => llama4::file(self, mix, &vocabulary),
                Architecture::Qwen3Moe => qwen3moe::file(self, mix, &vocabulary),
            };
            let mut out = BufWriter::with_capacity(1 << 20, fs::File::create(&path).at("create", &path)?);
            file.write(&mut out).and_then(|()| out.flush()).at("write", &path)
        })?;
        Ok(folder.join("model.gguf"))
    }
}

/// The keys that both architectures have.
fn common(architecture: &str, shape: &Shape, mix: Mix, vocabulary: &Vocabulary) -> File {
    let mut file = File::default();
    file.key("general.architecture", Value::Text(architecture.into()));
    file.key("general.name", Value::Text(shape.name.into()));
    file.key("general.file_type", Value::U32(mix.file_type()));
    for (key, value) in [
        ("block_count", shape.layers),
        ("context_length", 16_384),
        ("embedding_length", shape.hidden),
        ("feed_forward_length", shape.expert),
        ("expert_feed_forward_length", shape.expert),
        ("expert_count", shape.experts),
        ("expert_used_count", shape.used),
        ("attention.head_count", shape.heads),
        ("attention.head_count_kv", shape.kv_heads),
        ("attention.key_length", HEAD),
        ("attention.value_length", HEAD),
        ("rope.dimension_count", HEAD),
    ] {
        file.key(format!("{architecture}.{key}"), Value::U32(value as u32));
    }
    let epsilon = if architecture == "llama4" { 1e-5 } else { 1e-6 };
    file.key(format!("{architecture}.attention.layer_norm_rms_epsilon"), Value::F32(epsilon));
    vocabulary.put(&mut file);
    file
}

/// Adds tensors by llama.cpp's names.
struct Builder<'a> {
    file: File,
    shape: &'a Shape,
    mix: Mix,
}

impl Builder<'_> {
    fn add(&mut self, name: &str, kind: Type, dims: Vec<usize>, fill: Fill) {
        self.file.tensors.push(Tensor { name: name.into(), kind, dims, fill });
    }

    /// Weights such that an output is about as large as an input.
    fn matrix(&mut self, name: &str, columns: usize, rows: usize, kind: Type) {
        let sigma = 1.5 / (columns as f32).sqrt();
        self.add(&format!("{name}.weight"), kind, vec![columns, rows], Fill::Weights(sigma));
    }

    fn norm(&mut self, name: &str) {
        self.add(&format!("{name}.weight"), Type::F32, vec![self.shape.hidden], Fill::Norm);
    }

    /// What comes before the layers and after them.
    fn ends(&mut self, vocabulary: usize) {
        let hidden = self.shape.hidden;
        self.add("token_embd.weight", self.mix.most(), vec![hidden, vocabulary], Fill::Weights(1.0));
        self.norm("output_norm");
        self.matrix("output", hidden, vocabulary, self.mix.output());
    }

    fn attention(&mut self, layer: usize) {
        let Shape { hidden, heads, kv_heads, layers, .. } = *self.shape;
        let (most, more) = (self.mix.most(), self.mix.more_bits(layer, layers));
        self.norm(&format!("blk.{layer}.attn_norm"));
        self.matrix(&format!("blk.{layer}.attn_q"), hidden, heads * HEAD, most);
        self.matrix(&format!("blk.{layer}.attn_k"), hidden, kv_heads * HEAD, most);
        self.matrix(&format!("blk.{layer}.attn_v"), hidden, kv_heads * HEAD, more);
        self.matrix(&format!("blk.{layer}.attn_output"), heads * HEAD, hidden, most);
    }

    fn experts(&mut self, layer: usize) {
        let Shape { hidden, layers, experts, expert, .. } = *self.shape;
        self.norm(&format!("blk.{layer}.ffn_norm"));
        self.matrix(&format!("blk.{layer}.ffn_gate_inp"), hidden, experts, Type::F32);
        let (most, more) = (self.mix.most(), self.mix.more_bits(layer, layers));
        for (name, columns, rows, kind) in
            [("gate", hidden, expert, most), ("up", hidden, expert, most), ("down", expert, hidden, more)]
        {
            let sigma = Fill::Weights(1.5 / (columns as f32).sqrt());
            self.add(
                &format!("blk.{layer}.ffn_{name}_exps.weight"),
                kind,
                vec![columns, rows, experts],
                sigma,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_eight_layers_have_more_bits() {
        let more: Vec<usize> = (0..8).filter(|l| Mix::Q4_K_M.more_bits(*l, 8) == Type::Q6_K).collect();
        assert_eq!(more, [0, 3, 6, 7]);
        assert_eq!(Mix::Q8_0.more_bits(0, 8), Type::Q8_0);
    }

    #[test]
    fn every_tensor_is_whole_blocks_and_the_files_have_the_sizes_that_are_wanted() {
        for (shape, mix, from, to) in [
            (LLAMA4, Mix::Q4_K_M, 1.5, 3.0),
            (LLAMA4, Mix::Q8_0, 3.0, 4.3),
            (QWEN3, Mix::Q4_K_M, 1.5, 4.0),
            (QWEN3_SHORT, Mix::Q8_0, 3.0, 4.3),
            (TEXT, Mix::Q4_K_M, 0.1, 0.3),
        ] {
            let vocabulary = Vocabulary::made_up("x", 1000);
            let size = match shape.words {
                Words::Real => 202_048,
                Words::MadeUp(size) => size,
            };
            let file = match shape.architecture {
                Architecture::Llama4 => llama4::file(&shape, mix, &vocabulary),
                Architecture::Qwen3Moe => qwen3moe::file(&shape, mix, &vocabulary),
            };
            let more = |kind: Type| kind.bytes((size - 1000) * shape.hidden);
            let mut bytes = more(mix.most()) + more(mix.output());
            for tensor in &file.tensors {
                assert!(tensor.kind == Type::F32 || tensor.dims[0].is_multiple_of(256), "{tensor:?}");
                bytes += tensor.kind.bytes(tensor.dims.iter().product());
            }
            let gigabytes = bytes as f64 / 1e9;
            assert!((from..to).contains(&gigabytes), "{} {mix:?}: {gigabytes} GB", shape.name);
        }
    }
}
