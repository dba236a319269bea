//! What comes back from an origin, to the point where the answer is whole or its stream has begun (the commit point): until
//! then the client has seen nothing, and another origin can take over.
//!
//! Whether it is a stream is told by its first bytes, not by its label: origins and the proxies before them send streams as
//! `text/plain` or `application/json`, one answer to who asked for a stream, and a stream to who asked for one answer.

use super::reply::header_text;
use super::send::{SendError, Timeouts};
use super::stream::Watch;
use crate::config::StreamMode;
use crate::dialect::counts::Counts;
use crate::dialect::{Exchange, Gathered, StreamOptions};
use crate::payload::Edit;
use crate::platform::{BodyError, Broken, FetchError, Payload, Platform};
use crate::stream::{Forward, Phase, Scanner, sse};
use http::{HeaderMap, Request};
use std::ops::Deref;

/// What came of it.
pub(super) enum Exchanged<P: Platform> {
    /// `seen`: counts that a stream told before it failed.
    Whole {
        status: u16,
        headers: HeaderMap,
        body: WholeBody<P>,
        seen: Option<Counts>,
    },
    Stream(OpenStream<P>),
}

/// A whole answer's body.
pub(super) enum WholeBody<P: Platform> {
    /// As it came.
    Received(P::Bytes),
    /// Made of a stream's events, or an error event's data.
    Own(Vec<u8>),
}

impl<P: Platform> WholeBody<P> {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Received(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }

    pub(super) fn into_payload(self, edits: Vec<Edit>) -> Payload<P::Bytes> {
        match self {
            Self::Received(bytes) if edits.is_empty() => Payload::Passed(bytes),
            Self::Received(bytes) => Payload::Edited(bytes, edits),
            Self::Own(bytes) if edits.is_empty() => Payload::Own(bytes),
            Self::Own(bytes) => Payload::Own(crate::payload::edited(&bytes, edits)),
        }
    }
}

/// An origin's stream that has begun.
pub(super) struct OpenStream<P: Platform> {
    /// Gone once the stream has closed; none where everything has come already.
    pub(super) incoming: Option<P::Incoming>,
    /// What the client gets of what has come so far.
    pub(super) first: Vec<Payload<P::Bytes>>,
    /// Not of a relayed stream.
    pub(super) scanner: Option<Scanner>,
    pub(super) timeouts: Timeouts,
}

/// How an answer is to be read.
pub(super) struct Reading<'r> {
    pub(super) exchange: &'r dyn Exchange,
    pub(super) options: StreamOptions,
    /// Whether the client asked for a stream.
    pub(super) stream: bool,
    pub(super) mode: StreamMode,
    /// The most bytes of a whole answer.
    pub(super) limit: usize,
    pub(super) timeouts: Timeouts,
    /// When the attempt began, in Unix milliseconds.
    pub(super) began_ms: u64,
}

impl Reading<'_> {
    /// The answer has come: how long it took stands in what the stream tells of the attempts.
    fn tell_time(&mut self, platform: &impl Platform) {
        if let Some(own) = self.options.note.as_mut().and_then(|note| note.attempts.last_mut()) {
            own.ms = platform.now_ms().saturating_sub(self.began_ms);
        }
    }
}

/// Sends the request and waits for the answer.
///
/// # Errors
/// Why there is none.
pub(super) async fn exchange<P: Platform>(
    platform: &P,
    watch: &mut Watch<'_, P>,
    request: Request<Payload<P::Bytes>>,
    reading: Reading<'_>,
) -> Result<Exchanged<P>, SendError> {
    let head_until_ms = reading.timeouts.head_until_ms;
    let answer = watch.run(platform.fetch(request), head_until_ms).await?.map_err(|error| match error {
        FetchError::Connect | FetchError::Denied => SendError::Connect,
    })?;
    let (head, incoming) = answer.into_parts();
    let (status, headers) = (head.status.as_u16(), head.headers);
    let coding = header_text(&headers, "content-encoding");
    if !matches!(coding, "" | "identity") {
        let coding: String = coding.chars().take(40).collect();
        if status < 400 {
            return Err(SendError::Encoded(coding));
        }
        // The status says enough to go on.
        let text =
            format!("its text cannot be read, since it is encoded as `{coding}`, which was not asked for");
        return Ok(Exchanged::Whole { status, headers, body: WholeBody::Own(text.into_bytes()), seen: None });
    }
    if reading.stream && status == 200 {
        return open(platform, watch, incoming, headers, reading).await;
    }
    let body = collect(platform, watch, incoming, &reading).await?;
    if status == 200 && sse::begins(&body) == Some(true) {
        return gather(reading.exchange, headers, &body);
    }
    Ok(Exchanged::Whole { status, headers, body: WholeBody::Received(body), seen: None })
}

async fn collect<P: Platform>(
    platform: &P,
    watch: &mut Watch<'_, P>,
    incoming: P::Incoming,
    reading: &Reading<'_>,
) -> Result<P::Bytes, SendError> {
    let head_until_ms = reading.timeouts.head_until_ms;
    let collected = watch.run(platform.collect(incoming, reading.limit), head_until_ms).await?;
    collected.map_err(|error| match error {
        BodyError::TooLarge => SendError::TooLarge,
        BodyError::Broken => SendError::Broken,
    })
}

/// What is larger is not made another form of: all of it would be in memory several times.
const LARGEST_CONVERTED: usize = 8 * 1024 * 1024;

/// A stream as the one answer that was asked for.
fn gather<P: Platform>(
    exchange: &dyn Exchange,
    headers: HeaderMap,
    body: &[u8],
) -> Result<Exchanged<P>, SendError> {
    if body.len() > LARGEST_CONVERTED {
        return Err(SendError::TooLarge);
    }
    match exchange.gathered(body) {
        Gathered::Answer(bytes) | Gathered::Error(bytes) => {
            Ok(Exchanged::Whole { status: 200, headers, body: WholeBody::Own(bytes), seen: None })
        }
        Gathered::Truncated(counts, events) => Err(SendError::Truncated(counts, events)),
        Gathered::Malformed => Err(SendError::BadStream),
    }
}

/// How an answer begins to who asked for a stream.
enum Start<B> {
    /// As a stream, with this.
    Stream(Payload<B>),
    /// As something else; whether that is all.
    Whole(Vec<u8>, bool),
}

/// More blanks than this begin no answer.
const MOST_BLANKS: usize = 64 * 1024;

/// Reads until the first bytes say what comes.
async fn start<P: Platform>(
    platform: &P,
    watch: &mut Watch<'_, P>,
    incoming: &mut P::Incoming,
    labelled: bool,
    until_ms: u64,
) -> Result<Start<P::Bytes>, SendError> {
    let is_stream = |bytes: &[u8]| match sse::begins(bytes) {
        Some(false) => Some(labelled && !sse::is_document(bytes)),
        known => known,
    };
    let mut open = Vec::new();
    while open.len() <= MOST_BLANKS {
        let read = watch.run(platform.read(incoming), until_ms).await?;
        let Some(chunk) = read.map_err(|Broken| SendError::Broken)? else {
            return if labelled { Err(SendError::Broken) } else { Ok(Start::Whole(open, true)) };
        };
        if open.is_empty() && is_stream(&chunk) == Some(true) {
            return Ok(Start::Stream(Payload::Passed(chunk)));
        }
        open.extend_from_slice(&chunk);
        match is_stream(&open) {
            Some(true) => return Ok(Start::Stream(Payload::Own(open))),
            Some(false) => return Ok(Start::Whole(open, false)),
            None => {}
        }
    }
    Err(SendError::BadStream)
}

/// Holds a stream back until it has begun. What turns out to be none is collected.
async fn open<P: Platform>(
    platform: &P,
    watch: &mut Watch<'_, P>,
    mut incoming: P::Incoming,
    headers: HeaderMap,
    mut reading: Reading<'_>,
) -> Result<Exchanged<P>, SendError> {
    let head_until_ms = reading.timeouts.head_until_ms;
    let labelled = is_event_stream(&headers);
    let framed = is_framed(&headers);
    let began = match framed {
        true => Start::Stream(Payload::Empty),
        false => start(platform, watch, &mut incoming, labelled, head_until_ms).await?,
    };
    let mut next = match began {
        Start::Stream(payload) => payload,
        Start::Whole(mut bytes, ended) => {
            if !ended {
                let rest = collect(platform, watch, incoming, &reading).await?;
                if bytes.len() + rest.len() > reading.limit {
                    return Err(SendError::TooLarge);
                }
                bytes.extend_from_slice(&rest);
            }
            reading.tell_time(platform);
            return Ok(unstreamed(headers, bytes, reading));
        }
    };
    reading.tell_time(platform);
    let Reading { exchange, options, mode, limit, timeouts, .. } = reading;
    let codec = exchange.stream(options);
    let mut scanner = if framed { Scanner::framed(codec) } else { Scanner::new(codec) };
    let mut first = Vec::new();
    let mut held = 0;
    loop {
        held += next.len();
        first.extend(taken(&mut scanner, next, mode));
        match scanner.phase() {
            Phase::Begun => {
                let scanner = (mode == StreamMode::Pump).then_some(scanner);
                let incoming = Some(incoming);
                return Ok(Exchanged::Stream(OpenStream { incoming, first, scanner, timeouts }));
            }
            Phase::Failed => {
                let body = WholeBody::Own(scanner.error().to_vec());
                return Ok(Exchanged::Whole { status: 200, headers, body, seen: scanner.seen().usage });
            }
            Phase::Malformed => return Err(SendError::BadStream),
            // Comments without end would fill the instance's memory.
            Phase::NotYet if held > limit => return Err(SendError::BadStream),
            Phase::NotYet => {}
        }
        let read = watch.run(platform.read(&mut incoming), head_until_ms).await?;
        let Ok(Some(chunk)) = read else { return Err(SendError::Broken) };
        next = Payload::Passed(chunk);
    }
}

/// What the client gets for it, once the stream has begun.
fn taken<B: Deref<Target = [u8]>>(
    scanner: &mut Scanner,
    payload: Payload<B>,
    mode: StreamMode,
) -> Option<Payload<B>> {
    let forward = match &payload {
        Payload::Passed(bytes) | Payload::Edited(bytes, _) => scanner.push(bytes),
        Payload::Own(bytes) => scanner.push(bytes),
        Payload::Empty => return None,
    };
    match forward {
        Forward::Whole => Some(payload),
        _ if mode == StreamMode::Relay => Some(payload),
        Forward::Bytes([]) => None,
        Forward::Bytes(bytes) => Some(Payload::Own(bytes.to_vec())),
    }
}

/// One answer to who asked for a stream: as a stream, if it is one.
fn unstreamed<P: Platform>(headers: HeaderMap, body: Vec<u8>, reading: Reading<'_>) -> Exchanged<P> {
    let Reading { exchange, options, mode, timeouts, .. } = reading;
    let fits = mode == StreamMode::Pump && body.len() <= LARGEST_CONVERTED;
    let streamed = if fits { exchange.streamed(&body, &options.context) } else { None };
    if let Some(events) = streamed {
        let mut scanner = Scanner::new(exchange.stream(options));
        let first = taken(&mut scanner, Payload::Own(events), mode).into_iter().collect();
        // An answer that failed is judged as it is. Not every API has an end mark.
        let seen = scanner.seen();
        if scanner.phase() == Phase::Begun && (seen.done || seen.finished) && !seen.error {
            return Exchanged::Stream(OpenStream { incoming: None, first, scanner: Some(scanner), timeouts });
        }
    }
    Exchanged::Whole { status: 200, headers, body: WholeBody::Own(body), seen: None }
}

/// Whether the events come in AWS's binary framing.
fn is_framed(headers: &HeaderMap) -> bool {
    header_text(headers, "content-type").starts_with("application/vnd.amazon.eventstream")
}

/// Media types ignore case (RFC 9110, section 8.3.1).
fn is_event_stream(headers: &HeaderMap) -> bool {
    let label = header_text(headers, "content-type").as_bytes();
    label.get(..17).is_some_and(|start| start.eq_ignore_ascii_case(b"text/event-stream"))
}
