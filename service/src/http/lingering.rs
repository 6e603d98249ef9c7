//! A stream that is closed so that its peer can read what was written last.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How long a peer that still sends may take to notice that nobody listens.
const LINGER: Duration = Duration::from_millis(500);

/// Shuts down in two steps: first it says that nothing more will be written, then it reads on for a moment and drops
/// what comes. A socket that is closed with unread input takes back what it has written.
#[derive(Debug)]
pub(super) struct Lingering<S> {
    stream: S,
    closing: Option<Pin<Box<Sleep>>>,
}

impl<S> Lingering<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, closing: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, closing } = &mut *self;
        if closing.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
        }
        let late = closing.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let mut unwanted = [0; 4096];
        // The time is looked at here too: a peer that sends without a pause would keep the timer from its turn.
        while Instant::now() < late.deadline() {
            let mut into = ReadBuf::new(&mut unwanted);
            match Pin::new(&mut *stream).poll_read(cx, &mut into) {
                Poll::Ready(Ok(())) if !into.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())), // it has closed too, or is gone
                Poll::Pending => return late.as_mut().poll(cx).map(Ok),
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::{Instant, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_still_sends_reads_the_last_words() {
        let (ours, mut theirs) = duplex(16);
        let mut ours = Lingering::new(ours);
        let close = async {
            ours.write_all(b"too big").await.unwrap();
            ours.shutdown().await.unwrap();
        };
        let talk = async {
            theirs.write_all(&[b'x'; 100_000]).await.unwrap();
            theirs.shutdown().await.unwrap();
            let mut read = String::new();
            theirs.read_to_string(&mut read).await.unwrap();
            read
        };
        let began = Instant::now();
        let ((), read) = tokio::join!(close, talk);
        assert_eq!(read, "too big");
        assert_eq!(Instant::now(), began, "nobody waited");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_never_closes_is_not_waited_for() {
        let (ours, mut theirs) = duplex(16);
        let began = Instant::now();
        timeout(LINGER * 2, Lingering::new(ours).shutdown()).await.unwrap().unwrap();
        assert!(began.elapsed() >= LINGER && began.elapsed() < LINGER * 2);
        assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0);
    }
}
