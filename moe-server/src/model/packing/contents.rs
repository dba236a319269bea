//! What is in a packed file, in which order and where, before a byte of it is written.

use std::path::{Path, PathBuf};

use super::{
    error::PackError,
    header::HeaderWriter,
    manifest::{self, KEYS, Manifest, Source},
};
use crate::model::{
    ChatTemplate, ModelError, Tokenizer, decoder, fingerprint,
    gguf::{GgmlType, Gguf, TensorInfo, base_name},
    prompt::SPECIAL_STARTS,
    template::TOKEN_TEXTS,
    tokenizer::{INDEX_TENSOR, index_of},
    weights::{Piece, Plan, pieces},
};

/// Where tensors begin: on pages, so that one can be advised, locked or read past the cache without its neighbours. It
/// costs two kilobytes for each.
const ALIGNMENT: u64 = 4096;
const ALIGNMENT_KEY: &str = "general.alignment";

/// Arrays that the tokenizer's index stands for.
const SPELLED_OUT: [&str; 4] =
    ["tokenizer.ggml.tokens", "tokenizer.ggml.token_type", "tokenizer.ggml.merges", "tokenizer.ggml.scores"];

/// Where a model is packed to, unless another place is named.
#[must_use]
pub fn default_output(model: &Path) -> PathBuf {
    model.with_file_name(format!("{}.packed.gguf", base_name(model)))
}

/// A packed file to be.
pub(super) struct Contents<'a> {
    /// With what fills up to the data; whole but for the content's hash.
    pub(super) header: Vec<u8>,
    /// Where in the header that is to be.
    pub(super) content_at: usize,
    /// Where the data begin.
    pub(super) data: u64,
    /// Bytes of the data.
    pub(super) size: u64,
    index: Vec<u8>,
    tensors: Vec<Entry<'a>>,
}

struct Entry<'a> {
    info: TensorInfo<'a>,
    plan: Plan,
    offset: u64,
    size: u64,
}

/// Some bytes of a packed file.
pub(super) enum Part<'a> {
    Bytes(&'a [u8]),
    /// Of a tensor.
    Piece(Plan, &'a [u8], Piece),
    /// Up to the next page.
    Zeros(usize),
}

impl Part<'_> {
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Piece(_, _, piece) => piece.size,
            Self::Zeros(count) => *count,
        }
    }
}

impl<'a> Contents<'a> {
    /// Looks at all of a model that this server could serve.
    ///
    /// # Errors
    /// [`PackError::Model`] for any other.
    pub(super) fn of(gguf: &'a Gguf) -> Result<Self, PackError> {
        // What could not be served need not be packed.
        decoder::check(gguf)?;
        let template = ChatTemplate::from_gguf(gguf)?;
        Tokenizer::from_gguf(gguf)?;
        let index = index_of(gguf)?;

        let mut infos: Vec<TensorInfo<'_>> = gguf.tensors().collect();
        infos.sort_by_cached_key(|info| place(info.name));
        let too_large = |name: &str| {
            PackError::Model(ModelError::Packed(format!("the tensor {name:?} is larger than any machine")))
        };
        let mut offset = (index.len() as u64).next_multiple_of(ALIGNMENT);
        let mut tensors = Vec::with_capacity(infos.len());
        for info in infos {
            if info.name == INDEX_TENSOR {
                let why =
                    format!("the model has a tensor named {INDEX_TENSOR:?}, a name kept for packed files");
                return Err(PackError::Model(ModelError::Packed(why)));
            }
            let plan = Plan::of(&info)?;
            let size = plan.bytes(&info).ok_or_else(|| too_large(info.name))? as u64;
            tensors.push(Entry { info, plan, offset, size });
            offset = offset
                .checked_add(size)
                .and_then(|end| end.checked_next_multiple_of(ALIGNMENT))
                .ok_or_else(|| too_large(info.name))?;
        }
        // Nothing fills up behind the last one.
        let size = tensors.last().map_or(index.len() as u64, |last| last.offset + last.size);

        let mut contents = Self { header: Vec::new(), content_at: 0, data: 0, size, index, tensors };
        let vocab = fingerprint::tokenizer(gguf);
        let source = Source::of(gguf);
        // Once to see how long it is.
        let (header, _) = contents.write_header(gguf, &template, &source, &vocab, 0);
        contents.data = (header.len() as u64).next_multiple_of(ALIGNMENT);
        let (mut header, blanks) =
            contents.write_header(gguf, &template, &source, &vocab, contents.data + size);
        manifest::seal(&mut header, blanks);
        header.resize(contents.data as usize, 0);
        (contents.header, contents.content_at) = (header, blanks[0]);
        Ok(contents)
    }

    fn write_header(
        &self,
        gguf: &Gguf,
        template: &ChatTemplate,
        source: &Source,
        vocab: &str,
        size: u64,
    ) -> (Vec<u8>, [usize; 2]) {
        let mut kept: Vec<&str> = gguf
            .keys()
            .filter(|key| {
                !SPELLED_OUT.contains(key)
                    && !manifest::is_ours(key)
                    && !key.starts_with("split.")
                    && *key != ALIGNMENT_KEY
            })
            .collect();
        // The same model makes the same bytes.
        kept.sort_unstable();
        let texts = template.token_texts();
        let keys = kept.len() + KEYS + 2 + texts.len();
        let mut header = HeaderWriter::new(self.tensors.len() + 1, keys);
        let blanks = Manifest::write(source, vocab, size, &mut header);
        header.number(ALIGNMENT_KEY, ALIGNMENT as u32);
        header.text(SPECIAL_STARTS, &template.special_starts());
        for ((_, key), text) in TOKEN_TEXTS.into_iter().zip(texts) {
            header.text(key, text);
        }
        for key in kept {
            if let Some((value_type, value)) = gguf.raw_with_type(key) {
                header.raw(key, value_type, value);
            }
        }
        header.tensor(INDEX_TENSOR, &[self.index.len()], GgmlType::I8.id(), 0);
        for Entry { info, plan, offset, .. } in &self.tensors {
            header.tensor(info.name, info.dims, plan.ggml_type().id(), *offset);
        }
        (header.finish(), blanks)
    }

    /// All of the data, in order: [`Self::size`] bytes.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let mut at = self.index.len() as u64;
        let tensors = self.tensors.iter().flat_map(move |Entry { info, plan, offset, size }| {
            let gap = Part::Zeros((offset - at) as usize);
            at = offset + size;
            let parts = pieces(*plan, info).map(|piece| Part::Piece(*plan, info.bytes, piece));
            std::iter::once(gap).chain(parts)
        });
        std::iter::once(Part::Bytes(&self.index)).chain(tensors)
    }
}

/// Parts of a block in the order in which a pass reads them.
const BLOCK: [&str; 18] = [
    "attn_norm",
    "attn_q",
    "attn_q_norm",
    "attn_k",
    "attn_k_norm",
    "attn_v",
    "attn_output",
    "ffn_norm",
    "ffn_gate_inp",
    "ffn_gate",
    "ffn_up",
    "ffn_down",
    "ffn_gate_shexp",
    "ffn_up_shexp",
    "ffn_down_shexp",
    "ffn_gate_exps",
    "ffn_up_exps",
    "ffn_down_exps",
];

/// Sorts tensors by their use.
fn place(name: &str) -> (usize, usize, String) {
    let whole = name.strip_suffix(".weight").unwrap_or(name);
    let block = whole.strip_prefix("blk.").and_then(|rest| {
        let (number, part) = rest.split_once('.')?;
        let part = BLOCK.iter().position(|known| *known == part).unwrap_or(BLOCK.len());
        Some((number.parse::<usize>().ok()?.checked_add(1)?, part))
    });
    let (stage, part) = match whole {
        "token_embd" => (0, 0),
        "rope_freqs" => (0, 1),
        "output_norm" => (usize::MAX, 1),
        "output" => (usize::MAX, 2),
        _ => block.unwrap_or((usize::MAX, 0)),
    };
    (stage, part, name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_stand_in_the_order_of_their_use() {
        let mut names = [
            "blk.10.attn_q.weight",
            "output.weight",
            "blk.2.ffn_down_exps.weight",
            "blk.2.new.weight",
            "blk.2.attn_norm.weight",
            "token_embd.weight",
            "output_norm.weight",
            "other",
            "rope_freqs.weight",
        ];
        names.sort_by_key(|name| place(name));
        let expected = [
            "token_embd.weight",
            "rope_freqs.weight",
            "blk.2.attn_norm.weight",
            "blk.2.ffn_down_exps.weight",
            "blk.2.new.weight",
            "blk.10.attn_q.weight",
            "other",
            "output_norm.weight",
            "output.weight",
        ];
        assert_eq!(names, expected);
        assert_eq!(default_output("/m/a-00001-of-00002.gguf".as_ref()), Path::new("/m/a.packed.gguf"));
    }
}
