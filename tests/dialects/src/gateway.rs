//! The gateway in process, under any configuration, with one client's key.

use http::Request;
use moegate::gateway::Gateway;
use moegate::platform::fake::{Client, Got, World, serve};
use moegate_wire::sign;
use sha2::{Digest, Sha256};

/// Noon, so that no day changes within a test.
const NOW_MS: u64 = 1_795_262_400_000;
/// The client's.
pub const KEY: &str = "mg-dialects-0123456789";
const CLIENT: &str = "[[keys]]\nname = \"app\"\nsha256_secret = \"APP_KEY_SHA256\"\n";

pub struct InProcess {
    pub world: World,
    gateway: Gateway,
}

impl InProcess {
    /// `config`: origins and routes. `secrets`: the origins', by name.
    ///
    /// # Panics
    /// If the configuration is not valid.
    #[must_use]
    pub fn new<S: Into<String>>(config: &str, secrets: impl IntoIterator<Item = (S, S)>) -> Self {
        let own = ("APP_KEY_SHA256".to_owned(), sign::to_hex(&Sha256::digest(KEY)));
        let secrets = secrets.into_iter().map(|(name, value)| (name.into(), value.into())).chain([own]);
        let config = moegate_config::authoring::parse(&[config, CLIENT].concat()).unwrap();
        Self { world: World::new(NOW_MS, secrets.collect()), gateway: Gateway::new(config) }
    }

    /// Serves a request.
    #[must_use]
    pub fn serve(&self, head: Request<()>, body: Vec<u8>) -> Got {
        serve(&self.world, &self.gateway, head, Client::new(body))
    }
}

/// The reply's status; 0 for none.
#[must_use]
pub fn status(got: &Got) -> u16 {
    got.reply.as_ref().map_or(0, |reply| reply.status().as_u16())
}
