//! The fake platform by itself: the other tests rely on it.

mod clients;
mod origins;
mod time;

use super::{Bytes, Client, End, Payload, Piece, Request, Script, Scripted, World};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

pub(super) const NOW: u64 = 1_000_000;
pub(super) const SECRET: &str = "a-secret-of-some-length";

pub(super) fn world(script: impl Into<Script>) -> World {
    let world = World::new(NOW, BTreeMap::from([("KEY".to_owned(), SECRET.to_owned())]));
    let script = script.into();
    world.answer(Arc::new(move |_| script.clone()));
    world
}

pub(super) fn streams(pieces: &[Piece], end: End) -> Scripted {
    Scripted { pieces: pieces.to_vec(), end, ..Scripted::new(200, "text/event-stream", "") }
}

pub(super) fn bytes(text: &str) -> Piece {
    Piece::Bytes(text.as_bytes().to_vec())
}

pub(super) fn request() -> Request<Payload<Bytes>> {
    Request::post("http://origin:80/v1?x=1").body(Payload::Own(b"{}".to_vec())).unwrap()
}

pub(super) fn client() -> Client<'static> {
    Client::new(Vec::new())
}

pub(super) fn own(text: &str) -> Payload<Bytes> {
    Payload::Own(text.as_bytes().to_vec())
}

/// Whichever is ready first, the first one where both are.
pub(super) async fn either<A, B>(
    one: impl Future<Output = A>,
    other: impl Future<Output = B>,
) -> Result<A, B> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| match one.as_mut().poll(context) {
        Poll::Ready(found) => Poll::Ready(Ok(found)),
        Poll::Pending => other.as_mut().poll(context).map(Err),
    })
    .await
}

/// What the panic says.
pub(super) fn panics(work: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("it was to panic");
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap()
}
