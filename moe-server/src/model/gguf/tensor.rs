//! The table of tensors: shapes, sizes and places, checked against the file and each other.

use std::{collections::HashSet, ops::Range};

use super::{
    GgmlType, GgufError,
    cursor::{Cursor, invalid},
};

/// ggml's `GGML_MAX_DIMS`.
const MAX_DIMS: u32 = 4;
/// ggml's `GGML_MAX_NAME` is 64; a little room for others.
const MAX_NAME_BYTES: usize = 255;

/// A tensor whose bytes lie inside the file.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) ggml_type: GgmlType,
    pub(super) dims: Vec<usize>,
    pub(super) range: Range<usize>,
}

/// A table entry as written, with an offset that counts from the start of the data.
struct Entry {
    name: String,
    ggml_type: GgmlType,
    dims: Vec<usize>,
    offset: u64,
    size: usize,
    /// Where the entry is written, for errors.
    at: usize,
}

/// Reads `count` entries at the cursor and places them in the data that follows. In the table's order, each name once.
pub(super) fn read_all(
    cursor: &mut Cursor<'_>,
    count: u64,
    alignment: u64,
) -> Result<Vec<(String, Placed)>, GgufError> {
    let mut entries = Vec::new();
    for index in 0..count {
        entries.push(read(cursor, format_args!("tensor {index} of {count}"))?);
    }

    let data = (cursor.at() as u64).next_multiple_of(alignment);
    let file = (cursor.at() + cursor.left()) as u64;
    let mut tensors = Vec::with_capacity(entries.len());
    let mut places = Vec::with_capacity(entries.len());
    for entry in entries {
        let what = format_args!("the tensor {:?}", entry.name);
        if !entry.offset.is_multiple_of(alignment) {
            let why =
                format!("starts at {}, which is no multiple of the alignment {alignment}", entry.offset);
            return Err(invalid(what, entry.at, why));
        }
        let size = entry.size as u64;
        let end = data.checked_add(entry.offset).and_then(|start| start.checked_add(size));
        let Some(range) = end
            .filter(|end| *end <= file)
            .and_then(|end| Some(usize::try_from(end - size).ok()?..usize::try_from(end).ok()?))
        else {
            let at = data.saturating_add(entry.offset);
            let left = file.saturating_sub(at);
            return Err(GgufError::Truncated { what: what.to_string(), at, needed: size, left });
        };
        places.push((range.start, range.end, entry.at, tensors.len()));
        tensors.push((entry.name, Placed { ggml_type: entry.ggml_type, dims: entry.dims, range }));
    }
    let mut names = HashSet::with_capacity(tensors.len());
    if let Some((name, _)) = tensors.iter().find(|(name, _)| !names.insert(name)) {
        return Err(GgufError::Duplicate { what: "tensor", name: name.clone() });
    }

    places.sort_unstable();
    for pair in places.windows(2) {
        let [(_, end, _, before), (start, _, at, after)] = *pair else { continue };
        if start < end {
            let why = format!("overlaps the tensor {:?}", tensors[before].0);
            return Err(invalid(format_args!("the tensor {:?}", tensors[after].0), at, why));
        }
    }
    Ok(tensors)
}

fn read(cursor: &mut Cursor<'_>, what: std::fmt::Arguments<'_>) -> Result<Entry, GgufError> {
    let at = cursor.at();
    let name = cursor.string(what)?;
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return Err(invalid(what, at, format!("has a name of {} bytes", name.len())));
    }
    let what = format_args!("the tensor {name:?}");
    let dim_count = cursor.u32(what)?;
    if !(1..=MAX_DIMS).contains(&dim_count) {
        return Err(invalid(what, at, format!("has {dim_count} dimensions; 1 to {MAX_DIMS} are possible")));
    }
    let mut dims = Vec::with_capacity(MAX_DIMS as usize);
    for _ in 0..dim_count {
        let dim = cursor.u64(what)?;
        let Some(dim) = usize::try_from(dim).ok().filter(|dim| *dim > 0) else {
            return Err(invalid(what, at, format!("has a dimension of {dim}")));
        };
        dims.push(dim);
    }
    let ggml_type = GgmlType::from_id(cursor.u32(what)?);
    let offset = cursor.u64(what)?;
    let size = size(ggml_type, &dims).map_err(|why| invalid(what, at, why))?;
    Ok(Entry { name: name.to_owned(), ggml_type, dims, offset, size, at })
}

/// Bytes of a tensor; 0 where the type is unknown.
fn size(ggml_type: GgmlType, dims: &[usize]) -> Result<usize, String> {
    let impossible = || format!("has the impossible shape {dims:?}");
    let product = |dims: &[usize]| dims.iter().try_fold(1_usize, |product, dim| product.checked_mul(*dim));
    let elements = product(dims).ok_or_else(impossible)?;
    let (block, bytes) = (ggml_type.block_elements(), ggml_type.block_bytes());
    if !dims[0].is_multiple_of(block) {
        return Err(format!("has rows of {} elements, no multiple of the {block} of {ggml_type}", dims[0]));
    }
    if let GgmlType::Packed(packed) = ggml_type {
        // Each matrix of a stack has tiles of its own.
        let (rows, stack) = (dims.get(1).copied().unwrap_or(1), product(dims.get(2..).unwrap_or_default()));
        let matrix = packed.matrix_bytes(rows, dims[0]);
        return matrix
            .zip(stack)
            .and_then(|(matrix, stack)| matrix.checked_mul(stack))
            .ok_or_else(impossible);
    }
    (elements / block).checked_mul(bytes).ok_or_else(impossible)
}
