//! The gateway in process, on `platform::fake`.

use crate::host::{Call, Ended, Framing, Host, Needs, Reply, StoredRecord};
use crate::suite::{CONTRACT, Suite};
use moegate::core::config::Config;
use moegate::platform::Head;
use moegate::platform::fake::{self, Arrived, Client, Responder, World};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub struct FakeHost {
    config: Config,
    world: World,
}

impl FakeHost {
    /// # Panics
    /// If the suite's configuration is not valid.
    #[must_use]
    pub fn new(suite: &Suite) -> Self {
        let config = moegate_config::authoring::parse(suite.config).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let secrets = (suite.secrets)().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { config, world: World::new(u64::try_from(now.as_millis()).unwrap(), secrets) }
    }
}

impl Default for FakeHost {
    fn default() -> Self {
        Self::new(&CONTRACT)
    }
}

/// What this host can do or show.
#[must_use]
pub fn can(needs: Needs) -> bool {
    matches!(needs, Needs::Nothing | Needs::FaultyStore | Needs::SeesClientLeave)
}

impl Host for FakeHost {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn can(&self, needs: Needs) -> bool {
        can(needs)
    }

    fn answer(&self, responder: Responder) {
        self.world.answer(responder);
    }

    fn call(&self, call: &Call) -> Reply {
        let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
        let head = Head {
            method: call.method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            authorization: call.authorization.clone(),
            content_length: (call.framing == Framing::Length && !call.body.is_empty())
                .then_some(call.body.len() as u64),
            ..Head::default()
        };
        let left = std::cell::Cell::new(call.leaves_after.is_some());
        let mut client = Client::new(call.body.clone()).staying_while(|body| {
            let stays = (call.stays)(body);
            left.set(left.get() || !stays);
            stays
        });
        if call.leaves_after.is_some() {
            client = client.leaving_before_answer();
        }
        let got = fake::serve(&self.world, &self.config, &head, client);
        let ended = if left.get() { Ended::Left } else { Ended::Whole };
        let (status, headers) = got.reply.map_or((0, Vec::new()), |reply| (reply.status, reply.headers));
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Reply { status, headers, body: got.body, ended }
    }

    fn call_all(&self, calls: &[Call], _at_once: usize) -> Vec<Reply> {
        calls.iter().map(|call| self.call(call)).collect()
    }

    fn arrived(&self) -> Vec<Arrived> {
        self.world.arrived()
    }

    fn dropped_after(&self, number: usize) -> Option<Duration> {
        self.world.was_dropped(number).then_some(Duration::ZERO)
    }

    fn keys(&self) -> Vec<String> {
        self.world.stored().into_iter().map(|stored| stored.key).collect()
    }

    fn record(&self, key: &str) -> StoredRecord {
        let stored = self.world.stored().into_iter().find(|stored| stored.key == key).unwrap();
        StoredRecord { value: stored.value, summary: stored.summary }
    }

    fn forget(&self) {
        self.world.forget();
    }

    fn fail_store(&self, count: usize) {
        self.world.fail_store(count);
    }

    fn said(&self) -> String {
        self.world.log().join("\n")
    }
}
