//! Reading it: first all of it, to see that it is whole, and then again, block by block.

use super::{MAGIC, NO_PARENT, Sum, sum};
use crate::engine::{KeptFormat, TokenId};
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Longer salts are in no request.
const MAX_SALT: usize = 256;

/// A block as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub parent: Parent,
    pub tokens: Vec<TokenId>,
    pub full: Vec<u8>,
    pub chunked: Option<Vec<u8>>,
}

/// What stands before a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parent {
    Salt(String),
    /// An earlier one of the file.
    Block(usize),
}

/// Why a file is of no use.
#[derive(Debug)]
pub enum Unusable {
    Io(io::Error),
    /// Not such a file, or of another version.
    Magic,
    /// Of another model, type of keys and values or version of this server.
    Print,
    Damaged(&'static str),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "it cannot be read: {error}"),
            Self::Magic => f.write_str("it is no warm state, or one of another version's"),
            Self::Print => {
                f.write_str("it is of another model, type of keys and values or version of this server")
            }
            Self::Damaged(how) => write!(f, "it is damaged: {how}"),
        }
    }
}

impl std::error::Error for Unusable {}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        // The file's length was right: it has changed meanwhile.
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::Damaged("it was cut short")
        } else {
            Self::Io(error)
        }
    }
}

/// Gives the blocks of `file` to `take`, in their order and only if all of them are whole, until the answer is false.
/// `pause` is called before each block that is read.
///
/// # Errors
/// [`Unusable`]. The file may have been changed while it was read: `take` has been given whole blocks even then.
pub fn read(
    file: &Path,
    format: &KeptFormat,
    mut pause: impl FnMut(),
    mut take: impl FnMut(Block) -> bool,
) -> Result<(), Unusable> {
    let file = File::open(file)?;
    let size = file.metadata()?.len();
    let mut reader = Reader { file: BufReader::with_capacity(1 << 20, file), last: [0; 32], format };
    let count = reader.head(size)?;
    for _ in 0..count.0 {
        pause();
        reader.body()?;
    }
    if reader.last != count.1 {
        return Err(Unusable::Damaged("blocks are missing"));
    }
    reader.file.seek(SeekFrom::Start(0))?;
    let (count, _) = reader.head(size)?;
    for index in 0..count {
        pause();
        let body = reader.body()?;
        let block = block(&body, index, format).ok_or(Unusable::Damaged("a block is not like others"))?;
        if !take(block) {
            break;
        }
    }
    Ok(())
}

struct Reader<'a> {
    file: BufReader<File>,
    last: Sum,
    format: &'a KeptFormat,
}

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The number of blocks and the last one's checksum.
    fn head(&mut self, size: u64) -> Result<(usize, Sum), Unusable> {
        let magic: [u8; MAGIC.len()] = self.bytes()?;
        if magic != MAGIC {
            return Err(Unusable::Magic);
        }
        let (print, count, length): (Sum, [u8; 8], [u8; 8]) = (self.bytes()?, self.bytes()?, self.bytes()?);
        let (last, own): (Sum, Sum) = (self.bytes()?, self.bytes()?);
        if own != sum(&[&magic, &print, &count, &length, &last]) {
            return Err(Unusable::Damaged("its head has another checksum"));
        }
        if print != sum(&[self.format.print.as_bytes()]) {
            return Err(Unusable::Print);
        }
        if u64::from_le_bytes(length) != size {
            return Err(Unusable::Damaged("it has another length than it says"));
        }
        self.last = print;
        let count = u64::from_le_bytes(count);
        let count = usize::try_from(count).map_err(|_| Unusable::Damaged("it has too many blocks"))?;
        Ok((count, last))
    }

    fn body(&mut self) -> Result<Vec<u8>, Unusable> {
        let length: [u8; 4] = self.bytes()?;
        let most = 7 + MAX_SALT + 4 * self.format.tokens + self.format.bytes.iter().sum::<usize>();
        let size = usize::try_from(u32::from_le_bytes(length)).ok().filter(|size| *size <= most);
        let mut body = vec![0; size.ok_or(Unusable::Damaged("a block is too long"))?];
        self.file.read_exact(&mut body)?;
        let expected: Sum = self.bytes()?;
        self.last = sum(&[&self.last, &length, &body]);
        if self.last != expected {
            return Err(Unusable::Damaged("a block has another checksum"));
        }
        Ok(body)
    }
}

fn block(mut body: &[u8], index: usize, format: &KeptFormat) -> Option<Block> {
    let mut take = |count: usize| body.split_off(..count);
    let parent = u32::from_le_bytes(take(4)?.try_into().ok()?);
    let parent = if parent == NO_PARENT {
        let length = u16::from_le_bytes(take(2)?.try_into().ok()?);
        Parent::Salt(str::from_utf8(take(length.into())?).ok()?.to_owned())
    } else {
        Parent::Block(usize::try_from(parent).ok().filter(|parent| *parent < index)?)
    };
    let has_chunked = take(1)? == [1];
    let tokens = take(4 * format.tokens)?.as_chunks().0.iter().map(|bytes| TokenId::from_le_bytes(*bytes));
    let tokens = tokens.collect();
    let full = take(format.bytes[0])?.to_vec();
    let chunked = if has_chunked { Some(take(format.bytes[1])?.to_vec()) } else { None };
    body.is_empty().then_some(Block { parent, tokens, full, chunked })
}
