//! Working on several of a consumer's messages at once.

use punctual_queue_client::consumer::{Consumer, Delivery};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// Hands messages to `handle`, at most `limit` at once, until `stop`. Then those in hand are worked on to the end, as
/// long as the consumer waits for them, and the others are given back.
pub(crate) async fn work<F>(
    mut consumer: Consumer,
    limit: usize,
    stop: CancellationToken,
    handle: impl Fn(Delivery) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = under_way.join_next() => judge(ended),
            Some(delivery) = consumer.recv(), if under_way.len() < limit.max(1) => {
                under_way.spawn(handle(delivery));
            }
        }
    }
    let finish = async {
        while let Some(ended) = under_way.join_next().await {
            judge(ended);
        }
    };
    tokio::join!(consumer.close(), finish);
}

fn judge(ended: Result<(), JoinError>) {
    // Nothing aborts it, so that it can only have panicked: a bug that must not pass for a message that failed.
    if let Err(error) = ended {
        std::panic::resume_unwind(error.into_panic());
    }
}
