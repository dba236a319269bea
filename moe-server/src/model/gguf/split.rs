//! Models split over several files, as llama.cpp's `gguf-split` writes them: `NAME-00001-of-00003.gguf` and so on. The
//! first part has the metadata, each part the table and the data of its own tensors.

use std::path::{Path, PathBuf};

use super::{GgufError, header::Header};

const NUMBER: &str = "split.no";
const COUNT: &str = "split.count";
const TENSORS: &str = "split.tensors.count";

/// What a part says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Split {
    /// From 0 on.
    pub(super) number: u16,
    /// At least 2.
    pub(super) count: u16,
    /// Of all parts.
    pub(super) tensors: Option<u64>,
}

impl Split {
    /// None where the file is a whole model.
    pub(super) fn of(header: &Header, bytes: &[u8]) -> Result<Option<Self>, GgufError> {
        let Some(count @ 2..) = header.find::<u16>(bytes, COUNT)? else { return Ok(None) };
        let number =
            header.find::<u16>(bytes, NUMBER)?.ok_or_else(|| GgufError::MissingKey(NUMBER.to_owned()))?;
        if number >= count {
            return Err(GgufError::WrongType {
                key: NUMBER.to_owned(),
                expected: "less than split.count",
                found: format!("the integer {number}, of {count}"),
            });
        }
        Ok(Some(Self { number, count, tensors: header.find(bytes, TENSORS)? }))
    }

    /// The files of all parts, by the name of this one.
    pub(super) fn paths(&self, path: &Path) -> Result<Vec<PathBuf>, GgufError> {
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let base = file.strip_suffix(&self.suffix(self.number)).ok_or_else(|| GgufError::PartName {
            number: self.number + 1,
            count: self.count,
            expected: format!("NAME{}", self.suffix(self.number)),
        })?;
        Ok((0..self.count)
            .map(|number| path.with_file_name(format!("{base}{}", self.suffix(number))))
            .collect())
    }

    fn suffix(&self, number: u16) -> String {
        format!("-{:05}-of-{:05}.gguf", u32::from(number) + 1, self.count)
    }
}

/// A file's name without ending and without what tells its part.
#[must_use]
pub(crate) fn base_name(path: &Path) -> String {
    let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    let base = stem.rsplit_once("-of-").filter(|(_, count)| is_number(count)).and_then(|(rest, _)| {
        let (base, number) = rest.rsplit_once('-')?;
        is_number(number).then(|| base.to_owned())
    });
    base.unwrap_or(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let split = Split { number: 1, count: 3, tensors: None };
        let paths = split.paths("/m/a-b-00002-of-00003.gguf".as_ref()).unwrap();
        let expected =
            ["/m/a-b-00001-of-00003.gguf", "/m/a-b-00002-of-00003.gguf", "/m/a-b-00003-of-00003.gguf"];
        assert_eq!(paths, expected.map(PathBuf::from));
        for wrong in ["a-00001-of-00003.gguf", "a-00002-of-00004.gguf", "a.gguf", "a-2-of-3.gguf", ""] {
            let said = split.paths(wrong.as_ref()).unwrap_err().to_string();
            assert!(said.contains("NAME-00002-of-00003.gguf"), "{said}");
        }
        for (path, base) in [
            ("/m/a-b-00002-of-00003.gguf", "a-b"),
            ("a-2-of-3.gguf", "a-2-of-3"),
            ("one-of-00003.gguf", "one-of-00003"),
            ("a.Q4_K.gguf", "a.Q4_K"),
        ] {
            assert_eq!(base_name(path.as_ref()), base);
        }
    }
}
