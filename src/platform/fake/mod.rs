//! A platform for tests, in process: virtual time, a store in memory, scripted origins, and every hazard as a switch.
//!
//! The contract suite holds it to the other platforms. Time passes only when nothing else can move ([`executor`]), so a
//! request that takes minutes is served at once, and one that would wait for ever is a panic. What the trait forbids
//! (reading on after a dropped read, a second reply, a secret in the log) is a panic too.

mod client;
mod clock;
mod executor;
mod ledger;
mod origin;
mod reply;
mod script;
mod store;
#[cfg(test)]
mod tests;
mod world;

pub use client::{Client, Got};
pub use ledger::LedgerHazards;
pub use origin::Incoming;
pub use reply::Outgoing;
pub use script::{Arrived, COMMENT, End, Piece, Responder, Script, Scripted};
pub use store::{Hazards, Stored};
pub use world::World;

use crate::gateway::{self, Gateway};
use crate::platform::{
    BodyError, Broken, FetchError, Left, Page, Payload, PipeError, Platform, SecretsUnavailable, StoreError,
    Urgency,
};
use crate::secret::Secret;
use crate::state::InstanceState;
use clock::Clock;
use executor::{Task, Turns};
use http::{Request, Response};
use ledger::{Answer, Ledger};
use origin::Connection;
use std::future::pending;
use std::ops::Deref;
use std::rc::Rc;
use store::{Fate, Store};

/// Serves one request and says what the client got.
///
/// # Panics
/// If the request would wait for ever.
pub fn serve(world: &World, gateway: &Gateway, head: Request<()>, client: Client<'_>) -> Got {
    run(world, client, async move |platform| gateway::handle(platform, gateway, head).await)
}

/// Serves several requests at once, and says what each client got. What may happen in any order happens in one that
/// `seed` gives.
///
/// # Panics
/// If one of them would wait for ever.
pub fn serve_all(
    world: &World,
    gateway: &Gateway,
    requests: Vec<(Request<()>, Client<'_>)>,
    seed: u64,
) -> Vec<Got> {
    let requests = requests
        .into_iter()
        .map(|(head, client)| {
            (client, async move |platform: &Fake<'_>| gateway::handle(platform, gateway, head).await)
        })
        .collect();
    run_all(world, requests, seed)
}

/// Runs any work on the platform of one client.
///
/// # Panics
/// If it would wait for ever.
pub fn run<'a>(world: &'a World, client: Client<'a>, work: impl AsyncFnOnce(&Fake<'_>)) -> Got {
    let turns = Turns::alone();
    {
        let platform = Fake { world, client: &client, turns: &turns };
        let work = Box::pin(async { work(&platform).await });
        executor::run(world, &turns, &mut [Task::new(&client, work)]);
    }
    client.into_got()
}

/// Runs the work of several clients at once, in an order that `seed` gives.
///
/// # Panics
/// If some of it would wait for ever.
pub fn run_all<'a, W: AsyncFnOnce(&Fake<'_>)>(
    world: &'a World,
    requests: Vec<(Client<'a>, W)>,
    seed: u64,
) -> Vec<Got> {
    let turns = Turns::seeded(seed);
    let (clients, works): (Vec<_>, Vec<_>) = requests.into_iter().unzip();
    {
        let mut tasks: Vec<_> = clients
            .iter()
            .zip(works)
            .map(|(client, work)| {
                let platform = Fake { world, client, turns: &turns };
                Task::new(client, Box::pin(async move { work(&platform).await }))
            })
            .collect();
        executor::run(world, &turns, &mut tasks);
    }
    clients.into_iter().map(Client::into_got).collect()
}

/// Bytes that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytes(Rc<Vec<u8>>);

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Rc::new(bytes))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// The platform for one request.
pub struct Fake<'a> {
    world: &'a World,
    client: &'a Client<'a>,
    turns: &'a Turns,
}

impl Fake<'_> {
    /// Before each operation: others may have their turn, and the runtime may drop the work.
    async fn step(&self) {
        if !self.client.step() {
            pending::<()>().await;
        }
        self.turns.others().await;
    }

    async fn write_to_store(&self, write: impl Fn(&mut Store, &Clock)) -> Result<(), StoreError> {
        self.step().await;
        let (fate, put_ms) = self.world.with_store(|store, _| (store.fate_of_put(), store.hazards.put_ms));
        self.sleep(put_ms).await;
        let write = || self.world.with_store(|store, clock| write(store, clock));
        match fate {
            Fate::Answered => write(),
            Fate::Fails => return Err(StoreError),
            Fate::StoredButFails => {
                write();
                return Err(StoreError);
            }
            Fate::Lost => {}
            Fate::Hangs => pending::<()>().await,
        }
        Ok(())
    }

    async fn send(&self, chunk: &Payload<Bytes>) -> Result<(), Left> {
        self.client.send(self.world, chunk)?;
        let taken = self.client.taken().await;
        // Where nobody tells, the next write finds out.
        if self.world.tells_of_leaving() { taken } else { Ok(()) }
    }
}

impl<'a> Platform for Fake<'a> {
    type Bytes = Bytes;
    type Incoming = Incoming<'a>;
    type Outgoing = Outgoing<'a>;

    const HAS_ALARMS: bool = false;
    const LEDGER_OUTLIVES_INSTANCE: bool = true;
    const STORE_EXPIRES: bool = true;

    fn now_ms(&self) -> u64 {
        self.world.now_ms()
    }

    fn random(&self, bytes: &mut [u8]) {
        self.world.random(bytes);
    }

    async fn secret(&self, name: &str) -> Result<Option<Secret>, SecretsUnavailable> {
        self.step().await;
        self.world.secret(name)
    }

    fn state<T>(&self, f: impl FnOnce(&mut InstanceState) -> T) -> T {
        self.world.instance_of(self.client.instance, f)
    }

    fn sleep(&self, ms: u64) -> impl Future<Output = ()> {
        self.world.clock.until(self.world.now_ms().saturating_add(ms))
    }

    async fn cancelled(&self) {
        if !self.world.tells_of_leaving() {
            pending::<()>().await;
        }
        self.client.left().await;
    }

    async fn read_body(&self, limit: usize) -> Result<Bytes, BodyError> {
        assert!(!self.client.body_is_read.replace(true), "the client's body is read twice");
        self.step().await;
        if self.client.body.len() > limit {
            return Err(BodyError::TooLarge);
        }
        self.world.clock.until(self.client.sent_at_ms()).await;
        if self.client.breaks_off { Err(BodyError::Broken) } else { Ok(self.client.body.clone().into()) }
    }

    async fn fetch(&self, request: Request<Payload<Bytes>>) -> Result<Response<Incoming<'a>>, FetchError> {
        self.step().await;
        let arrived = self.arrived(request);
        if self.world.is_denied(&arrived.authority) {
            return Err(FetchError::Denied);
        }
        let (number, mut script) = self.world.arrive(arrived);
        if script == Script::Refuse {
            return Err(FetchError::Connect);
        }
        let mut connection = Connection::new(self.world, number);
        self.client.arrived(self.world);
        loop {
            match script {
                Script::After(ms, then) => {
                    self.sleep(ms).await;
                    script = *then;
                }
                // No platform can tell a reset before the answer from a refusal.
                Script::Refuse | Script::Reset => {
                    connection.end();
                    return Err(FetchError::Connect);
                }
                Script::Silence => pending::<()>().await,
                Script::Answer(scripted) => {
                    let mut head = Response::builder().status(scripted.status);
                    for (name, value) in &scripted.headers {
                        head = head.header(name, value);
                    }
                    return Ok(head
                        .body(Incoming::new(connection, scripted))
                        .expect("a script's status and headers are valid"));
                }
            }
        }
    }

    async fn read(&self, incoming: &mut Incoming<'a>) -> Result<Option<Bytes>, Broken> {
        incoming.begin_read();
        self.step().await;
        incoming.next(self.client).await
    }

    async fn collect(&self, mut incoming: Incoming<'a>, limit: usize) -> Result<Bytes, BodyError> {
        let mut all = Vec::new();
        loop {
            match self.read(&mut incoming).await {
                Ok(Some(bytes)) => all.extend_from_slice(&bytes),
                Ok(None) => return Ok(all.into()),
                Err(Broken) => return Err(BodyError::Broken),
            }
            if all.len() > limit {
                return Err(BodyError::TooLarge);
            }
        }
    }

    async fn respond(&self, reply: Response<Payload<Bytes>>) -> Result<(), Left> {
        self.step().await;
        let (head, body) = reply.into_parts();
        self.client.head(self.world, Response::from_parts(head, ()));
        self.client.send(self.world, &body)?;
        self.client.close(self.world);
        if self.client.has_left() && self.world.tells_of_leaving() { Err(Left) } else { Ok(()) }
    }

    fn begin(&self, head: Response<()>) -> Outgoing<'a> {
        self.client.head(self.world, head);
        Outgoing::new(self.client, self.world)
    }

    async fn write(&self, outgoing: &mut Outgoing<'a>, chunk: Payload<Bytes>) -> Result<(), Left> {
        outgoing.begin_write();
        self.step().await;
        let sent = self.send(&chunk).await;
        outgoing.written();
        sent
    }

    async fn pipe(&self, mut incoming: Incoming<'a>, outgoing: &mut Outgoing<'a>) -> Result<(), PipeError> {
        outgoing.begin_write();
        let piped = loop {
            match self.read(&mut incoming).await {
                Ok(Some(bytes)) => {
                    if self.send(&Payload::Passed(bytes)).await.is_err() {
                        break Err(PipeError::Left);
                    }
                }
                Ok(None) => break Ok(()),
                Err(Broken) => break Err(PipeError::Broken),
            }
        };
        outgoing.written();
        piped
    }

    async fn close(&self, mut outgoing: Outgoing<'a>) -> Result<(), Left> {
        self.step().await;
        self.client.taken().await?;
        outgoing.closed();
        Ok(())
    }

    async fn remember(&self, key: &str, value: &str, seconds: u64) {
        self.step().await;
        self.world.with_store(|store, clock| store.remember(clock, key, value, seconds));
    }

    async fn recall(&self, key: &str) -> Option<String> {
        self.step().await;
        self.world.with_store(|store, clock| store.recall(clock, key))
    }

    async fn load(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.step().await;
        self.world.with_store(|store, clock| store.load(clock, key))
    }

    async fn store(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.write_to_store(|store, clock| store.set(clock, key, Some(value))).await
    }

    async fn store_for(&self, key: &str, value: &str, seconds: u64) -> Result<(), StoreError> {
        assert!(seconds >= 60, "Workers KV keeps nothing for a shorter time");
        self.store(key, value).await
    }

    async fn erase(&self, key: &str) -> Result<(), StoreError> {
        self.write_to_store(|store, clock| store.set(clock, key, None)).await
    }

    async fn put_record(&self, key: &str, value: &str, summary: &str) -> Result<(), StoreError> {
        self.write_to_store(|store, _| store.put(key, value, summary)).await
    }

    async fn list_records(&self, prefix: &str, cursor: Option<&str>) -> Result<Page, StoreError> {
        self.step().await;
        self.sleep(self.world.with_store(|store, _| store.hazards.list_ms)).await;
        self.world.with_store(|store, _| store.list(prefix, cursor))
    }

    async fn ledger(&self, _shard: &str, operation: &str, _urgency: Urgency) -> Result<String, StoreError> {
        self.step().await;
        let fate = self.world.with_ledger(Ledger::fate);
        // On its way it does not depend on its sender any more.
        if fate.before_ms > 0 {
            self.sleep(fate.before_ms).await;
        }
        let answer = self.world.with_ledger(|ledger| ledger.carry_out(operation, fate));
        if fate.after_ms > 0 {
            self.sleep(fate.after_ms).await;
        }
        match fate.answer {
            Answer::Given => answer,
            Answer::Lost => Err(StoreError),
            Answer::Never => pending().await,
        }
    }

    async fn log(&self, line: &str) {
        self.step().await;
        self.world.say(line);
    }
}
