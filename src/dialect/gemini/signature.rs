//! Signatures of thoughts where Google's API has a place for them: `thoughtSignature`, base64.
//!
//! Other providers' go there too, behind a mark of twelve letters that keeps the whole base64: Google's clients hand parts
//! back as they came, though Python's decodes the bytes and encodes them anew in the alphabet for URLs. A mark's signature
//! is taken out before Google gets it.

use crate::dialect::canonical::Signer;
use std::borrow::Cow;

/// What stands for the signature of a call that no model of Google's made
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures#faqs>).
pub(super) const SKIP: &str = "skip_thought_signature_validator";

/// What every mark begins with.
pub(super) const MARK: &str = "moegateSign";

/// Whose it is, and whether it is a whole thought, encrypted.
const MARKS: [(&str, Signer, bool); 4] = [
    ("moegateSignA", Signer::Anthropic, false),
    ("moegateSignB", Signer::Anthropic, true),
    ("moegateSignO", Signer::OpenAi, false),
    ("moegateSignP", Signer::OpenAi, true),
];

/// As Google's clients keep it. `None`: it is not base64, so it would not survive.
pub(super) fn marked(signer: Signer, signature: &str, redacted: bool) -> Option<Cow<'_, str>> {
    if signer == Signer::Google {
        return Some(Cow::Borrowed(signature));
    }
    let (mark, ..) = MARKS.iter().find(|(_, own, whole)| *own == signer && *whole == redacted)?;
    let digits = signature.trim_end_matches('=');
    let is_base64 = signature.len().is_multiple_of(4)
        && signature.len() - digits.len() < 3
        && digits.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_'));
    is_base64.then(|| Cow::Owned(format!("{mark}{signature}")))
}

/// Whose it is, the signature, and whether it is a whole thought.
pub(super) fn unmarked(text: Cow<'_, str>) -> (Signer, Cow<'_, str>, bool) {
    let Some((mark, signer, redacted)) = MARKS.iter().find(|(mark, ..)| text.starts_with(mark)) else {
        return (Signer::Google, text, false);
    };
    let signature = &text[mark.len()..];
    // As each of them writes it.
    let signature = match signer {
        Signer::OpenAi => signature.replace('+', "-").replace('/', "_"),
        _ => signature.replace('-', "+").replace('_', "/"),
    };
    (*signer, Cow::Owned(signature), *redacted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_of_others_survive_a_client_that_encodes_them_anew() {
        for (signer, signature, redacted) in [
            (Signer::Anthropic, "EqQB+/8=", false),
            (Signer::Anthropic, "EmwKAhgB", true),
            (Signer::OpenAi, "gAAAAABo_-==", true),
            (Signer::Google, "CiQB+/8=", false),
        ] {
            let kept = marked(signer, signature, redacted).unwrap().into_owned();
            assert_eq!(kept.len() % 4, 0);
            let anew = if signer == Signer::Google { kept } else { kept.replace('+', "-").replace('/', "_") };
            let (whose, back, whole) = unmarked(anew.into());
            assert_eq!((whose, &*back, whole), (signer, signature, redacted));
        }
        assert_eq!(marked(Signer::Anthropic, "no base64", false), None);
        assert_eq!(marked(Signer::Anthropic, "abc", false), None);
    }
}
