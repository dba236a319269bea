//! Receipts that go to the gateway by themselves, kept on disk until they are there.
//!
//! A request that ends posts its receipt ([`Outbox::post`], which never blocks); a thread of its own (`writer`) appends
//! what has come meanwhile to a file (`files`), with one synchronisation for all, and then puts it into the `queue`; from
//! there a task (`deliver`) sends batches to the gateway until they are acknowledged.

#[cfg(test)]
mod crash_tests;
mod deliver;
mod files;
mod line;
mod queue;
mod writer;
#[cfg(test)]
mod writer_tests;

use crate::backoff;
use crate::client::Client;
use crate::http::auth::Auth;
use crate::http::random;
use crate::schedule::meter::Meter;
use deliver::Deliver;
use files::Files;
use moegate_wire::{Receipt, push};
use queue::Queue;
use std::fmt::Display;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use writer::Writer;

/// How long an answer's end waits for its receipt to be on disk. A disk that takes longer does not hold clients up.
const SAVE_LIMIT: Duration = Duration::from_secs(2);
/// How long the last try at the end may take.
const LAST_TRY: Duration = Duration::from_secs(5);

/// Where receipts go.
#[derive(Debug, Clone)]
pub struct Options {
    /// The gateway's base URL: `https`, or `http` on loopback.
    pub url: String,
    /// This origin's name in the gateway's configuration.
    pub origin: String,
    /// A folder for this server alone; it is made where it is missing.
    pub folder: PathBuf,
    /// The most bytes on disk.
    pub limit: u64,
}

impl Options {
    /// # Errors
    /// What is wrong with the URL, or with the certificates that this machine trusts.
    pub fn check(&self) -> Result<(), String> {
        client(&self.url).map(drop)
    }
}

fn client(url: &str) -> Result<Client, String> {
    Client::new("--receipts-to", url, push::PATH)
}

/// The end at which receipts are put in.
#[derive(Debug, Clone)]
pub struct Outbox {
    inlet: Arc<Mutex<Inlet>>,
    /// The number of the last receipt with which the writer is done.
    done: watch::Receiver<u64>,
}

#[derive(Debug)]
struct Inlet {
    posted: u64,
    sender: Sender<Message>,
}

enum Message {
    Receipt(Box<Receipt>),
    /// The gateway has everything up to this entry.
    Acked(u64),
    /// Answered once all that came before is on disk, the time up to now included.
    Flush(oneshot::Sender<()>),
}

/// How long to wait after so many failures in a row: from about a second up to a minute.
pub(crate) fn wait_after(failures: u32) -> Duration {
    backoff::wait(failures, random())
}

/// What writer and delivery share.
#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Something has come into the queue.
    filled: Notify,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing in the queue panics half way through a change.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outbox {
    fn inlet(&self) -> MutexGuard<'_, Inlet> {
        self.inlet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts in the receipt of a request that has ended; answers its number among those posted here.
    pub fn post(&self, receipt: Receipt) -> u64 {
        let mut inlet = self.inlet();
        inlet.posted += 1;
        // An error means that the writer is gone, which is told where it panicked.
        let _ = inlet.sender.send(Message::Receipt(Box::new(receipt)));
        inlet.posted
    }

    /// Returns once the receipt of this number is on disk, or cannot be, or after two seconds.
    pub async fn saved(&self, number: u64) {
        let mut done = self.done.clone();
        // Either error ends the waiting.
        let _ = timeout(SAVE_LIMIT, done.wait_for(|done| *done >= number)).await;
    }

    fn acked(&self, upto: u64) {
        let _ = self.inlet().sender.send(Message::Acked(upto));
    }

    async fn flush(&self) {
        let (flushed, wait) = oneshot::channel();
        let _ = self.inlet().sender.send(Message::Flush(flushed));
        // An error means that the writer is gone.
        let _ = timeout(SAVE_LIMIT, wait).await;
    }
}

/// A running outbox.
#[derive(Debug)]
pub struct Running {
    outbox: Outbox,
    stop: oneshot::Sender<()>,
    delivering: JoinHandle<()>,
    /// Held until the end: one process has the folder.
    _lock: File,
}

impl Running {
    /// Reads what is left from before, and starts to deliver. Within a runtime.
    ///
    /// # Errors
    /// What is wrong and what to do.
    pub fn start(options: &Options, auth: Auth, meter: Arc<Meter>) -> Result<Self, String> {
        let Options { url, origin, folder, limit } = options;
        let client = client(url)?;
        let unusable = |error: &dyn Display| format!("--outbox {}: {error}", folder.display());
        fs::create_dir_all(folder).map_err(|error| unusable(&error))?;
        let lock = File::create(folder.join("lock")).map_err(|error| unusable(&error))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => unusable(&"another moe-server uses this folder: give each its own"),
            TryLockError::Error(error) => unusable(&error),
        })?;
        let (files, found) = Files::open(folder, *limit).map_err(|error| unusable(&error))?;
        for notice in &found.notices {
            log(notice);
        }
        let shared = Arc::new(Shared::default());
        let waiting = found.entries.len();
        for numbered in found.entries {
            shared.queue().push(numbered);
        }
        if waiting > 0 {
            log(format_args!("the outbox has from before, and not delivered yet: {waiting}"));
        }
        let (sender, receiver) = channel();
        let (done, watched) = watch::channel(0);
        let instance = format!("{:016x}{:016x}", random(), random());
        let writer = Writer::new(files, receiver, done, shared.clone(), meter, instance, found.last, *limit);
        std::thread::Builder::new()
            .name("outbox".into())
            .spawn(move || writer.run())
            .map_err(|error| format!("no thread for the outbox: {error}"))?;
        let outbox = Outbox { inlet: Arc::new(Mutex::new(Inlet { posted: 0, sender })), done: watched };
        let (stop, stopped) = oneshot::channel();
        let deliver = Deliver::new(client, auth, origin.clone(), outbox.clone(), shared);
        Ok(Self { outbox, stop, delivering: tokio::spawn(deliver.run(stopped)), _lock: lock })
    }

    #[must_use]
    pub fn outbox(&self) -> Outbox {
        self.outbox.clone()
    }

    /// After the last request has ended: saves all, and tries once more to deliver it.
    pub async fn close(self) {
        let Self { outbox, stop, delivering, _lock } = self;
        outbox.flush().await;
        // An error means that the task is gone.
        let _ = stop.send(());
        let _ = timeout(LAST_TRY, delivering).await;
        // What was acknowledged meanwhile.
        outbox.flush().await;
    }
}

/// For operators.
fn log(message: impl Display) {
    // Whoever started the server may not care for its output.
    let _ = writeln!(std::io::stderr(), "moe-server: {message}");
}
