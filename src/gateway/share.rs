//! What instances tell each other of their origins' health, when the client is served.

use super::journey::Journey;
use crate::core::health::News;
use crate::core::route::Target;
use crate::platform::Platform;

/// No breaker is open for longer than a minute.
const KEPT_S: u64 = 120;

impl<P: Platform> Journey<'_, P> {
    /// Tells of what has changed here, and now and then asks what others have found out.
    pub(super) async fn share(&self) {
        let targets = self.course.targets().iter().filter(|target| target.origin.breaker.failures > 0);
        for target in targets.clone() {
            let Some(news) = self.platform.memory(|memory| memory.health.news(target.place)) else {
                continue;
            };
            if let Ok(value) = serde_json::to_string(&news) {
                self.platform.remember(&key(target), &value, KEPT_S).await;
            }
        }
        let now_ms = self.platform.now_ms();
        for target in targets {
            if !self.platform.memory(|memory| memory.health.asks(target.place, now_ms)) {
                continue;
            }
            let told = self.platform.recall(&key(target)).await;
            if let Some(news) = told.and_then(|value| serde_json::from_str::<News>(&value).ok()) {
                self.platform.memory(|memory| memory.health.learn(target.place, news, now_ms));
            }
        }
    }
}

fn key(target: &Target<'_>) -> String {
    // A model's name may hold anything that a URL has a meaning for.
    let model = moegate_wire::sign::to_hex(target.model.name.as_bytes());
    format!("breaker/{}/{model}", target.origin.name)
}
