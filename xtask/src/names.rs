//! The names of functions within wasm, and what else is for debuggers: a sixth of what would have to be loaded, and nothing but the text of stack traces.
//!
//! The compiler's own `strip` for them drops the list of features too, which what binds the module has to know.

/// How the beginning of a core module and of a component are told apart (Component Model, "Binary Format").
const MODULE: &[u8] = b"\0asm\x01\0\0\0";
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
/// A section for whoever knows its name, in both.
const CUSTOM: u8 = 0;
/// The section of a component that is a core module.
const CORE_MODULE: u8 = 1;

/// The module or component without names. `None` where it is neither.
pub(crate) fn stripped(bytes: &[u8]) -> Option<Vec<u8>> {
    let (head, is_component) = match bytes.get(..8)? {
        MODULE => (MODULE, false),
        COMPONENT => (COMPONENT, true),
        _ => return None,
    };
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(head);
    let mut rest = &bytes[head.len()..];
    while let Some((&id, after)) = rest.split_first() {
        let (length, after) = length(after)?;
        let (content, after) = after.split_at_checked(length)?;
        rest = after;
        if id == CUSTOM && is_for_debuggers(name(content)?) {
            continue;
        }
        let inner = if is_component && id == CORE_MODULE { Some(stripped(content)?) } else { None };
        let content = inner.as_deref().unwrap_or(content);
        out.push(id);
        push_length(&mut out, content.len());
        out.extend_from_slice(content);
    }
    Some(out)
}

fn is_for_debuggers(section: &[u8]) -> bool {
    matches!(section, b"name" | b"component-name" | b"producers") || section.starts_with(b".debug_")
}

/// A custom section's name.
fn name(content: &[u8]) -> Option<&[u8]> {
    let (length, rest) = length(content)?;
    rest.get(..length)
}

/// A LEB128 number at the beginning, and what follows it.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, &bytes[at + 1..]));
        }
    }
    None
}

fn push_length(out: &mut Vec<u8>, mut length: usize) {
    loop {
        let byte = (length & 0x7f) as u8;
        length >>= 7;
        if length == 0 {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(id: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![id];
        push_length(&mut bytes, content.len());
        bytes.extend_from_slice(content);
        bytes
    }

    #[test]
    fn names_go_and_all_else_stays() {
        let code = section(10, &[7; 300]);
        let features = section(CUSTOM, b"\x0ftarget_features\x00");
        let names = [section(CUSTOM, b"\x04name\x01\x02\x03"), section(CUSTOM, b"\x0b.debug_infox")].concat();
        let module = [MODULE, &code, &names, &features].concat();
        let without = [MODULE, &code, &features].concat();
        assert_eq!(stripped(&module), Some(without.clone()));
        let types = section(7, &[1, 2]);
        let of = |module: &[u8]| [COMPONENT, &types, &section(CORE_MODULE, module)].concat();
        let named = [of(&module), section(CUSTOM, b"\x0ecomponent-name\x00")].concat();
        assert_eq!(stripped(&named), Some(of(&without)));
        for bytes in [&b"\0asm"[..], b"text that is no wasm", &module[..module.len() - 1]] {
            assert_eq!(stripped(bytes), None);
        }
    }
}
