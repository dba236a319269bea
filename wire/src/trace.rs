//! The headers of W3C Trace Context (<https://www.w3.org/TR/trace-context/>).

use std::fmt;

pub const TRACEPARENT: &str = "traceparent";
pub const TRACESTATE: &str = "tracestate";

/// Longer ones are dropped: so much of it everybody has to pass on.
const LONGEST_STATE: usize = 512;
/// Flag: it is recorded.
const SAMPLED: u8 = 1;
/// Flags that are known: recorded, random trace id.
const KNOWN_FLAGS: u8 = 3;

/// A `traceparent`: a trace, and the span in it that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// Not 0.
    pub trace_id: u128,
    /// 0: there is none, since the trace begins here.
    pub span_id: u64,
    flags: u8,
}

impl TraceParent {
    /// As a client gives it, in any version; `None` where it is invalid.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let text = header.as_bytes();
        let hex = |range: std::ops::Range<usize>| {
            let digits = header.get(range)?;
            let good = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            if good { u128::from_str_radix(digits, 16).ok() } else { None }
        };
        let (version, trace_id, span_id, flags) =
            (hex(0..2)?, hex(3..35)?, hex(36..52)? as u64, hex(53..55)?);
        // A later version may have more behind a dash.
        let end = text.len() == 55 || version > 0 && text.get(55) == Some(&b'-');
        let good = [2, 35, 52].iter().all(|&at| text[at] == b'-')
            && version != 0xff
            && trace_id != 0
            && span_id != 0;
        (good && end).then_some(Self { trace_id, span_id, flags: flags as u8 & KNOWN_FLAGS })
    }

    /// A trace that begins here, and is recorded.
    #[must_use]
    pub fn begin(random: u128) -> Self {
        Self { trace_id: random.max(1), span_id: 0, flags: KNOWN_FLAGS }
    }

    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The same trace, asked for by that span; 0 is no span and is taken as 1.
    #[must_use]
    pub fn with_span(self, span_id: u64) -> Self {
        Self { span_id: span_id.max(1), ..self }
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

/// Whether a `tracestate` is passed on.
#[must_use]
pub fn is_state(value: &[u8]) -> bool {
    (1..=LONGEST_STATE).contains(&value.len()) && value.iter().all(|b| (b' '..=b'~').contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_valid() {
        let given = TraceParent::parse(GIVEN).unwrap();
        assert!(given.is_sampled());
        assert_eq!(given.to_string(), GIVEN);
        assert_eq!(
            given.with_span(0xc).to_string(),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-000000000000000c-01"
        );
        // A later version is taken as this one, with the flags that are known.
        let later = GIVEN.replacen("00", "cc", 1).replace("-01", "-09-what-the-future-brings");
        assert_eq!(TraceParent::parse(&later), TraceParent::parse(GIVEN));
        assert!(!TraceParent::parse(&GIVEN.replace("-01", "-02")).unwrap().is_sampled());
        let begun = TraceParent::begin(0).with_span(0).to_string();
        assert_eq!(TraceParent::parse(&begun).unwrap().to_string(), begun, "what is made is valid");
    }

    #[test]
    fn what_is_dropped() {
        for bad in [
            "",
            "00",
            &GIVEN[..54],
            &format!("{GIVEN}-00"),
            &format!("{GIVEN}0"),
            &format!("{GIVEN}, {GIVEN}"),
            &GIVEN.to_uppercase(),
            &GIVEN.replacen("00", "ff", 1),
            &GIVEN.replacen("00", "0x", 1),
            &GIVEN.replacen('-', "_", 1),
            &GIVEN.replace("4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000000"),
            &GIVEN.replace("00f067aa0ba902b7", "0000000000000000"),
            &GIVEN.replace("00f067aa0ba902b7", "+0f067aa0ba902b7"),
            &GIVEN.replace("-01", "-0g"),
            &format!("cc{}x", &GIVEN[2..]),
            &GIVEN.replace("00f067aa0ba902b7", "00f067aa0ba902\u{df}"),
        ] {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
        assert!(is_state(b"congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"));
        assert!(
            !is_state(b"")
                && !is_state(b"a=\t")
                && !is_state("a=\u{e4}".as_bytes())
                && !is_state(&[b'a'; 513])
        );
    }
}
