//! Issuers' public keys: sets of JSON Web Keys (RFC 7517), and what an instance holds of them.

use crate::config::Algorithm;
use crate::dialect::json;
use crate::signing::{ed25519, es256, rs256};
use base64ct::{Base64UrlUnpadded, Encoding};
use std::fmt;
use std::sync::Arc;

/// How long a set is taken to be current, in milliseconds.
pub const FRESH_MS: u64 = 3_600_000;
/// For how long it is used where the issuer gives no other, in milliseconds.
pub const LONGEST_MS: u64 = 24 * 3_600_000;
/// The issuer is not asked again sooner, whatever tokens say, in milliseconds.
const PAUSE_MS: u64 = 30_000;
/// How long asking may take, in milliseconds; a request that finds another one asking waits for so long at most.
pub const PATIENCE_MS: u64 = 5_000;
/// Keys of a set that are looked at.
const MOST_KEYS: usize = 64;

/// One key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    id: String,
    numbers: Numbers,
}

/// What a key is of, which says the one algorithm that it is for.
#[derive(Clone, PartialEq, Eq)]
enum Numbers {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256 { x: Vec<u8>, y: Vec<u8> },
    Ed25519(Vec<u8>),
}

impl PublicKey {
    /// Whether it is the one of that name for that algorithm: keys of different kinds may have the same name
    /// (RFC 7517, section 4.5).
    #[must_use]
    pub fn is(&self, id: &str, algorithm: Algorithm) -> bool {
        self.id == id && self.algorithm() == algorithm
    }

    fn algorithm(&self) -> Algorithm {
        match self.numbers {
            Numbers::Rsa { .. } => Algorithm::Rs256,
            Numbers::P256 { .. } => Algorithm::Es256,
            Numbers::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// Whether it has signed that, by its algorithm.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.numbers {
            Numbers::Rsa { modulus, exponent } => rs256::verify(modulus, exponent, message, signature),
            Numbers::P256 { x, y } => es256::verify(x, y, message, signature),
            Numbers::Ed25519(x) => ed25519::verify(x, message, signature),
        }
    }
}

/// Those keys of a set that can be used, or `None` where it is none.
#[must_use]
pub fn parse(text: &str) -> Option<Vec<PublicKey>> {
    let [keys] = json::pick(text, &["keys"])?;
    Some(json::list(keys?)?.into_iter().take(MOST_KEYS).filter_map(|raw| key(raw.get())).collect())
}

fn key(text: &str) -> Option<PublicKey> {
    let members = json::pick(text, &["kty", "kid", "alg", "use", "crv", "n", "e", "x", "y"])?;
    let text = |at: usize| members[at].and_then(json::string);
    let bytes = |at: usize| Base64UrlUnpadded::decode_vec(&text(at)?).ok();
    let numbers = match (&*text(0)?, text(4).as_deref()) {
        ("RSA", _) => Numbers::Rsa { modulus: bytes(5)?, exponent: bytes(6)? },
        ("EC", Some("P-256")) => Numbers::P256 { x: bytes(7)?, y: bytes(8)? },
        ("OKP", Some("Ed25519")) => Numbers::Ed25519(bytes(7)?),
        _ => return None,
    };
    let key = PublicKey { id: text(1)?.into_owned(), numbers };
    let fits = text(2).is_none_or(|name| name == key.algorithm().name())
        && text(3).is_none_or(|purpose| purpose == "sig");
    fits.then_some(key)
}

/// What an instance holds, by the address.
#[derive(Default)]
pub struct JwksCache(Vec<Entry>);

struct Entry {
    url: String,
    keys: Option<Arc<[PublicKey]>>,
    /// When those were asked for.
    of_ms: u64,
    /// When the issuer was asked last, and whether it has not answered yet.
    asked_ms: u64,
    is_asking: bool,
}

/// How a key is found.
pub enum Found {
    /// Here it is.
    Key(Arc<[PublicKey]>, usize),
    /// The caller asks the issuer, and says what came of it: [`JwksCache::answered`].
    Ask,
    /// Another request is asking: look again in a moment.
    Wait,
    /// The issuer has no such key, or had none half a minute ago.
    Unknown,
    /// Nothing is known of its keys, and it did not answer half a minute ago.
    Unreachable,
}

impl fmt::Debug for JwksCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JwksCache({})", self.0.len())
    }
}

impl JwksCache {
    /// The key of that name for that algorithm. One request at a time asks an issuer; what is known serves the others meanwhile.
    pub fn find(&mut self, url: &str, id: &str, algorithm: Algorithm, now_ms: u64) -> Found {
        let at = match self.0.iter().position(|entry| entry.url == url) {
            Some(at) => at,
            None => {
                let url = url.to_owned();
                self.0.push(Entry { url, keys: None, of_ms: 0, asked_ms: 0, is_asking: false });
                self.0.len() - 1
            }
        };
        let entry = &mut self.0[at];
        if entry.keys.is_some() && now_ms >= entry.of_ms + LONGEST_MS {
            entry.keys = None;
        }
        let known = entry
            .keys
            .as_ref()
            .and_then(|keys| Some((keys.clone(), keys.iter().position(|key| key.is(id, algorithm))?)));
        let is_fresh = entry.keys.is_some() && now_ms < entry.of_ms + FRESH_MS;
        // A request that asks may end before it has an answer.
        let is_asking = entry.is_asking && now_ms < entry.asked_ms + PATIENCE_MS;
        let may_ask = !is_asking && (entry.asked_ms == 0 || now_ms >= entry.asked_ms + PAUSE_MS);
        match known {
            Some((keys, at)) if is_fresh || !may_ask => Found::Key(keys, at),
            _ if may_ask => {
                (entry.asked_ms, entry.is_asking) = (now_ms, true);
                Found::Ask
            }
            _ if is_asking => Found::Wait,
            _ if entry.keys.is_some() => Found::Unknown,
            _ => Found::Unreachable,
        }
    }

    /// The set that was asked for at `of_ms`; `None`: the issuer has not given one, and the one before is used on.
    pub fn answered(&mut self, url: &str, keys: Option<Vec<PublicKey>>, of_ms: u64) {
        let Some(entry) = self.0.iter_mut().find(|entry| entry.url == url) else { return };
        entry.is_asking = false;
        if let Some(keys) = keys.filter(|_| of_ms >= entry.of_ms) {
            (entry.keys, entry.of_ms) = (Some(keys.into()), of_ms);
        }
    }
}
