//! The Rust side of `wit/`.

wasmtime::component::bindgen!({
    path: "wit",
    world: "moegate:spin-host/imports",
    imports: { default: trappable },
    with: {
        "spin:key-value/key-value.store": crate::kv::KvStore,
        "spin:sqlite/sqlite.connection": crate::sql::SqlConnection,
        "wasi:keyvalue/store.bucket": crate::kv::Bucket,
        "wasi:keyvalue/atomics.cas": crate::kv::CasHandle,
    },
});
