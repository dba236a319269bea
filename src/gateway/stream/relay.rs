//! The beginning of a stream, and then the runtime's own pipe: not one byte more is seen here.

use super::pump::finish;
use super::watch::{Interrupt, Watch};
use crate::error::ApiError;
use crate::gateway::receive::OpenStream;
use crate::platform::{PipeError, Platform};
use crate::stream::Close;
use moegate_wire::Ending;

/// Passes the stream on and ends the reply. If the origin breaks off, or the time is over, the client gets an error event
/// and no end mark; one that takes nothing any more is cut off.
pub(in crate::gateway) async fn relay<P: Platform>(
    platform: &P,
    watch: &mut Watch<'_, P>,
    stream: OpenStream<P>,
    mut outgoing: P::Outgoing,
    error_event: impl FnOnce(&ApiError) -> String,
) -> Ending {
    let OpenStream { incoming, first, timeouts, .. } = stream;
    let Some(incoming) = incoming else { return Ending::Truncated };
    let passed = async {
        for payload in first {
            platform.write(&mut outgoing, payload).await.map_err(|_| PipeError::Left)?;
        }
        platform.pipe(incoming, &mut outgoing).await
    };
    let close = match watch.run(passed, timeouts.until_ms).await {
        Ok(Ok(())) => {
            let closed = finish(platform, watch, outgoing, String::new(), timeouts.until_ms).await;
            return if closed.is_ok() { Ending::Complete } else { Ending::Cancelled };
        }
        Ok(Err(PipeError::Left)) | Err(Interrupt::ClientLeft) => return Ending::Cancelled,
        Ok(Err(PipeError::Broken)) => Close::Broken,
        Err(Interrupt::Time) => Close::Late,
    };
    let last = format!("\n\n{}", error_event(&close.error()));
    // Whether anybody is left to be told changes nothing about how the origin ended it.
    let _told = finish(platform, watch, outgoing, last, 0).await;
    Ending::Truncated
}
