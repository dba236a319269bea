//! RS256 (RFC 7518, section 3.3): RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2.1).
//!
//! The private operation is one exponentiation modulo n by `crypto-bigint`, whose time depends on the size of the key alone.
//! No Chinese remainders, so that a wrong result does not give the factors away; the result is checked all the same.

use super::rsa_key::{BadKey, RsaKey, is_sound};
use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use sha2::{Digest, Sha256};

/// What stands before the hash: the `DigestInfo` of SHA-256 (RFC 8017, section 9.2, note 1).
const DIGEST_INFO: [u8; 19] =
    *b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";

/// The signature, as long as the modulus. Some 20 ms in wasm for 2048 bits.
///
/// # Errors
/// [`BadKey::Inconsistent`]: what came out does not verify.
pub fn sign(key: &RsaKey, message: &[u8]) -> Result<Vec<u8>, BadKey> {
    let modulus = Odd::new(BoxedUint::from_be_slice_vartime(&key.modulus));
    let modulus = modulus.into_option().ok_or(BadKey::Inconsistent)?;
    let bits = modulus.bits_precision();
    let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, bits).map_err(|_| BadKey::Inconsistent);
    let encoded = number(&encoded(message, key.modulus.len()))?;
    let exponent = number(&key.private_exponent)?;
    let parameters = BoxedMontyParams::new(modulus);
    let signature = BoxedMontyForm::new(encoded.clone(), &parameters).pow(&exponent);
    let public = BoxedUint::from_be_slice_vartime(&key.public_exponent);
    if signature.pow(&public).retrieve() != encoded {
        return Err(BadKey::Inconsistent);
    }
    let bytes = signature.retrieve().to_be_bytes();
    // Limbs may be more than the modulus needs.
    Ok(bytes[bytes.len() - key.modulus.len()..].to_vec())
}

/// Whether the owner of that key has signed `message`. Numbers are big-endian, without leading zeros.
#[must_use]
pub fn verify(modulus: &[u8], exponent: &[u8], message: &[u8], signature: &[u8]) -> bool {
    if !is_sound(modulus, exponent) || signature.len() != modulus.len() || signature >= modulus {
        return false;
    }
    let Some(odd) = Odd::new(BoxedUint::from_be_slice_vartime(modulus)).into_option() else { return false };
    let bits = odd.bits_precision();
    let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, bits).ok();
    let (Some(signature), Some(expected)) = (number(signature), number(&encoded(message, modulus.len())))
    else {
        return false;
    };
    let exponent = BoxedUint::from_be_slice_vartime(exponent);
    let opened = BoxedMontyForm::new(signature, &BoxedMontyParams::new_vartime(odd));
    // All of it is compared, padding too (RFC 8017, section 8.2.2).
    opened.pow_bounded_exp(&exponent, exponent.bit_width_vartime()).retrieve() == expected
}

/// EMSA-PKCS1-v1_5 (RFC 8017, section 9.2); a key of 2048 bits or more has room for it.
fn encoded(message: &[u8], length: usize) -> Vec<u8> {
    let hash = Sha256::digest(message);
    let mut out = vec![0xff; length.saturating_sub(DIGEST_INFO.len() + hash.len() + 1)];
    out[..2].copy_from_slice(&[0, 1]);
    out.push(0);
    out.extend_from_slice(&DIGEST_INFO);
    out.extend_from_slice(&hash);
    out
}
