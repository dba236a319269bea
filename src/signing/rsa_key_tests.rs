//! The keys and the account in `fixtures/` were made for these tests and open nothing.

use super::*;
use crate::signing::rs256;

const EC: &str = include_str!("fixtures/ec.pem");
const SHORT: &str = include_str!("fixtures/rsa_1024.pem");

/// The private key of the example account.
pub(in crate::signing) fn good() -> String {
    let account: serde_json::Value =
        serde_json::from_str(include_str!("fixtures/service_account.json")).unwrap();
    account["private_key"].as_str().unwrap().to_owned()
}

fn der(pem: &str) -> Vec<u8> {
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    Base64::decode_vec(&text).unwrap()
}

pub(in crate::signing) fn pem(der: &[u8]) -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", Base64::encode_string(der))
}

#[test]
fn a_key_as_google_gives_it_out() {
    let key = RsaKey::from_pem(&good()).ok().unwrap();
    assert_eq!((key.modulus.len(), &key.public_exponent[..]), (256, &[1, 0, 1][..]));
    assert!(RsaKey::from_pem(&good().replace('\n', "\r\n")).is_ok());
    assert!(RsaKey::from_pem(&format!("some words\n{}more\n", good())).is_ok());
    assert!(RsaKey::from_pem(&pem(&der(&good()))).is_ok());
}

#[test]
fn what_is_no_such_key_is_told_apart_and_what_to_do_is_said() {
    let labelled = |label: &str| good().replace("PRIVATE KEY", label);
    let changed = |at: usize, to: u8| {
        let mut der = der(&good());
        der[at] = to;
        pem(&der)
    };
    for (text, expected, remedy) in [
        (String::new(), BadKey::NotPem, "must begin with"),
        ("MIIEvQ==".into(), BadKey::NotPem, "must begin with"),
        (good().replace("-----END", "-----"), BadKey::NotPem, "must begin with"),
        (good().replace("END PRIVATE", "END PUBLIC"), BadKey::NotPem, "must begin with"),
        (good().replace('\n', "\\n"), BadKey::EscapedLines, "as it was downloaded"),
        (labelled("ENCRYPTED PRIVATE KEY"), BadKey::Encrypted, "-nocrypt"),
        (labelled("RSA PRIVATE KEY"), BadKey::Pkcs1, "-topk8"),
        (labelled("EC PRIVATE KEY"), BadKey::NotRsa, "type RSA"),
        (labelled("PUBLIC KEY"), BadKey::NotPrivate, "BEGIN PRIVATE KEY"),
        (labelled("CERTIFICATE"), BadKey::NotPrivate, "BEGIN PRIVATE KEY"),
        (EC.into(), BadKey::NotRsa, "type RSA"),
        (SHORT.into(), BadKey::Size, "2048"),
        (pem(b"\x30\x00"), BadKey::Unreadable, "store it again"),
        (pem(b""), BadKey::Unreadable, "store it again"),
        (pem(&der(&good())[..500]), BadKey::Unreadable, "store it again"),
        (good().replacen("MII", "M*I", 1), BadKey::Unreadable, "store it again"),
        // The tag of the outermost sequence, then the last byte of the algorithm's name (RSASSA-PSS has 10).
        (changed(0, 0x31), BadKey::Unreadable, "store it again"),
        (changed(19, 10), BadKey::NotRsa, "type RSA"),
    ] {
        let found = RsaKey::from_pem(&text).err();
        assert_eq!(found, Some(expected), "{text}");
        assert!(expected.to_string().contains(remedy), "{expected}");
    }
}

/// Every cut and every changed byte is an error or a key, never a panic; and a key that was changed in the numbers that sign
/// gives no signature.
#[test]
fn a_damaged_key_signs_nothing() {
    let good = der(&good());
    for length in 0..good.len() {
        assert!(RsaKey::from_pkcs8(&good[..length]).is_err(), "{length}");
    }
    let (_, mut inner) = private_key_info(&good).unwrap();
    let numbers = numbers(inner).unwrap();
    element(&mut inner, SEQUENCE).unwrap();
    let place = |part: &[u8]| {
        let start = part.as_ptr() as usize - good.as_ptr() as usize;
        start..start + part.len()
    };
    let [modulus, public_exponent, private_exponent] = numbers.map(place);
    for at in 0..private_exponent.end {
        let mut der = good.clone();
        der[at] ^= 2;
        let Ok(key) = RsaKey::from_pkcs8(&der) else { continue };
        // Each takes a while: samples of the long numbers.
        let is_sample = at % 16 == 0 && (modulus.contains(&at) || private_exponent.contains(&at));
        if is_sample || public_exponent.contains(&at) {
            assert_eq!(rs256::sign(&key, b"hello").err(), Some(BadKey::Inconsistent), "{at}");
        }
    }
}
