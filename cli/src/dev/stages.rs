use punctual_service::parts::Parts;
use tokio_util::sync::CancellationToken;

/// Parts that stop one after the other, in the order in which they are added.
#[derive(Debug)]
pub(super) struct Stages {
    /// Stops the part that is added next.
    stop: CancellationToken,
}

impl Stages {
    /// No parts yet. `shutdown` stops the first.
    pub(super) fn new(shutdown: CancellationToken) -> Self {
        Self { stop: shutdown }
    }

    /// Adds a part, given the token that stops it: once the part before it has ended, however it ended.
    pub(super) fn add<R>(
        &mut self,
        parts: &mut Parts,
        name: &'static str,
        run: impl FnOnce(CancellationToken) -> R,
    ) where
        R: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let next = CancellationToken::new();
        let part = run(std::mem::replace(&mut self.stop, next.clone()));
        parts.add(name, async move {
            // Also when the part panics or is aborted.
            let _stops_the_next = next.drop_guard();
            part.await
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn each_part_stops_when_the_one_before_it_has() {
        let ended = Arc::new(Mutex::new(Vec::new()));
        let shutdown = CancellationToken::new();
        let mut parts = Parts::new(shutdown.clone());
        let mut stages = Stages::new(shutdown.clone());
        for name in ["first", "second", "third"] {
            let ended = Arc::clone(&ended);
            stages.add(&mut parts, name, |stop| async move {
                stop.cancelled().await;
                tokio::task::yield_now().await;
                ended.lock().unwrap().push(name);
                Ok(())
            });
        }
        shutdown.cancel();
        parts.run().await.unwrap();
        assert_eq!(*ended.lock().unwrap(), ["first", "second", "third"]);
    }

    #[tokio::test]
    async fn a_part_that_fails_still_lets_the_next_stop() {
        let shutdown = CancellationToken::new();
        let mut parts = Parts::new(shutdown.clone());
        let mut stages = Stages::new(shutdown);
        stages.add(&mut parts, "first", |_stop| async { anyhow::bail!("broken") });
        stages.add(&mut parts, "second", |stop| async move {
            stop.cancelled().await;
            Ok(())
        });
        assert_eq!(format!("{:#}", parts.run().await.unwrap_err()), "first failed: broken");
    }
}
