//! The SQLite file behind the key-value interfaces, with the statements and the faults of the real runtime's own store.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::{mpsc, oneshot};

use super::slot::{Held, Refused, Slot};
use super::{Hazards, KvError};
use crate::faults::Faults;

/// Keys that a `get_keys` stream buffers ahead of the guest, as in the real runtime.
const KEYS_AHEAD: usize = 4;

/// What a `get_keys` stream consists of: the keys, and how it ended.
pub(crate) type Keys = (mpsc::Receiver<String>, oneshot::Receiver<Result<(), KvError>>);

/// One SQLite file, shared by every instance and every open store. As in the real runtime it is made when a store is
/// first opened, not when the host starts.
#[derive(Clone)]
pub(crate) struct Database {
    file: Arc<PathBuf>,
    connection: Arc<OnceLock<Slot<Connection>>>,
    hazards: Arc<Hazards>,
    faults: Arc<Faults>,
}

/// One named store in a [`Database`].
#[derive(Clone)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct KvStore {
    database: Database,
    connection: Slot<Connection>,
    name: String,
}

/// A compare-and-swap in progress: the key and the value it saw.
pub(crate) struct Cas {
    pub(crate) store: KvStore,
    pub(crate) key: String,
    seen: Option<Vec<u8>>,
}

/// How a swap ended without a store error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Swapped {
    Yes,
    /// Another writer was there first.
    No,
}

impl From<rusqlite::Error> for KvError {
    fn from(error: rusqlite::Error) -> Self {
        eprintln!("spin-host: key-value: {error}");
        Self::Other(format!("{error:?}"))
    }
}

impl Database {
    /// The store in this file, which need not exist.
    pub(crate) fn new(file: &Path, hazards: Hazards, faults: Arc<Faults>) -> Self {
        Self {
            file: Arc::new(file.to_owned()),
            connection: Arc::default(),
            hazards: Arc::new(hazards),
            faults,
        }
    }

    /// The store of this name.
    ///
    /// # Errors
    /// The file cannot be opened or made.
    pub(crate) fn store(&self, name: &str) -> Result<KvStore, KvError> {
        self.faults.open()?;
        let connection = match self.connection.get() {
            Some(connection) => connection,
            // Two that are first at once both open the file, and one connection is kept: as in the real runtime.
            None => {
                let opened = Slot::new(self.open()?);
                self.connection.get_or_init(|| opened)
            }
        };
        Ok(KvStore { database: self.clone(), connection: connection.clone(), name: name.to_owned() })
    }

    /// Opens or creates the file. Journal and durability are SQLite's defaults, as in the real runtime, unless the
    /// hazards say that nothing need reach the disk.
    fn open(&self) -> Result<Connection, KvError> {
        let connection = Connection::open(&*self.file)?;
        if !self.hazards.fsync {
            connection.pragma_update(None, "synchronous", "OFF")?;
        }
        connection.execute(
            "CREATE TABLE IF NOT EXISTS spin_key_value (
                     store TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (store, key))",
            [],
        )?;
        Ok(connection)
    }

    /// Whether a call keeps its instance from doing anything else.
    pub(crate) fn blocks_instance(&self) -> bool {
        self.hazards.blocks_instance
    }

    fn granted(&self, held: Result<Held<Connection>, Refused>) -> Result<Held<Connection>, KvError> {
        let slow = self.faults.slow();
        if !slow.is_zero() {
            std::thread::sleep(slow);
        }
        held.map_err(|refused| match refused {
            // The real runtime's `lock().unwrap()`: the call ends its instance and the requests in it.
            Refused::Poisoned => panic!("spin-host: the key-value store is poisoned by an earlier panic"),
            Refused::HeldByStream => {
                let sentence = format!(
                    "a get_keys stream has held the store for {:?}; the real runtime would wait for ever",
                    self.hazards.hold_limit
                );
                eprintln!("spin-host: key-value: {sentence}");
                KvError::Other(sentence)
            }
        })
    }
}

impl KvStore {
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    fn hold(&self) -> Result<Held<Connection>, KvError> {
        self.database.granted(self.connection.hold(self.database.hazards.hold_limit))
    }

    pub(crate) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        let connection = self.hold()?;
        self.database.faults.read()?;
        read(&connection, &self.name, key)
    }

    pub(crate) fn set(&self, key: &str, value: &[u8]) -> Result<(), KvError> {
        let connection = self.hold()?;
        self.database.faults.write()?;
        write(&connection, &self.name, key, value)
    }

    #[cfg(test)]
    pub(crate) fn synchronous(&self) -> i64 {
        let connection = self.hold().expect("a free store");
        connection.pragma_query_value(None, "synchronous", |row| row.get(0)).expect("a number")
    }

    /// All or none.
    pub(crate) fn set_many(&self, pairs: &[(String, Vec<u8>)]) -> Result<(), KvError> {
        let mut connection = self.hold()?;
        self.database.faults.write()?;
        let transaction = connection.transaction()?;
        for (key, value) in pairs {
            write(&transaction, &self.name, key, value)?;
        }
        transaction.commit().map_err(KvError::from)
    }

    pub(crate) fn delete(&self, key: &str) -> Result<(), KvError> {
        let connection = self.hold()?;
        let mut statement =
            connection.prepare_cached("DELETE FROM spin_key_value WHERE store = ?1 AND key = ?2")?;
        statement.execute([&self.name, key]).map_err(KvError::from).map(drop)
    }

    pub(crate) fn exists(&self, key: &str) -> Result<bool, KvError> {
        Ok(self.get(key)?.is_some())
    }

    /// All keys at once, as `wasi:keyvalue` wants them.
    pub(crate) fn keys(&self) -> Result<Vec<String>, KvError> {
        let connection = self.hold()?;
        let mut statement = connection.prepare_cached("SELECT key FROM spin_key_value WHERE store = ?1")?;
        let rows = statement.query_map([&self.name], |row| row.get(0))?;
        rows.collect::<Result<_, _>>().map_err(KvError::from)
    }

    /// The keys as a stream, read by a thread of its own. Must be called inside a tokio runtime.
    ///
    /// With the hazard on, that thread holds the store until the guest has taken or dropped the last key that does not
    /// fit in the buffer; otherwise it reads all keys first.
    pub(crate) fn stream_keys(&self) -> Keys {
        let (keys_in, keys_out) = mpsc::channel(KEYS_AHEAD);
        let (end_in, end_out) = oneshot::channel();
        let store = self.clone();
        let holds = self.database.hazards.get_keys_holds;
        // The real reader takes the lock a moment later, in its thread. Here a free store is held from the call on, so
        // that the hazard does not depend on the threads' order.
        let held = if holds { self.connection.hold_for_stream_now() } else { None };
        tokio::task::spawn_blocking(move || {
            let end = if let Err(error) = store.database.faults.write() {
                Err(error)
            } else if holds {
                let held = match held {
                    Some(held) => Ok(held),
                    None => store.connection.hold_for_stream(),
                };
                store.database.granted(held).and_then(|held| store.send_keys(&held, &keys_in))
            } else {
                store.keys().and_then(|keys| keys.into_iter().try_for_each(|key| send(&keys_in, key)))
            };
            // Nobody need be listening any more.
            let _ = end_in.send(end);
        });
        (keys_out, end_out)
    }

    fn send_keys(&self, connection: &Connection, keys: &mpsc::Sender<String>) -> Result<(), KvError> {
        let mut statement = connection.prepare_cached("SELECT key FROM spin_key_value WHERE store = ?1")?;
        let mut rows = statement.query([&self.name])?;
        while let Some(row) = rows.next()? {
            send(keys, row.get(0)?)?;
        }
        Ok(())
    }

    /// Adds `delta` to an 8-byte little-endian counter; a missing one counts as zero.
    pub(crate) fn increment(&self, key: &str, delta: i64) -> Result<i64, KvError> {
        let mut connection = self.hold()?;
        self.database.faults.write()?;
        let transaction = connection.transaction()?;
        let old = match read(&transaction, &self.name, key)? {
            None => 0,
            Some(bytes) => match <[u8; 8]>::try_from(bytes.as_slice()) {
                Ok(bytes) => i64::from_le_bytes(bytes),
                // The real runtime's `expect`: it takes the instance along and leaves the connection's mutex poisoned.
                Err(_) if self.database.hazards.increment_poisons => {
                    panic!("spin-host: increment of a value of {} bytes, not 8", bytes.len())
                }
                Err(_) => {
                    return Err(KvError::Other(format!("not a counter: {} bytes, not 8", bytes.len())));
                }
            },
        };
        let new = old.checked_add(delta).ok_or_else(|| KvError::Other("the counter overflows".to_owned()))?;
        write(&transaction, &self.name, key, &new.to_le_bytes())?;
        transaction.commit()?;
        Ok(new)
    }

    pub(crate) fn cas(&self, key: &str) -> Cas {
        Cas { store: self.clone(), key: key.to_owned(), seen: None }
    }
}

impl Cas {
    /// Reads the value and remembers it for [`Cas::swap`].
    pub(crate) fn current(&mut self) -> Result<Option<Vec<u8>>, KvError> {
        self.seen = self.store.get(&self.key)?;
        Ok(self.seen.clone())
    }

    /// Writes `value` where the stored one is still the one seen.
    ///
    /// A key that was missing (or never read) when looked at is the hazard: the real runtime then overwrites whatever
    /// is there, so that two racers both win.
    pub(crate) fn swap(&self, value: &[u8]) -> Result<Swapped, KvError> {
        let connection = self.store.hold()?;
        self.store.database.faults.write()?;
        let name = &self.store.name;
        let changed = match &self.seen {
            Some(seen) => connection
                .prepare_cached(
                    "UPDATE spin_key_value SET value = ?4 WHERE store = ?1 AND key = ?2 AND value = ?3",
                )
                .and_then(|mut statement| statement.execute(params![name, self.key, seen, value])),
            None if self.store.database.hazards.cas_missing_both_win => {
                return write(&connection, name, &self.key, value).map(|()| Swapped::Yes);
            }
            None => connection
                .prepare_cached(
                    "INSERT INTO spin_key_value (store, key, value) VALUES (?1, ?2, ?3)
                     ON CONFLICT (store, key) DO NOTHING",
                )
                .and_then(|mut statement| statement.execute(params![name, self.key, value])),
        };
        Ok(if changed? == 1 { Swapped::Yes } else { Swapped::No })
    }
}

fn send(keys: &mpsc::Sender<String>, key: String) -> Result<(), KvError> {
    keys.blocking_send(key).map_err(|_| KvError::Other("the stream of keys was dropped".to_owned()))
}

fn read(connection: &Connection, store: &str, key: &str) -> Result<Option<Vec<u8>>, KvError> {
    let mut statement =
        connection.prepare_cached("SELECT value FROM spin_key_value WHERE store = ?1 AND key = ?2")?;
    statement.query_row([store, key], |row| row.get(0)).optional().map_err(KvError::from)
}

fn write(connection: &Connection, store: &str, key: &str, value: &[u8]) -> Result<(), KvError> {
    connection
        .prepare_cached(
            "INSERT INTO spin_key_value (store, key, value) VALUES (?1, ?2, ?3)
             ON CONFLICT (store, key) DO UPDATE SET value = ?3",
        )
        .and_then(|mut statement| statement.execute(params![store, key, value]))
        .map_err(KvError::from)
        .map(drop)
}
