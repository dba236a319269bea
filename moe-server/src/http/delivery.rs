//! Brings one generation to its client, streamed or in one piece.

use super::answer::{Shape, UsageBody};
use super::error::ApiError;
use crate::schedule::track::Track;
use crate::schedule::{Event, Failure};
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use moegate_wire::Ending;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

/// The client's end of one generation. Dropped before its end, the client has left: the generation is cancelled, and
/// the receipt says so.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) shape: Shape,
    pub(super) track: Arc<Track>,
    pub(super) events: UnboundedReceiver<Event>,
    pub(super) include_usage: bool,
    /// How long a stream may be silent.
    pub(super) keepalive: Duration,
}

impl Drop for Delivery {
    fn drop(&mut self) {
        // Only the first ending counts.
        self.track.end_delivery(Ending::Cancelled);
    }
}

impl Delivery {
    async fn next(&mut self) -> Event {
        match self.events.recv().await {
            Some(event) => event,
            None => {
                self.track.end_generation(Ending::Error);
                Event::Failed(Failure::EngineDead)
            }
        }
    }

    /// Waits for all of the text. A client that leaves meanwhile drops this future.
    pub(super) async fn whole(mut self) -> Result<Response, ApiError> {
        let mut text = String::new();
        loop {
            match self.next().await {
                Event::Text { text: piece, .. } => text.push_str(&piece),
                Event::Finished { finish, .. } => {
                    let body = self.shape.whole(&text, finish, UsageBody::of(&self.track));
                    return Ok(self.one_piece(body));
                }
                Event::Failed(failure) => {
                    self.track.saved().await;
                    return Err(failure.into());
                }
            }
        }
    }

    /// An answer that counts as delivered once the connection has taken all but its last byte and asks for that: so
    /// the receipt is final, and on disk where it is to be there, before the client has all.
    fn one_piece(self, body: String) -> Response {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (header::CONTENT_LENGTH, HeaderValue::from(body.len())),
        ];
        let mut most = Bytes::from(body);
        let last = most.split_off(most.len().saturating_sub(1));
        let body = stream::unfold((self, Some(most), Some(last)), |(delivery, most, last)| async move {
            if let Some(most) = most {
                return Some((Ok::<_, Infallible>(most), (delivery, None, last)));
            }
            let last = last?;
            delivery.track.end_delivery(Ending::Complete);
            delivery.track.saved().await;
            Some((Ok(last), (delivery, None, None)))
        });
        (headers, Body::from_stream(body)).into_response()
    }

    /// Answers with a stream of server-sent events. The status waits for the first event, so that an error before any
    /// text has its own; but no longer than the keep-alive time, since somebody may be waiting for a sign of life.
    pub(super) async fn stream(mut self) -> Result<Response, ApiError> {
        let first = timeout(self.keepalive, self.next()).await.ok();
        if let Some(Event::Failed(failure)) = first {
            self.track.saved().await;
            return Err(failure.into());
        }
        let state = Stream { delivery: self, begun: false, over: false };
        let first = first.map(Step::Event).unwrap_or(Step::Silence);
        let body = stream::unfold((state, Some(first)), |(mut state, ready)| async move {
            if state.over {
                return None;
            }
            let step = match ready {
                Some(step) => step,
                None => state.wait().await,
            };
            let bytes = state.render(step);
            if state.over {
                state.delivery.track.saved().await;
            }
            Some((Ok::<_, Infallible>(bytes), (state, None)))
        });
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8")),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ];
        Ok((headers, Body::from_stream(body)).into_response())
    }
}

enum Step {
    Event(Event),
    Silence,
}

struct Stream {
    delivery: Delivery,
    /// Whether a chunk was sent.
    begun: bool,
    over: bool,
}

impl Stream {
    async fn wait(&mut self) -> Step {
        let event = timeout(self.delivery.keepalive, self.delivery.next()).await;
        event.map_or(Step::Silence, Step::Event)
    }

    fn render(&mut self, step: Step) -> Bytes {
        let event = match step {
            Step::Silence => return Bytes::from_static(b": waiting\n\n"),
            Step::Event(event) => event,
        };
        let mut out = String::new();
        let mut send = |data: &str| {
            out.push_str("data: ");
            out.push_str(data);
            out.push_str("\n\n");
        };
        let Delivery { shape, track, include_usage, .. } = &self.delivery;
        let is_failure = matches!(event, Event::Failed(_));
        if !std::mem::replace(&mut self.begun, true) && !is_failure && shape.has_role() {
            send(&shape.role(*include_usage));
        }
        match event {
            Event::Text { text, tokens } => send(&shape.piece(&text, None, *include_usage, tokens)),
            Event::Finished { finish, tokens } => {
                send(&shape.piece("", Some(finish), *include_usage, tokens));
                if *include_usage {
                    send(&shape.usage(UsageBody::of(track)));
                }
                send("[DONE]");
                // Before these bytes go out, so that who reads them finds the receipt final.
                track.end_delivery(Ending::Complete);
                self.over = true;
            }
            Event::Failed(failure) => {
                // The status is long sent. Without `[DONE]`, nobody takes this for a complete answer.
                send(&ApiError::from(failure).body());
                self.over = true;
            }
        }
        Bytes::from(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::request::Endpoint;
    use crate::schedule::stats::Stats;
    use crate::schedule::track::Finish;
    use http_body_util::BodyExt;
    use tokio::sync::mpsc::unbounded_channel;

    /// An unstreamed answer, generated to its end.
    async fn answer() -> (Arc<Track>, Response) {
        let track = Track::new("a".into(), "m".into(), 0, None, Arc::new(Stats::default()));
        let track = Arc::new(track);
        let (sender, events) = unbounded_channel();
        sender.send(Event::Text { text: "text".into(), tokens: Vec::new() }).unwrap();
        sender.send(Event::Finished { finish: Finish::Stop, tokens: Vec::new() }).unwrap();
        track.end_generation(Ending::Complete);
        let shape = Shape {
            endpoint: Endpoint::Chat,
            id: "a".into(),
            model: "m".into(),
            created: 0,
            vocab: None,
            resumed_tokens: None,
        };
        let keepalive = Duration::from_secs(30);
        let delivery = Delivery { shape, track: track.clone(), events, include_usage: false, keepalive };
        (track, delivery.whole().await.unwrap())
    }

    #[tokio::test]
    async fn an_answer_in_one_piece_is_complete_when_its_last_byte_is_taken() {
        let ending = |track: &Track| track.progress().ending();
        let (track, mut response) = answer().await;
        let length: usize = response.headers()[header::CONTENT_LENGTH].to_str().unwrap().parse().unwrap();
        assert_eq!(ending(&track), Ending::Running);
        let first = response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((first.len(), ending(&track)), (length - 1, Ending::Running));
        let last = response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((&last[..], ending(&track)), (&b"}"[..], Ending::Complete));
        assert!(response.body_mut().frame().await.is_none());

        let (track, response) = answer().await;
        drop(response);
        assert_eq!(ending(&track), Ending::Cancelled);
    }
}
