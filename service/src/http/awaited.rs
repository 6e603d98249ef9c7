//! A request's body that is given up when nothing of it comes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Fails when no part of the body comes for a while. The whole may take as long as it needs.
#[derive(Debug)]
pub(super) struct Awaited<B> {
    body: B,
    patience: Duration,
    /// Runs while a part is waited for. Made by the first that is.
    deadline: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
}

impl<B> Awaited<B> {
    pub(super) fn new(body: B, patience: Duration) -> Self {
        Self { body, patience, deadline: None, is_waiting: false }
    }
}

impl<B> HttpBody for Awaited<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { body, patience, deadline, is_waiting } = &mut *self;
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) {
            *is_waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let until = Instant::now() + *patience;
        let deadline = deadline.get_or_insert_with(|| Box::pin(sleep(*patience)));
        if !*is_waiting {
            *is_waiting = true;
            deadline.as_mut().reset(until);
        }
        ready!(deadline.as_mut().poll(cx));
        let late = io::Error::new(io::ErrorKind::TimedOut, "nothing came of the request's body");
        Poll::Ready(Some(Err(late.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::{Body, to_bytes};
    use futures::stream::{self, StreamExt as _};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A body of so many parts, each after a pause.
    fn dripping(parts: usize, pause: Duration) -> Body {
        Body::from_stream(stream::iter(0..parts).then(move |_| async move {
            sleep(pause).await; // time is paused
            Ok::<_, Infallible>("x")
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_of_which_nothing_comes_is_given_up() {
        let started = Instant::now();
        let body = Body::new(Awaited::new(dripping(2, PATIENCE * 10), PATIENCE));
        assert!(to_bytes(body, 100).await.is_err());
        assert!(started.elapsed() >= PATIENCE && started.elapsed() < PATIENCE * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_slowly_is_waited_for() {
        let body = Body::new(Awaited::new(dripping(8, PATIENCE - Duration::from_secs(1)), PATIENCE));
        assert_eq!(to_bytes(body, 100).await.unwrap(), "xxxxxxxx");
    }
}
