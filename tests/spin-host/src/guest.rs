//! The component: compiled once, instantiated again and again, each instance used for many requests.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;
use wasmtime::component::{Accessor, Component, GuestTaskId, HasData, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store, StoreContextMut};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, Proxy, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::p3::bindings::{ServicePre, http as wasi_http};
use wasmtime_wasi_http::{WasiHttp, WasiHttpCtx, WasiHttpCtxView};

use crate::bindings::spin::variables::variables::{self, Error as VariableError};
use crate::failure::{Failure, Result};
use crate::faults::Faults;
use crate::kv::{self, KvState, KvView};
use crate::outbound::{Hooks, Outbound};
use crate::sql::{self, SqlState, SqlView};
use crate::variables::{LookupError, Values, look_up};

/// How long an instance lives and how much it takes on. The defaults are the real runtime's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reuse {
    /// Requests that one instance gets in its life.
    pub(crate) requests: usize,
    /// Requests that it works on at once.
    pub(crate) at_once: usize,
    /// How long it is kept with nothing to do.
    pub(crate) idle: Duration,
    /// How long after its last request has come an instance that still owes an answer is ended, and how long after its
    /// last answer has begun one that does not: later requests push both out.
    pub(crate) request_timeout: Option<Duration>,
}

impl Default for Reuse {
    fn default() -> Self {
        Self { requests: 128, at_once: 16, idle: Duration::from_secs(1), request_timeout: None }
    }
}

/// What every instance of the component is given.
pub(crate) struct Grants {
    pub(crate) component: String,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) kv: KvState,
    pub(crate) sql: SqlState,
    pub(crate) outbound: Outbound,
    pub(crate) variables: Values,
    pub(crate) faults: Arc<Faults>,
}

/// The compiled component, ready to be instantiated.
pub(crate) struct Guest {
    engine: Engine,
    service: ServicePre<InstanceData>,
    grants: Arc<Grants>,
    reuse: Reuse,
}

/// One instance's state on this side.
#[expect(unreachable_pub, reason = "public traits name it")]
pub struct InstanceData {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    /// For headers that the guest makes.
    for_guest: Hooks,
    /// For headers that others sent.
    for_received: Hooks,
    /// SQLite connections that the guest has open.
    connections: usize,
    grants: Arc<Grants>,
}

impl WasiView for InstanceData {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

fn http_for_guest(data: &mut InstanceData) -> WasiHttpCtxView<'_> {
    WasiHttpCtxView { hooks: &mut data.for_guest, table: &mut data.table, ctx: &mut data.http }
}

fn http_for_received(data: &mut InstanceData) -> WasiHttpCtxView<'_> {
    WasiHttpCtxView { hooks: &mut data.for_received, table: &mut data.table, ctx: &mut data.http }
}

fn key_values(data: &mut InstanceData) -> KvView<'_> {
    KvView { state: &data.grants.kv, table: &mut data.table }
}

fn databases(data: &mut InstanceData) -> SqlView<'_> {
    SqlView { state: &data.grants.sql, table: &mut data.table, open: &mut data.connections }
}

struct VariableData;

impl HasData for VariableData {
    type Data<'a> = &'a Arc<Grants>;
}

impl variables::Host for &Arc<Grants> {}

impl<T: Send> variables::HostWithStore<T> for VariableData {
    async fn get(
        accessor: &Accessor<T, Self>,
        name: String,
    ) -> wasmtime::Result<std::result::Result<String, VariableError>> {
        let grants = accessor.with(|mut access| Arc::clone(access.get()));
        Ok(match look_up(&grants.component, &grants.variables, &name) {
            // Only a variable that there is makes the runtime ask a provider.
            Ok(_) if grants.faults.variable() => {
                Err(VariableError::Provider("injected provider failure".to_owned()))
            }
            Ok(value) => Ok(value),
            Err(LookupError::InvalidName(why)) => Err(VariableError::InvalidName(why)),
            Err(LookupError::Undefined(why)) => Err(VariableError::Undefined(why)),
        })
    }
}

impl Guest {
    /// Compiles the component, and checks that it imports nothing that isn't here and exports `wasi:http/handler@0.3.0`.
    pub(crate) fn load(path: &Path, grants: Grants, reuse: Reuse) -> Result<Self> {
        let failed = |what: &str, error: wasmtime::Error| {
            Failure::new(format!("{}: {what}: {error:#}", path.display()))
        };
        let bytes = std::fs::read(path)
            .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
        let mut config = Config::new();
        config.wasm_component_model_async(true);
        let engine = Engine::new(&config).map_err(|error| failed("cannot set up the engine", error))?;
        let component = Component::new(&engine, bytes).map_err(|error| failed("not a component", error))?;
        let linker = linker(&engine).map_err(|error| failed("cannot link", error))?;
        let service = linker
            .instantiate_pre(&component)
            .and_then(ServicePre::new)
            .map_err(|error| failed("not a component for Spin with WASI 0.3", error))?;
        Ok(Self { engine, service, grants: Arc::new(grants), reuse })
    }
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<InstanceData>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasi_http::types::add_to_linker::<_, WasiHttp>(&mut linker, http_for_guest)?;
    wasi_http::client::add_to_linker::<_, WasiHttp>(&mut linker, http_for_received)?;
    kv::add_to_linker(&mut linker, key_values)?;
    sql::add_to_linker(&mut linker, databases)?;
    variables::add_to_linker::<_, VariableData>(&mut linker, |data: &mut InstanceData| &data.grants)?;
    Ok(linker)
}

impl HandlerState for Guest {
    type StoreData = InstanceData;
    type WorkerExpiration = Expiration;
    type WorkerState = Reuse;

    async fn instantiate(&self) -> wasmtime::Result<Instance<InstanceData, Expiration, Reuse>> {
        let mut wasi = WasiCtxBuilder::new();
        // Nothing but what the manifest gives: no folders, no network but wasi:http, no standard input. The host's own
        // standard output is for its own lines, so both of the component's go to standard error.
        wasi.stdout(std::io::stderr()).stderr(std::io::stderr());
        for (name, value) in &self.grants.environment {
            wasi.env(name, value);
        }
        let data = InstanceData {
            table: ResourceTable::new(),
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            for_guest: self.grants.outbound.for_guest(),
            for_received: self.grants.outbound.for_received(),
            connections: 0,
            grants: Arc::clone(&self.grants),
        };
        let mut store = Store::new(&self.engine, data);
        let service = self.service.instantiate_async(&mut store).await?;
        let expiration = Expiration { reuse: self.reuse, sleep: None };
        Ok(Instance {
            store,
            proxy: Proxy::P3(service),
            view: http_for_received,
            expiration,
            state: self.reuse,
        })
    }
}

/// Ends an instance that has been idle, or busy, for too long.
pub(crate) struct Expiration {
    reuse: Reuse,
    /// Waits for the deadline beside it.
    sleep: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl WorkerExpiration for Expiration {
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>, status: WorkerStatus, start: Instant) -> Poll<()> {
        let this = self.get_mut();
        let limit = match status {
            WorkerStatus::Idle => Some(this.reuse.idle),
            WorkerStatus::Requests | WorkerStatus::PostReturn => this.reuse.request_timeout,
        };
        let Some(deadline) = limit.and_then(|limit| start.checked_add(limit)) else { return Poll::Pending };
        let sleep = match &mut this.sleep {
            Some((at, sleep)) if *at == deadline => sleep,
            _ => {
                let sleep = Box::pin(tokio::time::sleep_until(deadline.into()));
                &mut this.sleep.insert((deadline, sleep)).1
            }
        };
        sleep.as_mut().poll(cx)
    }
}

impl WorkerState for Reuse {
    type StoreData = InstanceData;
    type RequestData = ();

    fn should_accept_request(&self, concurrent_count: usize, total_count: usize) -> ShouldAccept {
        if total_count >= self.requests {
            ShouldAccept::Never
        } else if concurrent_count >= self.at_once {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        _: StoreContextMut<'_, InstanceData>,
        (): (),
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + 'static + Send + Sync>> {
        match self.request_timeout {
            Some(limit) => Box::pin(tokio::time::sleep(limit)),
            None => Box::pin(std::future::pending()),
        }
    }

    fn drop(&self, store: Store<InstanceData>, result: wasmtime::Result<()>) {
        // At the end of the process every instance is dropped at work, and this says "worker panicked": as the real one.
        if let Err(error) = result {
            eprintln!("spin-host: an instance failed: {error:#}");
        }
        drop(store);
    }
}
