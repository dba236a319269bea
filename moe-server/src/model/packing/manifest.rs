//! What a packed file says of itself, in metadata keys of its own.

use std::{path::Path, time::SystemTime};

use moegate_wire::sign::to_hex;
use sha2::{Digest, Sha256};

use super::header::HeaderWriter;
use crate::model::{
    ModelError,
    gguf::{GgmlType, Gguf},
};

/// Of keys, types, layout of tiles, and the tokenizer's index: what one version writes no other reads.
pub(super) const VERSION: u32 = 1;

const PREFIX: &str = "moegate.packed.";
const VERSION_KEY: &str = "moegate.packed.version";
const CREATED_BY: &str = "moegate.packed.created_by";
/// Of the whole file, in bytes.
const SIZE: &str = "moegate.packed.size";
const NAMES: &str = "moegate.packed.source.names";
const SIZES: &str = "moegate.packed.source.sizes";
/// Seconds since 1970: copies seldom keep more.
const MODIFIED: &str = "moegate.packed.source.modified";
const SOURCE_HEADER: &str = "moegate.packed.source.header_sha256";
const VOCAB: &str = "moegate.packed.tokenizer_sha256";
/// Of all behind the header. Until the file is whole, how many bytes of that are ([`mark`]).
const CONTENT: &str = "moegate.packed.content_sha256";
/// Of the header, with [`BLANK`] for both hashes in it.
const HEADER: &str = "moegate.packed.header_sha256";
/// Keys that [`Manifest::write`] writes.
pub(super) const KEYS: usize = 10;

/// As long as a hash in hexadecimal.
const BLANK: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const MARK: &str = "partial:";

/// The model that a packed file was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// Of its files, without folders.
    pub(super) names: Vec<String>,
    pub(super) sizes: Vec<u64>,
    pub(super) modified: Vec<u64>,
    /// SHA-256, in hexadecimal.
    pub(super) header: String,
}

impl Source {
    pub(super) fn of(gguf: &Gguf) -> Self {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self {
            names: gguf.files().map(|file| name(file.path)).collect(),
            sizes: gguf.files().map(|file| file.size as u64).collect(),
            modified: gguf.files().map(|file| seconds(file.modified)).collect(),
            header: Self::header_of(gguf),
        }
    }

    /// The hash of the headers of all files.
    pub(super) fn header_of(gguf: &Gguf) -> String {
        let mut hash = Sha256::new();
        for file in gguf.files() {
            hash.update((file.header.len() as u64).to_le_bytes());
            hash.update(file.header);
        }
        to_hex(&hash.finalize())
    }

    /// Whether files have these sizes and times.
    pub(super) fn is(&self, files: impl Iterator<Item = (u64, Option<SystemTime>)>) -> bool {
        files.map(|(size, modified)| (size, seconds(modified))).eq(self
            .sizes
            .iter()
            .copied()
            .zip(self.modified.iter().copied()))
    }
}

/// 0 where nobody knows.
fn seconds(time: Option<SystemTime>) -> u64 {
    time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok()).map_or(0, |since| since.as_secs())
}

/// A packed file's description of itself, checked.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(super) source: Source,
    /// SHA-256 of what decides about tokens (`model::fingerprint`).
    pub(crate) vocab: String,
    /// SHA-256 of the data.
    pub(super) content: String,
}

impl Manifest {
    /// None where the file is not packed.
    ///
    /// # Errors
    /// [`ModelError::Packed`] where it is not whole, not as it was written, or of another version.
    pub(crate) fn of(gguf: &Gguf) -> Result<Option<Self>, ModelError> {
        let odd = |why: String| Err(ModelError::Packed(why));
        let Some(version) = gguf.find::<u32>(VERSION_KEY)? else {
            let mut tensors = gguf.tensors();
            if let Some(packed) = tensors.find(|tensor| matches!(tensor.ggml_type, GgmlType::Packed(_))) {
                return odd(format!(
                    "the tensor {:?} is packed, but the file does not say by whom",
                    packed.name
                ));
            }
            return Ok(None);
        };
        if version != VERSION {
            return odd(format!("its format is version {version}, and this server reads version {VERSION}"));
        }
        let file = gguf.files().next();
        let (size, header) = file.map_or((0, &[][..]), |file| (file.size as u64, file.header));
        let content = gguf.get::<&str>(CONTENT)?;
        if content.starts_with(MARK) {
            return odd("it was not packed to its end".to_owned());
        }
        if gguf.get::<u64>(SIZE)? != size {
            return odd(format!("it is {size} bytes long and was longer or shorter when it was packed"));
        }
        let blanks = [CONTENT, HEADER].map(|key| hash_at(gguf, key));
        let [Some(content_at), Some(header_at)] = blanks else {
            return odd("its hashes are no hashes".to_owned());
        };
        if header_hash(header, [content_at, header_at]).as_deref() != Some(gguf.get::<&str>(HEADER)?) {
            return odd("its header is not as it was written".to_owned());
        }
        Ok(Some(Self {
            source: Source {
                names: gguf.get::<Vec<&str>>(NAMES)?.into_iter().map(str::to_owned).collect(),
                sizes: gguf.get(SIZES)?,
                modified: gguf.get(MODIFIED)?,
                header: gguf.get::<&str>(SOURCE_HEADER)?.to_owned(),
            },
            vocab: gguf.get::<&str>(VOCAB)?.to_owned(),
            content: content.to_owned(),
        }))
    }

    /// Writes the [`KEYS`] keys, with [`BLANK`] hashes, and returns where these stand: the content's, then the header's.
    pub(super) fn write(source: &Source, vocab: &str, size: u64, header: &mut HeaderWriter) -> [usize; 2] {
        header.number(VERSION_KEY, VERSION);
        header.text(CREATED_BY, concat!("moe-server ", env!("CARGO_PKG_VERSION")));
        header.large_number(SIZE, size);
        header.texts(NAMES, &source.names);
        header.numbers(SIZES, &source.sizes);
        header.numbers(MODIFIED, &source.modified);
        header.text(SOURCE_HEADER, &source.header);
        header.text(VOCAB, vocab);
        [CONTENT, HEADER].map(|key| {
            header.text(key, BLANK);
            header.len() - BLANK.len()
        })
    }
}

/// Whether a key of a model's file is one of ours.
pub(super) fn is_ours(key: &str) -> bool {
    key.starts_with(PREFIX)
}

/// Fills a new header's own hash in; `blanks` are where [`Manifest::write`] says.
pub(super) fn seal(header: &mut [u8], blanks: [usize; 2]) {
    if let Some(hash) = header_hash(header, blanks) {
        header[blanks[1]..][..BLANK.len()].copy_from_slice(hash.as_bytes());
    }
}

/// What stands in the content hash's place while the data are not whole: so many of their bytes are on the disk.
pub(super) fn mark(bytes: u64) -> String {
    format!("{MARK}{bytes:0width$}", width = BLANK.len() - MARK.len())
}

pub(super) fn read_mark(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.strip_prefix(MARK)?.parse().ok()
}

/// Bytes of a hash in hexadecimal, and of a mark.
pub(super) const HASH_BYTES: usize = BLANK.len();

/// Where a key's hash stands in the file.
fn hash_at(gguf: &Gguf, key: &str) -> Option<usize> {
    let text = gguf.find::<&str>(key).ok()??;
    (text.len() == BLANK.len()).then_some(gguf.raw_range(key)?.end - BLANK.len())
}

fn header_hash(header: &[u8], blanks: [usize; 2]) -> Option<String> {
    let mut header = header.to_vec();
    for at in blanks {
        header.get_mut(at..at + BLANK.len())?.copy_from_slice(BLANK.as_bytes());
    }
    Some(to_hex(&Sha256::digest(&header)))
}
