//! The interfaces over the store: `spin:key-value@3` and `wasi:keyvalue@0.2.0-draft2`.

use std::collections::HashSet;
use std::sync::Arc;

use wasmtime::Result;
use wasmtime::component::{Accessor, FutureReader, HasData, Linker, Resource, ResourceTable, StreamReader};

use super::store::{Cas, Database, KvStore, Swapped};
use super::{Bucket, CasHandle, KvError};
use crate::bindings::spin::key_value::key_value::{self as spin, Error as SpinError};
use crate::bindings::wasi::keyvalue::atomics::{self, CasError};
use crate::bindings::wasi::keyvalue::batch;
use crate::bindings::wasi::keyvalue::store::{self as wasi, Error as WasiError, KeyResponse};
use crate::producer::Producer;

/// What an instance may open, and where it is.
#[derive(Clone)]
pub(crate) struct KvState {
    database: Database,
    allowed: Arc<HashSet<String>>,
}

/// [`KvState`] together with the instance's resources.
pub(crate) struct KvView<'a> {
    pub(crate) state: &'a KvState,
    pub(crate) table: &'a mut ResourceTable,
}

struct KvData;

impl HasData for KvData {
    type Data<'a> = KvView<'a>;
}

/// Makes the interfaces available to components.
pub(crate) fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> KvView<'_>,
) -> Result<()> {
    spin::add_to_linker::<T, KvData>(linker, view)?;
    wasi::add_to_linker::<T, KvData>(linker, view)?;
    atomics::add_to_linker::<T, KvData>(linker, view)?;
    batch::add_to_linker::<T, KvData>(linker, view)
}

impl KvState {
    /// `allowed`: the names that the manifest lists for the component.
    pub(crate) fn new(database: Database, allowed: HashSet<String>) -> Self {
        Self { database, allowed: Arc::new(allowed) }
    }

    fn open(&self, name: &str) -> std::result::Result<KvStore, KvError> {
        if self.allowed.contains(name) {
            tokio::task::block_in_place(|| self.database.store(name))
        } else {
            Err(KvError::AccessDenied)
        }
    }
}

impl From<KvError> for SpinError {
    fn from(error: KvError) -> Self {
        match error {
            KvError::AccessDenied => Self::AccessDenied,
            KvError::Other(why) => Self::Other(why),
        }
    }
}

impl From<KvError> for WasiError {
    fn from(error: KvError) -> Self {
        match error {
            KvError::AccessDenied => Self::AccessDenied,
            KvError::Other(why) => Self::Other(why),
        }
    }
}

/// Runs `call` where the hazards say: on the instance's own thread, or beside it.
async fn spin_call<T, A>(
    accessor: &Accessor<T, KvData>,
    store: Resource<KvStore>,
    call: impl FnOnce(&KvStore) -> std::result::Result<A, KvError> + Send + 'static,
) -> Result<std::result::Result<A, SpinError>>
where
    T: Send + 'static,
    A: Send + 'static,
{
    let store = accessor.with(|mut access| access.get().table.get(&store).cloned())?;
    let answer = if store.database().blocks_instance() {
        tokio::task::block_in_place(|| call(&store))
    } else {
        match tokio::task::spawn_blocking(move || call(&store)).await {
            Ok(answer) => answer,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    };
    Ok(answer.map_err(SpinError::from))
}

impl spin::Host for KvView<'_> {}

impl spin::HostStore for KvView<'_> {
    fn drop(&mut self, store: Resource<KvStore>) -> Result<()> {
        self.table.delete(store)?;
        Ok(())
    }
}

impl<T: Send + 'static> spin::HostStoreWithStore<T> for KvData {
    async fn open(
        accessor: &Accessor<T, Self>,
        label: String,
    ) -> Result<std::result::Result<Resource<KvStore>, SpinError>> {
        accessor.with(|mut access| {
            let view = access.get();
            match view.state.open(&label) {
                Ok(store) => Ok(Ok(view.table.push(store)?)),
                Err(error) => Ok(Err(error.into())),
            }
        })
    }

    async fn get(
        accessor: &Accessor<T, Self>,
        store: Resource<KvStore>,
        key: String,
    ) -> Result<std::result::Result<Option<Vec<u8>>, SpinError>> {
        spin_call(accessor, store, move |store| store.get(&key)).await
    }

    async fn set(
        accessor: &Accessor<T, Self>,
        store: Resource<KvStore>,
        key: String,
        value: Vec<u8>,
    ) -> Result<std::result::Result<(), SpinError>> {
        spin_call(accessor, store, move |store| store.set(&key, &value)).await
    }

    async fn delete(
        accessor: &Accessor<T, Self>,
        store: Resource<KvStore>,
        key: String,
    ) -> Result<std::result::Result<(), SpinError>> {
        spin_call(accessor, store, move |store| store.delete(&key)).await
    }

    async fn exists(
        accessor: &Accessor<T, Self>,
        store: Resource<KvStore>,
        key: String,
    ) -> Result<std::result::Result<bool, SpinError>> {
        spin_call(accessor, store, move |store| store.exists(&key)).await
    }

    async fn get_keys(
        accessor: &Accessor<T, Self>,
        store: Resource<KvStore>,
    ) -> Result<(StreamReader<String>, FutureReader<std::result::Result<(), SpinError>>)> {
        accessor.with(|mut access| {
            let (keys, end) = access.get().table.get(&store)?.stream_keys();
            let end = async move {
                // A reader thread that ended without a word has panicked.
                let end =
                    end.await.unwrap_or_else(|_| Err(KvError::Other("the reader of keys failed".to_owned())));
                wasmtime::error::Ok(end.map_err(SpinError::from))
            };
            Ok((StreamReader::new(&mut access, Producer(keys))?, FutureReader::new(&mut access, end)?))
        })
    }
}

impl KvView<'_> {
    /// Runs a call of `wasi:keyvalue`, whose functions are synchronous: the instance stands still meanwhile.
    fn wasi_call<A>(
        &mut self,
        bucket: &Resource<Bucket>,
        call: impl FnOnce(&KvStore) -> std::result::Result<A, KvError>,
    ) -> Result<std::result::Result<A, WasiError>> {
        let store = &self.table.get(bucket)?.0;
        Ok(tokio::task::block_in_place(|| call(store)).map_err(WasiError::from))
    }
}

impl wasi::Host for KvView<'_> {
    fn open(&mut self, name: String) -> Result<std::result::Result<Resource<Bucket>, WasiError>> {
        match self.state.open(&name) {
            Ok(store) => Ok(Ok(self.table.push(Bucket(store))?)),
            Err(error) => Ok(Err(error.into())),
        }
    }
}

impl wasi::HostBucket for KvView<'_> {
    fn get(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> Result<std::result::Result<Option<Vec<u8>>, WasiError>> {
        self.wasi_call(&bucket, |store| store.get(&key))
    }

    fn set(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> Result<std::result::Result<(), WasiError>> {
        self.wasi_call(&bucket, |store| store.set(&key, &value))
    }

    fn delete(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> Result<std::result::Result<(), WasiError>> {
        self.wasi_call(&bucket, |store| store.delete(&key))
    }

    fn exists(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> Result<std::result::Result<bool, WasiError>> {
        self.wasi_call(&bucket, |store| store.exists(&key))
    }

    fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<String>,
    ) -> Result<std::result::Result<KeyResponse, WasiError>> {
        if cursor.is_some() {
            return Ok(Err(WasiError::Other("list_keys: cursor not supported".to_owned())));
        }
        self.wasi_call(&bucket, |store| Ok(KeyResponse { keys: store.keys()?, cursor: None }))
    }

    fn drop(&mut self, bucket: Resource<Bucket>) -> Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for KvView<'_> {
    fn increment(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        delta: i64,
    ) -> Result<std::result::Result<i64, WasiError>> {
        self.wasi_call(&bucket, |store| store.increment(&key, delta))
    }

    fn swap(
        &mut self,
        cas: Resource<CasHandle>,
        value: Vec<u8>,
    ) -> Result<std::result::Result<(), CasError>> {
        let CasHandle(cas) = self.table.delete(cas)?;
        let swapped = tokio::task::block_in_place(|| match cas.swap(&value)? {
            Swapped::Yes => Ok(None),
            Swapped::No => {
                let mut again = cas.store.cas(&cas.key);
                again.current()?;
                Ok(Some(again))
            }
        });
        Ok(match swapped {
            Ok(None) => Ok(()),
            Ok(Some(again)) => Err(CasError::CasFailed(self.table.push(CasHandle(again))?)),
            Err::<Option<Cas>, KvError>(error) => Err(CasError::StoreError(error.into())),
        })
    }
}

impl atomics::HostCas for KvView<'_> {
    fn new(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> Result<std::result::Result<Resource<CasHandle>, WasiError>> {
        let cas = self.table.get(&bucket)?.0.cas(&key);
        Ok(Ok(self.table.push(CasHandle(cas))?))
    }

    fn current(
        &mut self,
        cas: Resource<CasHandle>,
    ) -> Result<std::result::Result<Option<Vec<u8>>, WasiError>> {
        let cas = &mut self.table.get_mut(&cas)?.0;
        Ok(tokio::task::block_in_place(|| cas.current()).map_err(WasiError::from))
    }

    fn drop(&mut self, cas: Resource<CasHandle>) -> Result<()> {
        self.table.delete(cas)?;
        Ok(())
    }
}

type Pairs<V> = Vec<(String, V)>;

impl batch::Host for KvView<'_> {
    fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<std::result::Result<Pairs<Option<Vec<u8>>>, WasiError>> {
        self.wasi_call(&bucket, |store| {
            // As in the real runtime, keys without a value are left out.
            let found = keys.into_iter().map(|key| store.get(&key).map(|value| (key, value)));
            found.filter(|row| !matches!(row, Ok((_, None)))).collect()
        })
    }

    fn set_many(
        &mut self,
        bucket: Resource<Bucket>,
        pairs: Pairs<Vec<u8>>,
    ) -> Result<std::result::Result<(), WasiError>> {
        self.wasi_call(&bucket, |store| store.set_many(&pairs))
    }

    fn delete_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> Result<std::result::Result<(), WasiError>> {
        self.wasi_call(&bucket, |store| keys.iter().try_for_each(|key| store.delete(key)))
    }
}
