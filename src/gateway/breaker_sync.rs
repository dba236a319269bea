//! What instances tell each other of their origins' health, when the client is served.

use super::context::RequestContext;
use crate::platform::Platform;
use crate::resilience::health::BreakerUpdate;
use crate::routing::Target;

/// No breaker is open for longer than a minute.
const KEPT_S: u64 = 120;

impl<P: Platform> RequestContext<'_, P> {
    /// Tells of what has changed here, and now and then asks what others have found out.
    pub(super) async fn sync_breakers(&self) {
        let targets = self.retry.targets().iter().filter(|target| target.origin.breaker.failures > 0);
        for target in targets.clone() {
            let Some(update) = self.platform.state(|state| state.health.take_update(target.index)) else {
                continue;
            };
            if let Ok(value) = serde_json::to_string(&update) {
                self.platform.remember(&key(target), &value, KEPT_S).await;
            }
        }
        let now_ms = self.platform.now_ms();
        for target in targets {
            if !self.platform.state(|state| state.health.asks(target.index, now_ms)) {
                continue;
            }
            let told = self.platform.recall(&key(target)).await;
            if let Some(update) = told.and_then(|value| serde_json::from_str::<BreakerUpdate>(&value).ok()) {
                self.platform.state(|state| state.health.learn(target.index, update, now_ms));
            }
        }
    }
}

fn key(target: &Target<'_>) -> String {
    // A model's name may hold anything that a URL has a meaning for.
    let model = moegate_wire::sign::to_hex(target.model.name.as_bytes());
    format!("breaker/{}/{model}", target.origin.name)
}
