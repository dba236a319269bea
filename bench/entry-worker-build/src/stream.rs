//! The two ways of a stream, as in the entry that ships.

use js_sys::{Uint8Array, futures::JsFuture};
use moegate::core::error::ApiError;
use moegate::core::stream::{Forward, Scanner};
use moegate_wire::Ending;
use wasm_bindgen::prelude::*;
use web_sys::{
    AbortController, ReadableStream, ReadableStreamDefaultReader, ReadableStreamReadResult, ResponseInit,
    StreamPipeOptions, WritableStream, WritableStreamDefaultWriter,
};

#[wasm_bindgen]
extern "C" {
    type IdentityTransformStream;
    #[wasm_bindgen(constructor)]
    fn new() -> IdentityTransformStream;
    #[wasm_bindgen(method, getter)]
    fn readable(this: &IdentityTransformStream) -> ReadableStream;
    #[wasm_bindgen(method, getter)]
    fn writable(this: &IdentityTransformStream) -> WritableStream;
}

/// An origin's stream whose first chunk has come.
pub(crate) struct Stream {
    body: ReadableStream,
    reader: ReadableStreamDefaultReader,
    first: Uint8Array,
    abort: AbortController,
    /// Listens for a client that leaves.
    left: Option<Closure<dyn FnMut()>>,
}

pub(crate) fn response(readable: &ReadableStream, init: &ResponseInit) -> Result<web_sys::Response, JsValue> {
    web_sys::Response::new_with_opt_readable_stream_and_init(Some(readable), init)
}

async fn read(reader: &ReadableStreamDefaultReader) -> Result<Option<Uint8Array>, JsValue> {
    let result: ReadableStreamReadResult = JsFuture::from(reader.read()).await?.unchecked_into();
    Ok(if result.get_done().unwrap_or(false) { None } else { Some(result.get_value().unchecked_into()) })
}

async fn write(writer: &WritableStreamDefaultWriter, chunk: &JsValue) -> Result<(), JsValue> {
    JsFuture::from(writer.write_with_chunk(chunk)).await.map(|_| ())
}

async fn close(writer: &WritableStreamDefaultWriter) -> Result<(), JsValue> {
    JsFuture::from(writer.close()).await.map(|_| ())
}

impl Stream {
    pub(crate) async fn open(body: ReadableStream, abort: AbortController) -> Option<Self> {
        let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
        let first = read(&reader).await.ok()??;
        Some(Self { body, reader, first, abort, left: None })
    }

    pub(crate) fn keep(&mut self, left: Closure<dyn FnMut()>) {
        self.left = Some(left);
    }

    fn left(&self) -> Ending {
        self.abort.abort_with_reason(&JsValue::from_str("left"));
        Ending::Cancelled
    }

    pub(crate) async fn relay(self, respond: impl FnOnce(&ReadableStream) -> bool) -> Ending {
        let pipe = IdentityTransformStream::new();
        let writable = pipe.writable();
        respond(&pipe.readable());
        let Ok(writer) = writable.get_writer() else { return self.left() };
        if write(&writer, &self.first).await.is_err() {
            return self.left();
        }
        writer.release_lock();
        self.reader.release_lock();
        let options = StreamPipeOptions::new();
        options.set_prevent_abort(true);
        if JsFuture::from(self.body.pipe_to_with_options(&writable, &options)).await.is_ok() {
            return Ending::Complete;
        }
        // Either side may have failed. If the client is there, it still takes the error event.
        let broken = Uint8Array::from(ApiError::truncated_event().as_bytes());
        let Ok(writer) = writable.get_writer() else { return self.left() };
        if self.abort.signal().aborted() || write(&writer, &broken).await.is_err() {
            return self.left();
        }
        if close(&writer).await.is_err() { self.left() } else { Ending::Truncated }
    }

    pub(crate) async fn pump(
        self,
        scanner: &mut Scanner,
        respond: impl FnOnce(&ReadableStream) -> bool,
    ) -> Ending {
        let pipe = IdentityTransformStream::new();
        respond(&pipe.readable());
        let Ok(writer) = pipe.writable().get_writer() else { return self.left() };
        let mut chunk = self.first.clone();
        let clean = loop {
            let bytes = chunk.to_vec();
            let written = match scanner.push(&bytes) {
                Forward::Whole => write(&writer, &chunk).await,
                Forward::Bytes([]) => Ok(()),
                Forward::Bytes(bytes) => write(&writer, &Uint8Array::from(bytes)).await,
            };
            if written.is_err() {
                return self.left();
            }
            match read(&self.reader).await {
                Ok(Some(next)) => chunk = next,
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        if self.abort.signal().aborted() {
            let _ = writer.abort();
            return Ending::Cancelled;
        }
        let (ending, last) = scanner.end(clean);
        let last = match last.as_bytes() {
            [] => Ok(()),
            bytes => write(&writer, &Uint8Array::from(bytes)).await,
        };
        if last.is_err() || close(&writer).await.is_err() { Ending::Cancelled } else { ending }
    }
}
