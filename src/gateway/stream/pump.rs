//! Every event past the scanner, which says what goes on to the client.

use super::GRACE_MS;
use super::watch::{Interrupt, Watch};
use crate::gateway::receive::OpenStream;
use crate::gateway::send::Timeouts;
use crate::platform::{Broken, Left, Payload, Platform};
use crate::stream::{Close, Forward, Scanner, Transcript};
use std::cell::Cell;

/// How long a stream whose client has left is still read for its counts, once it has its finish reason.
const DRAIN_MS: u64 = 2_000;

/// How a pumped stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum Pumped {
    /// The origin's side closed, or its end mark came.
    Closed(Close),
    ClientLeft,
}

/// Pumps the stream into the reply, which stays open, except where the client has left. The origin is stopped when this
/// returns.
pub(in crate::gateway) async fn pump<P: Platform>(
    platform: &P,
    watch: &mut Watch<'_, P>,
    stream: &mut OpenStream<P>,
    outgoing: &mut P::Outgoing,
    mut transcript: Option<&mut Transcript>,
) -> Pumped {
    let OpenStream { incoming: source, first, scanner: Some(scanner), timeouts } = stream else {
        return Pumped::Closed(Close::Broken);
    };
    let mut incoming = source.take();
    let mut rest = Rest::Readable;
    let mut pending: std::vec::IntoIter<_> = std::mem::take(first).into_iter();
    let mut next = pending.next();
    loop {
        if let (Some(transcript), Some(payload)) = (transcript.as_deref_mut(), &next) {
            payload.pieces(|piece| transcript.add(piece));
        }
        // All that has come is written before more is read; after the end mark nothing is read any more.
        let more = pending.len() > 0 || scanner.is_over() || incoming.is_none();
        let step = match (next.take(), more) {
            (Some(payload), true) => {
                written(platform, watch, outgoing, payload, timeouts).await.map(|()| None)
            }
            (None, true) => Ok(None),
            (payload, false) => {
                let Some(incoming) = &mut incoming else { return Pumped::Closed(Close::Broken) };
                let payload = payload.unwrap_or(Payload::Empty);
                rest.wanted(scanner);
                write_then_read(platform, watch, outgoing, payload, incoming, timeouts, &mut rest)
                    .await
                    .map(Some)
            }
        };
        let read = match step {
            Ok(read) => read,
            Err(Stop::Closed(close)) => return Pumped::Closed(close),
            Err(Stop::ClientLeft) => {
                if let Rest::Chunk(chunk) = &rest {
                    scanner.push(chunk);
                }
                if let Some(incoming) = incoming
                    && !matches!(rest, Rest::Lost)
                {
                    drain(platform, watch, incoming, scanner).await;
                }
                return Pumped::ClientLeft;
            }
        };
        next = match read {
            None if pending.len() > 0 => pending.next(),
            None => return Pumped::Closed(if scanner.seen().done { Close::Clean } else { Close::Broken }),
            Some(Err(Broken)) => return Pumped::Closed(Close::Broken),
            Some(Ok(None)) => return Pumped::Closed(Close::Clean),
            Some(Ok(Some(chunk))) => forwarded::<P>(scanner, chunk),
        };
    }
}

/// What the client gets for a chunk.
fn forwarded<P: Platform>(scanner: &mut Scanner, chunk: P::Bytes) -> Option<Payload<P::Bytes>> {
    #[cfg(feature = "fault-injection")]
    assert!(memchr::memmem::find(&chunk, b"panic-in-scanner").is_none(), "moegate-fault-injection");
    match scanner.push(&chunk) {
        Forward::Whole => Some(Payload::Passed(chunk)),
        Forward::Bytes([]) => None,
        Forward::Bytes(bytes) => Some(Payload::Own(bytes.to_vec())),
    }
}

/// What is left of a stream whose client has left.
enum Rest<B> {
    Readable,
    /// The same, and its counts are all that is missing: a read that is under way is waited for.
    Wanted,
    /// What that read gave; readable behind it.
    Chunk(B),
    /// A read was dropped, perhaps with its chunk.
    Lost,
}

impl<B> Rest<B> {
    fn wanted(&mut self, scanner: &Scanner) {
        let seen = scanner.seen();
        *self = if seen.finished && seen.usage.is_none() { Self::Wanted } else { Self::Readable };
    }
}

enum Stop {
    Closed(Close),
    ClientLeft,
}

impl From<Left> for Stop {
    fn from(Left: Left) -> Self {
        Self::ClientLeft
    }
}

impl Stop {
    /// Only for the request's own time.
    fn of(interrupt: Interrupt) -> Self {
        match interrupt {
            Interrupt::Time => Self::Closed(Close::Late),
            Interrupt::ClientLeft => Self::ClientLeft,
        }
    }
}

/// A client may take its time, up to the request's.
async fn written<P: Platform>(
    platform: &P,
    watch: &mut Watch<'_, P>,
    outgoing: &mut P::Outgoing,
    payload: Payload<P::Bytes>,
    timeouts: &Timeouts,
) -> Result<(), Stop> {
    let written = watch.run(platform.write(outgoing, payload), timeouts.until_ms).await;
    Ok(written.map_err(Stop::of)??)
}

async fn write_then_read<P: Platform>(
    platform: &P,
    watch: &mut Watch<'_, P>,
    outgoing: &mut P::Outgoing,
    payload: Payload<P::Bytes>,
    incoming: &mut P::Incoming,
    timeouts: &Timeouts,
    rest: &mut Rest<P::Bytes>,
) -> Result<Result<Option<P::Bytes>, Broken>, Stop> {
    let started_ms = platform.now_ms();
    // A stream that always has something ready would never come to the timer.
    if started_ms >= timeouts.until_ms {
        return Err(Stop::Closed(Close::Late));
    }
    let written_ms = Cell::new(if payload.is_empty() { started_ms } else { 0 });
    let step = async {
        if payload.is_empty() {
            return Ok(platform.read(incoming).await);
        }
        platform.write_then_read(outgoing, payload, incoming, &written_ms).await
    };
    let mut step = std::pin::pin!(step);
    let mut since_ms = started_ms;
    loop {
        let idle_until_ms = since_ms.saturating_add(timeouts.idle_ms);
        let until_ms = idle_until_ms.min(timeouts.until_ms);
        match watch.run(step.as_mut(), until_ms).await {
            Ok(read) => return Ok(read?),
            Err(Interrupt::ClientLeft) => {
                // Before the write is done nothing is being read.
                if written_ms.get() > 0 {
                    let until_ms = platform.now_ms() + DRAIN_MS;
                    let read = match rest {
                        Rest::Wanted => watch.run_unattended(step.as_mut(), until_ms).await,
                        _ => None,
                    };
                    *rest = match read {
                        Some(Ok(Ok(Some(chunk)))) => Rest::Chunk(chunk),
                        _ => Rest::Lost,
                    };
                }
                return Err(Stop::ClientLeft);
            }
            Err(Interrupt::Time) if until_ms == timeouts.until_ms => return Err(Stop::Closed(Close::Late)),
            // The time that a slow client takes is not the origin's silence.
            Err(Interrupt::Time) => match written_ms.get() {
                0 => since_ms = platform.now_ms(),
                written_ms if written_ms > since_ms => since_ms = written_ms,
                _ => return Err(Stop::Closed(Close::Idle)),
            },
        }
    }
}

/// The client has left. If all that is missing are the counts, they are waited for: the answer was made and will be billed.
async fn drain<P: Platform>(
    platform: &P,
    watch: &mut Watch<'_, P>,
    mut incoming: P::Incoming,
    scanner: &mut Scanner,
) {
    let until_ms = platform.now_ms() + DRAIN_MS;
    while scanner.seen().finished && scanner.seen().usage.is_none() && !scanner.is_over() {
        match watch.run_unattended(platform.read(&mut incoming), until_ms).await {
            Some(Ok(Some(chunk))) => {
                scanner.push(&chunk);
            }
            _ => return,
        }
    }
}

/// Writes the last bytes and ends the reply, if the client takes them until then, or in the moment after it.
///
/// # Errors
/// It has left, or does not take them: the connection is broken off.
pub(in crate::gateway) async fn finish<P: Platform>(
    platform: &P,
    watch: &mut Watch<'_, P>,
    mut outgoing: P::Outgoing,
    last: String,
    until_ms: u64,
) -> Result<(), Left> {
    let finished = async {
        if !last.is_empty() {
            platform.write(&mut outgoing, Payload::Own(last.into_bytes())).await?;
        }
        platform.close(outgoing).await
    };
    watch.run_unattended(finished, until_ms.max(platform.now_ms() + GRACE_MS)).await.unwrap_or(Err(Left))
}
