//! What clouds want instead of a key in a header. Pure: no clock, no I/O; callers give the time and send what comes out.
//!
//! - [`sigv4`]: AWS Signature Version 4, the headers of a signed request (`bedrock` with `aws` in moegate.toml).
//! - [`service_account`]: Google service accounts: the request for an access token and its answer (`vertex`).
//!   [`token_cache`]: those that an instance holds. [`rsa_key`]
//!   reads the private key from its PEM, [`rs256`] signs with it.
//! - [`rs256`], [`es256`], [`ed25519`]: whether a token of an issuer is signed with its key.

mod curve;
pub mod ed25519;
pub mod es256;
pub mod rs256;
pub mod rsa_key;
pub mod service_account;
pub mod sigv4;
pub mod token_cache;

#[cfg(test)]
pub(crate) mod test_issuer;
