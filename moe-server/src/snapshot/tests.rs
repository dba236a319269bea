use super::*;
use crate::engine::{
    Capabilities, Engine, EngineError, Kept, KeptFormat, KeptParent, Outcomes, SequenceId, Span, TokenId,
};
use std::fs;
use std::path::Path;

/// An engine that has blocks to keep, and nothing else. Blocks are named by tens.
struct Keeper {
    format: KeptFormat,
    blocks: Vec<Block>,
}

impl Engine for Keeper {
    fn kept_format(&self) -> Option<KeptFormat> {
        Some(self.format.clone())
    }

    fn visit_kept(&self, visit: &mut dyn FnMut(&Kept<'_>) -> bool) {
        let goes_on = |(id, block): (u64, &Block)| {
            let parent = match &block.parent {
                Parent::Salt(salt) => KeptParent::Salt(salt),
                Parent::Block(index) => KeptParent::Block(10 * *index as u64),
            };
            let (tokens, full, chunked) = (&block.tokens, &block.full, block.chunked.as_deref());
            visit(&Kept { id: 10 * id, parent, tokens, full, chunked })
        };
        let _ = (0..).zip(&self.blocks).all(goes_on);
    }

    fn capabilities(&self) -> &Capabilities {
        unreachable!("not asked")
    }
    fn create(&mut self) -> Result<SequenceId, EngineError> {
        unreachable!("not asked")
    }
    fn step(&mut self, _: &[Span<'_>], _: &mut Outcomes) -> Result<(), EngineError> {
        unreachable!("not asked")
    }
    fn len(&self, _: SequenceId) -> Option<usize> {
        unreachable!("not asked")
    }
    fn fork(&mut self, _: SequenceId, _: usize) -> Result<SequenceId, EngineError> {
        unreachable!("not asked")
    }
    fn truncate(&mut self, _: SequenceId, _: usize) -> Result<(), EngineError> {
        unreachable!("not asked")
    }
    fn can_resume_at(&self, _: SequenceId, _: usize) -> bool {
        unreachable!("not asked")
    }
    fn release(&mut self, _: SequenceId) {}
    fn free_tokens(&self) -> usize {
        unreachable!("not asked")
    }
    fn export(&self, _: SequenceId) -> Result<Vec<u8>, EngineError> {
        unreachable!("not asked")
    }
    fn import(&mut self, _: &[u8]) -> Result<SequenceId, EngineError> {
        unreachable!("not asked")
    }
}

fn format() -> KeptFormat {
    KeptFormat { print: "a model".into(), tokens: 2, bytes: [5, 3] }
}

fn blocks() -> Vec<Block> {
    let block = |parent, first: TokenId, chunked: Option<[u8; 3]>| Block {
        parent,
        tokens: vec![first, first + 1],
        full: vec![u8::try_from(first % 256).unwrap(); 5],
        chunked: chunked.map(Vec::from),
    };
    vec![
        block(Parent::Salt(String::new()), 1, Some([1, 2, 3])),
        block(Parent::Salt("é".into()), 3, None),
        block(Parent::Block(0), 70_000, Some([4, 5, 6])),
        block(Parent::Block(2), 7, None),
    ]
}

fn options(folder: &Path) -> Options {
    Options { file: folder.join("warm"), max_bytes: 1 << 20 }
}

fn read_all(file: &Path, format: &KeptFormat) -> (Vec<Block>, Result<(), String>) {
    let mut blocks = Vec::new();
    let outcome = read(
        file,
        format,
        || {},
        |block| {
            blocks.push(block);
            true
        },
    );
    (blocks, outcome.map_err(|error| error.to_string()))
}

#[test]
fn what_is_kept_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    // What a process that was killed left.
    fs::write(folder.path().join("warm.part"), "junk").unwrap();
    for blocks in [blocks(), Vec::new()] {
        let keeper = Keeper { format: format(), blocks: blocks.clone() };
        assert_eq!(save(&options, &keeper).unwrap(), blocks.len());
        assert_eq!(read_all(&options.file, &format()), (blocks, Ok(())));
    }
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&options.file).unwrap().permissions()) & 0o777,
        0o600
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no file is left beside it");
}

#[test]
fn what_does_not_fit_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path());
    let keeper = Keeper { format: format(), blocks: blocks() };
    save(&options, &keeper).unwrap();
    let whole = fs::metadata(&options.file).unwrap().len();
    for max_bytes in HEAD as u64..=whole {
        options.max_bytes = max_bytes;
        let count = save(&options, &keeper).unwrap();
        assert!(fs::metadata(&options.file).unwrap().len() <= max_bytes);
        assert_eq!(count == 4, max_bytes == whole);
        assert_eq!(read_all(&options.file, &format()), (blocks()[..count].to_vec(), Ok(())));
    }
}

#[test]
fn a_folder_that_is_gone_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder.path().join("gone"));
    assert!(save(&options, &Keeper { format: format(), blocks: blocks() }).is_err());
    assert!(matches!(read(&options.file, &format(), || {}, |_| true), Err(Unusable::Io(_))));
}

#[test]
fn a_file_in_which_any_byte_is_wrong_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    save(&options, &Keeper { format: format(), blocks: blocks() }).unwrap();
    let whole = fs::read(&options.file).unwrap();
    let ignored = |bytes: &[u8], format: &KeptFormat, what: String| {
        fs::write(&options.file, bytes).unwrap();
        let (blocks, outcome) = read_all(&options.file, format);
        assert!(blocks.is_empty() && outcome.is_err(), "{what}: {blocks:?}");
        outcome.unwrap_err()
    };
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        ignored(&bytes, &format(), format!("byte {at}"));
        ignored(&whole[..at], &format(), format!("cut at {at}"));
    }
    ignored(&[&whole[..], &[0]].concat(), &format(), "longer".into());
    // Two blocks in each other's place.
    let length = |at: usize| 4 + u32::from_le_bytes(whole[at..at + 4].try_into().unwrap()) as usize + 32;
    let second = HEAD + length(HEAD);
    let third = second + length(second);
    let swapped = [&whole[..HEAD], &whole[second..third], &whole[HEAD..second], &whole[third..]];
    ignored(&swapped.concat(), &format(), "swapped".into());

    let other = KeptFormat { print: "another model".into(), ..format() };
    assert!(ignored(&whole, &other, "another model".into()).contains("another model"));
    let mut version = whole.clone();
    version[7] += 1;
    assert!(ignored(&version, &format(), "another version".into()).contains("another version"));
    fs::write(&options.file, &whole).unwrap();
    assert_eq!(read_all(&options.file, &format()), (blocks(), Ok(())));
}
