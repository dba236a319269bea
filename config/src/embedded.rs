//! The place in the gateway's module that holds its configuration.
//!
//! The module is compiled once for a platform; a configuration is put into it afterwards, without a compiler. The place
//! has a fixed size, so that nothing else in the file moves and a component's inner module needs no rewriting:
//!
//! | bytes | what |
//! |---|---|
//! | 16 | [`MARK`] |
//! | 8 | when it was built, Unix seconds, little endian |
//! | 4 | length of the JSON in bytes, little endian; 0: none was put in |
//! | 4 | room for JSON in bytes, little endian |
//! | room | the JSON, then zeros |

/// What the place is found by.
#[cfg(feature = "authoring")]
const MARK: [u8; 16] = *b"moegate\0config\0\x01";

/// Room for JSON in a module that was built without asking for more (`MOEGATE_CONFIG_ROOM`), in bytes.
#[cfg(feature = "authoring")]
pub const USUAL_ROOM: u32 = 64 << 10;

const BUILT: usize = 16;
const LENGTH: usize = 24;
#[cfg(feature = "authoring")]
const ROOM: usize = 28;
const JSON: usize = 32;

/// A configuration in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Embedded<'a> {
    /// When the gateway was built, in Unix seconds.
    pub built_s: u64,
    /// The configuration; empty where none was put in.
    pub json: &'a str,
}

impl<'a> Embedded<'a> {
    /// Reads a place; one that is damaged holds nothing.
    #[must_use]
    pub fn read(place: &'a [u8]) -> Self {
        let json = place.get(LENGTH..).and_then(<[u8]>::first_chunk).and_then(|length| {
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            std::str::from_utf8(place.get(JSON..)?.get(..length)?).ok()
        });
        let built_s =
            place.get(BUILT..).and_then(<[u8]>::first_chunk).map(|bytes| u64::from_le_bytes(*bytes));
        Self { built_s: built_s.unwrap_or_default(), json: json.unwrap_or_default() }
    }
}

/// An empty place with room for so many bytes of JSON, at most 4 GiB.
#[cfg(feature = "authoring")]
#[must_use]
pub fn place(room: u32) -> Vec<u8> {
    let mut place = MARK.to_vec();
    place.resize(ROOM, 0);
    place.extend(room.to_le_bytes());
    place.resize(JSON + room as usize, 0);
    place
}

/// Why a configuration cannot be put into a module.
#[cfg(feature = "authoring")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// It is no gateway's, or the place is damaged.
    NoPlace,
    /// The place is there more than once.
    Ambiguous,
    /// The configuration needs so many bytes, and there are so many.
    TooLong { needed: usize, room: usize },
}

#[cfg(feature = "authoring")]
impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoPlace => write!(f, "this module has no place for a configuration: is it the gateway?"),
            Self::Ambiguous => write!(f, "this module has more than one place for a configuration"),
            Self::TooLong { needed, room } => {
                write!(f, "the configuration takes {needed} bytes, and this module has room for {room}")
            }
        }
    }
}

#[cfg(feature = "authoring")]
impl std::error::Error for Unfit {}

/// Puts a configuration into a module, in the place of any that is there.
///
/// # Errors
/// See [`Unfit`]; the module is as it was then.
#[cfg(feature = "authoring")]
pub fn put(module: &mut [u8], what: Embedded<'_>) -> Result<(), Unfit> {
    let found: Vec<_> = memchr::memmem::find_iter(module, &MARK).take(2).collect();
    let [start] = found[..] else {
        return Err(if found.is_empty() { Unfit::NoPlace } else { Unfit::Ambiguous });
    };
    let place = module.get_mut(start..).unwrap_or_default();
    let room = place.get(ROOM..).and_then(<[u8]>::first_chunk).map(|room| u32::from_le_bytes(*room) as usize);
    let (Some(room), needed) = (room, what.json.len()) else { return Err(Unfit::NoPlace) };
    let Some(place) = place.get_mut(..JSON + room) else { return Err(Unfit::NoPlace) };
    let (Ok(length), true) = (u32::try_from(needed), needed <= room) else {
        return Err(Unfit::TooLong { needed, room });
    };
    place[BUILT..LENGTH].copy_from_slice(&what.built_s.to_le_bytes());
    place[LENGTH..ROOM].copy_from_slice(&length.to_le_bytes());
    place[JSON..JSON + needed].copy_from_slice(what.json.as_bytes());
    place[JSON + needed..].fill(0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Embedded<'_> = Embedded { built_s: 1_700_000_000, json: "{\"keys\":[]}" };

    #[test]
    fn what_is_put_in_is_read_and_replaced() {
        let mut module = [b"\0asm".to_vec(), place(64), b"after".to_vec()].concat();
        assert_eq!(Embedded::read(&module[4..]), Embedded { built_s: 0, json: "" });
        let long = Embedded { built_s: 7, json: &"x".repeat(64) };
        for what in [SHORT, long, SHORT] {
            put(&mut module, what).unwrap();
            assert_eq!(Embedded::read(&module[4..]), what);
        }
        assert_eq!(module.len(), 4 + JSON + 64 + 5);
        assert!(module.ends_with(b"\0after"));
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let tight = place(10);
        let cases = [
            (tight.clone(), Unfit::TooLong { needed: 11, room: 10 }),
            (b"\0asm".to_vec(), Unfit::NoPlace),
            (tight[..JSON + 9].to_vec(), Unfit::NoPlace),
            ([tight.clone(), tight].concat(), Unfit::Ambiguous),
        ];
        for (mut module, expected) in cases {
            let before = module.clone();
            assert_eq!(put(&mut module, SHORT), Err(expected));
            assert_eq!(module, before);
        }
    }

    #[test]
    fn a_damaged_place_holds_nothing() {
        let mut module = place(64);
        put(&mut module, SHORT).unwrap();
        for end in 0..JSON + SHORT.json.len() {
            assert_eq!(Embedded::read(&module[..end]).json, "", "{end}");
        }
        module[LENGTH + 3] = 0xff;
        assert_eq!(Embedded::read(&module).json, "");
    }
}
