//! The tables of a shard.

/// To be run once on each database that is opened; each statement alone. Nothing is lost where they are there already.
///
/// - `attempt`: the record of every settled attempt, by its id. Ids sort by time. `holds` is there while an estimate may
///   still be corrected.
/// - `pending`: attempts under way.
/// - `total`: sums by hour. `changed`: the hours whose sums are not published (1) or being published (2).
/// - `usage`: what is used of each limit, reservations included.
/// - `idempotent`: requests with an idempotency key.
/// - `released`: attempts that were given up before their reservation came.
/// - `period`: what instances of our own server say of an hour.
/// - `config_version`: the configurations that were pushed. `published`: whether instances have been given it or a later one.
/// - `made_key`: keys made at run time; never deleted, so that a name stands for one key for ever. `owner`: who writes the
///   row to the store, until when. `key_audit`: a row for each of their changes.
/// - `lifecycle`: the row of each origin that sleeps. `wake`: its wakes that are over.
pub const SCHEMA: [&str; 14] = [
    "CREATE TABLE IF NOT EXISTS attempt (id TEXT PRIMARY KEY, estimated INTEGER NOT NULL, key TEXT NOT NULL, \
     tenant TEXT NOT NULL, model TEXT NOT NULL, origin TEXT NOT NULL, route TEXT NOT NULL, user TEXT, tag TEXT, \
     holds TEXT, record TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS pending (id TEXT PRIMARY KEY, until_ms INTEGER NOT NULL, requests INTEGER NOT NULL, \
     tokens INTEGER NOT NULL, cost INTEGER NOT NULL, holds TEXT, record TEXT, receipt TEXT) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS total (hour INTEGER NOT NULL, key TEXT NOT NULL, tenant TEXT NOT NULL, \
     model TEXT NOT NULL, origin TEXT NOT NULL, route TEXT NOT NULL, ending TEXT NOT NULL, requests INTEGER, \
     attempts INTEGER, unmetered INTEGER, estimated INTEGER, prompt INTEGER, cached INTEGER, cache_write INTEGER, \
     completion INTEGER, reasoning INTEGER, cost INTEGER, upstream INTEGER, beside_upstream INTEGER, busy INTEGER, \
     PRIMARY KEY (hour, key, tenant, model, origin, route, ending)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS changed (hour INTEGER PRIMARY KEY, state INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS usage (scope TEXT NOT NULL, from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, \
     requests INTEGER NOT NULL, tokens INTEGER NOT NULL, cost INTEGER NOT NULL, \
     PRIMARY KEY (scope, from_ms, to_ms)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS idempotent (key TEXT PRIMARY KEY, content TEXT NOT NULL, owner TEXT NOT NULL, \
     until_ms INTEGER NOT NULL, reply TEXT) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS released (id TEXT PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS period (origin TEXT NOT NULL, instance TEXT NOT NULL, hour INTEGER NOT NULL, \
     busy INTEGER NOT NULL, idle INTEGER NOT NULL, cold INTEGER NOT NULL, \
     PRIMARY KEY (origin, hour, instance)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS usage_end ON usage (to_ms)",
    "CREATE TABLE IF NOT EXISTS config_version (version INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, who TEXT NOT NULL, \
     note TEXT NOT NULL, hash TEXT NOT NULL, base TEXT NOT NULL, back_to INTEGER, published INTEGER NOT NULL, \
     config TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS made_key (name TEXT PRIMARY KEY, tenant TEXT NOT NULL, made_by TEXT NOT NULL, \
     version INTEGER NOT NULL, published INTEGER NOT NULL, owner TEXT NOT NULL, owner_until_ms INTEGER NOT NULL, \
     record TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS key_audit (id TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, by TEXT NOT NULL, \
     name TEXT NOT NULL, what TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS lifecycle (origin TEXT PRIMARY KEY, waking INTEGER NOT NULL, row TEXT NOT NULL) \
     WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS wake (origin TEXT NOT NULL, began_ms INTEGER NOT NULL, row TEXT NOT NULL, \
     PRIMARY KEY (origin, began_ms)) WITHOUT ROWID",
];
