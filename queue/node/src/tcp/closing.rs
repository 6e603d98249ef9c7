//! How a connection ends.

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::connection::{Connection, End};

/// How long to let a client read the error it is being closed for, and to read what one has sent that takes nothing.
const LINGER: Duration = Duration::from_millis(500);

/// How long a stopping node waits for the disk before it closes a connection without its answers.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// How long a client may take to receive what is left to say to it.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl Connection {
    /// Answers what was accepted, and closes.
    pub(super) async fn finish(&mut self) -> Result<(), End> {
        let deadline = Instant::now() + LAST_ANSWERS;
        while !self.answers.is_empty() {
            let Ok(result) = timeout_at(deadline, self.answers.first()).await else { break };
            self.answers.settle(result, &mut self.output);
        }
        self.close().await
    }

    /// Sends what is left to send and closes so that the client can read it: a socket closed with unread input would
    /// take it back.
    pub(super) async fn close(&mut self) -> Result<(), End> {
        let last_words = async {
            self.transport.send_all(&mut self.output).await?;
            self.transport.shutdown().await
        };
        timeout(LAST_WORDS, last_words).await.map_err(|_| End::Closed)??;
        let _ended_or_late = timeout(LINGER, self.transport.discard()).await;
        Err(End::Closed)
    }

    /// Carries out what a client has sent that takes nothing any more. It may have closed the connection because it was
    /// done: what it finished must not be given out again.
    pub(super) async fn hear_out(&mut self) {
        let deadline = Instant::now() + LINGER;
        self.output.clear();
        self.answers.were_sent();
        // From one that goes on and on there is always something to read: the time is looked at for itself.
        while self.reads() && Instant::now() < deadline {
            self.input.reserve(self.read_bytes);
            let read = timeout_at(deadline, self.transport.read(&mut self.input)).await;
            let Ok(Ok(bytes @ 1..)) = read else { return };
            if self.on_read(bytes).await.is_err() {
                return;
            }
            self.output.clear();
            self.answers.were_sent();
        }
    }
}
