//! RSA private keys in PEM: PKCS#8 (RFC 5958 in RFC 7468), as Google gives them out.

use base64ct::{Base64, Encoding};
use std::fmt;
use std::ops::RangeInclusive;

/// The length of a modulus that is taken, in bits: less is unsafe, more takes the time of many requests.
const BITS: RangeInclusive<usize> = 2048..=4096;
/// rsaEncryption, 1.2.840.113549.1.1.1 (RFC 8017, appendix A.1).
const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";

/// What signing takes of a key; big-endian numbers without leading zeros. Neither shown nor compared.
pub struct RsaKey {
    pub(super) modulus: Vec<u8>,
    pub(super) public_exponent: Vec<u8>,
    pub(super) private_exponent: Vec<u8>,
}

/// Why a key is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadKey {
    /// There is no `-----BEGIN …-----` with its `-----END …-----`.
    NotPem,
    /// Line ends are written as the two characters `\n`.
    EscapedLines,
    /// It needs a passphrase.
    Encrypted,
    /// It is in the older form that is for RSA only.
    Pkcs1,
    /// It is a public key, a certificate or something else.
    NotPrivate,
    /// What stands between the lines is not Base64, or not a key.
    Unreadable,
    /// It is for another algorithm, such as ECDSA.
    NotRsa,
    /// It has fewer than 2048 bits or more than 4096.
    Size,
    /// Its numbers do not belong together.
    Inconsistent,
}

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotPem => "it is not PEM: it must begin with `-----BEGIN PRIVATE KEY-----` and end with `-----END PRIVATE KEY-----`",
            Self::EscapedLines => "its line ends are written as the two characters `\\n`, because the JSON was escaped twice: store the file as it was downloaded",
            Self::Encrypted => "it is encrypted: store one without a passphrase (`openssl pkcs8 -topk8 -nocrypt -in KEY.pem`)",
            Self::Pkcs1 => "it is a PKCS#1 key (`BEGIN RSA PRIVATE KEY`): convert it (`openssl pkcs8 -topk8 -nocrypt -in KEY.pem`)",
            Self::NotPrivate => "it is not a private key: store the one that begins with `-----BEGIN PRIVATE KEY-----`",
            Self::Unreadable => "it cannot be read as a PKCS#8 key, perhaps because a part is missing: store it again, whole",
            Self::NotRsa => "it is not an RSA key: create one of type RSA, 2048 bits",
            Self::Size => "it must have 2048 to 4096 bits: create another one",
            Self::Inconsistent => "its numbers do not belong together, so it was changed or damaged: store it again, or create another one",
        })
    }
}

impl std::error::Error for BadKey {}

impl RsaKey {
    /// The first key in the text.
    ///
    /// # Errors
    /// [`BadKey`], but [`BadKey::Inconsistent`] only when it signs.
    pub fn from_pem(pem: &str) -> Result<Self, BadKey> {
        if pem.contains("-----\\n") {
            return Err(BadKey::EscapedLines);
        }
        let (_, rest) = pem.split_once("-----BEGIN ").ok_or(BadKey::NotPem)?;
        let (label, rest) = rest.split_once("-----").ok_or(BadKey::NotPem)?;
        let (text, end) = rest.split_once("-----END ").ok_or(BadKey::NotPem)?;
        if !end.strip_prefix(label).is_some_and(|end| end.starts_with("-----")) {
            return Err(BadKey::NotPem);
        }
        match label {
            "PRIVATE KEY" => {}
            "ENCRYPTED PRIVATE KEY" => return Err(BadKey::Encrypted),
            "RSA PRIVATE KEY" => return Err(BadKey::Pkcs1),
            "EC PRIVATE KEY" => return Err(BadKey::NotRsa),
            _ => return Err(BadKey::NotPrivate),
        }
        let text: String = text.split_ascii_whitespace().collect();
        let der = Base64::decode_vec(&text).map_err(|_| BadKey::Unreadable)?;
        Self::from_pkcs8(&der)
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, BadKey> {
        let (algorithm, key) = private_key_info(der).ok_or(BadKey::Unreadable)?;
        if algorithm != RSA {
            return Err(BadKey::NotRsa);
        }
        let [modulus, public_exponent, private_exponent] = numbers(key).ok_or(BadKey::Unreadable)?;
        let bits =
            (modulus.len() * 8).saturating_sub(modulus.first().map_or(0, |top| top.leading_zeros() as usize));
        if !BITS.contains(&bits) {
            return Err(BadKey::Size);
        }
        // An even modulus or an exponent beyond 32 bits is none that anything makes.
        let odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
        if !odd(modulus)
            || !odd(public_exponent)
            || public_exponent.len() > 4
            || private_exponent.len() > modulus.len()
        {
            return Err(BadKey::Inconsistent);
        }
        let [modulus, public_exponent, private_exponent] =
            [modulus, public_exponent, private_exponent].map(<[u8]>::to_vec);
        Ok(Self { modulus, public_exponent, private_exponent })
    }
}

/// Whether these can be a public key that is taken: 2048 to 4096 bits, both odd, the exponent of 2 to 32 bits.
pub(super) fn is_sound(modulus: &[u8], exponent: &[u8]) -> bool {
    let bits =
        |number: &[u8]| number.first().map_or(0, |top| number.len() * 8 - top.leading_zeros() as usize);
    let odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
    let starts = |number: &[u8]| number.first().is_some_and(|first| *first != 0);
    BITS.contains(&bits(modulus))
        && (2..=32).contains(&bits(exponent))
        && [modulus, exponent].into_iter().all(|number| odd(number) && starts(number))
}

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// The algorithm's name and the key within: `OneAsymmetricKey` (RFC 5958, section 2).
fn private_key_info(mut der: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut info = element(&mut der, SEQUENCE)?;
    if !der.is_empty() {
        return None;
    }
    element(&mut info, INTEGER)?;
    let mut algorithm = element(&mut info, SEQUENCE)?;
    Some((element(&mut algorithm, OBJECT_ID)?, element(&mut info, OCTETS)?))
}

/// n, e and d of an `RSAPrivateKey` (RFC 8017, appendix A.1.2).
fn numbers(mut key: &[u8]) -> Option<[&[u8]; 3]> {
    let mut numbers = element(&mut key, SEQUENCE)?;
    element(&mut numbers, INTEGER)?;
    Some([natural(&mut numbers)?, natural(&mut numbers)?, natural(&mut numbers)?])
}

/// A number that is not negative, without leading zeros.
fn natural<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let number = element(rest, INTEGER)?;
    if number.first()? & 0x80 != 0 {
        return None;
    }
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    Some(&number[zeros..])
}

/// The content of the DER element that comes next (X.690, section 8.1), which has this tag and at most 65 535 bytes.
fn element<'a>(rest: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    if *rest.split_off_first()? != tag {
        return None;
    }
    let length = match *rest.split_off_first()? {
        short @ ..=0x7f => usize::from(short),
        0x81 => usize::from(*rest.split_off_first()?),
        0x82 => usize::from(u16::from_be_bytes([*rest.split_off_first()?, *rest.split_off_first()?])),
        _ => return None,
    };
    rest.split_off(..length)
}

#[cfg(test)]
#[path = "rsa_key_tests.rs"]
mod tests;
