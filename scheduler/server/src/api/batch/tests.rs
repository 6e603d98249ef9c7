use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::*;

const LIMITS: BatchLimits = BatchLimits { items: 10, bytes: 1 << 20, pending_bytes: 4 << 20 };

/// A store that doubles numbers, notes the size of each call, and answers one call per permit.
#[derive(Clone)]
struct Doubler {
    calls: Arc<Mutex<Vec<usize>>>,
    gate: Arc<Semaphore>,
}

impl Doubler {
    fn new(open: bool) -> Self {
        Self {
            calls: Arc::default(),
            gate: Arc::new(Semaphore::new(if open { Semaphore::MAX_PERMITS } else { 0 })),
        }
    }

    fn batcher(&self, limits: BatchLimits) -> (Batcher<u32, u32>, BatchLoop<u32, u32>) {
        let this = self.clone();
        Batcher::new(limits, move |items| {
            let this = this.clone();
            async move {
                this.calls.lock().unwrap().push(items.len());
                this.gate.acquire().await.unwrap().forget();
                items.into_iter().map(|item| item * 2).collect()
            }
            .boxed()
        })
    }

    fn calls(&self) -> Vec<usize> {
        self.calls.lock().unwrap().clone()
    }
}

/// Runs `work` beside the loop, then lets the loop end.
async fn drive<O>(lane: BatchLoop<u32, u32>, work: impl Future<Output = O>) -> O {
    let both = async { tokio::join!(lane.run(), work).1 };
    timeout(Duration::from_secs(10), both).await.expect("the loop ends when its batchers are gone")
}

#[tokio::test]
async fn an_idle_batcher_passes_an_item_on_alone() {
    let store = Doubler::new(true);
    let (batcher, lane) = store.batcher(LIMITS);
    let answer = drive(lane, async move { batcher.submit(21, 4).await }).await;
    assert_eq!(answer, Ok(42));
    assert_eq!(store.calls(), [1]);
}

#[tokio::test]
async fn items_that_arrive_during_a_call_share_the_next_and_each_gets_its_own_answer() {
    let store = Doubler::new(false);
    let (batcher, lane) = store.batcher(LIMITS);
    let seen = store.clone();
    let answers = drive(lane, async move {
        let others = async {
            while seen.calls().is_empty() {
                tokio::task::yield_now().await;
            }
            // The first call hangs at the gate; it opens once all the others have been handed in.
            let handed_in = join_all((2..8).map(|item| batcher.submit(item, 4)));
            tokio::join!(handed_in, async { seen.gate.add_permits(2) }).0
        };
        tokio::join!(batcher.submit(1, 4), others)
    })
    .await;
    assert_eq!(answers.0, Ok(2));
    assert_eq!(answers.1, (2..8).map(|item| Ok(item * 2)).collect::<Vec<_>>());
    assert_eq!(store.calls(), [1, 6]);
}

#[tokio::test]
async fn no_call_is_larger_than_the_limit_and_the_order_is_kept() {
    let store = Doubler::new(true);
    let (batcher, lane) = store.batcher(LIMITS);
    let items = (0..95).map(|item| (item, 4)).collect();
    let answers = drive(lane, async move { batcher.submit_all(items).await }).await;
    assert_eq!(answers, Ok((0..95).map(|item| item * 2).collect()));
    assert!(store.calls().iter().all(|items| *items <= 10), "{:?}", store.calls());
}

#[tokio::test]
async fn large_items_fill_a_call_by_their_bytes_and_wait_for_room() {
    let store = Doubler::new(true);
    let (batcher, lane) = store.batcher(LIMITS);
    // Sixteen times what may be pending at once.
    let items = (0..64).map(|item| (item, 1 << 20)).collect();
    let answers = drive(lane, async move { batcher.submit_all(items).await }).await;
    assert_eq!(answers.map(|answers| answers.len()), Ok(64));
    assert!(store.calls().iter().all(|items| *items == 1), "{:?}", store.calls());
}

#[tokio::test]
async fn an_item_whose_sender_left_is_still_acted_on() {
    let store = Doubler::new(false);
    let (batcher, lane) = store.batcher(LIMITS);
    let gate = Arc::clone(&store.gate);
    drive(lane, async move {
        {
            let mut abandoned = std::pin::pin!(batcher.submit(1, 4));
            assert!((&mut abandoned).now_or_never().is_none());
        }
        gate.add_permits(1);
    })
    .await;
    assert_eq!(store.calls(), [1]);
}

#[tokio::test]
async fn after_the_loop_has_ended_callers_are_told() {
    let store = Doubler::new(true);
    let (batcher, lane) = store.batcher(LIMITS);
    drop(lane);
    assert_eq!(batcher.submit(1, 4).await, Err(BatcherStopped));
}

#[tokio::test]
async fn a_call_that_panics_leaves_its_callers_without_answer_and_the_others_served() {
    let (batcher, lane) = Batcher::new(LIMITS, |items: Vec<u32>| {
        async move {
            assert!(!items.contains(&13), "unlucky");
            items
        }
        .boxed()
    });
    let answers =
        drive(lane, async move { (batcher.submit(13, 4).await, batcher.submit(14, 4).await) }).await;
    assert_eq!(answers, (Err(BatcherStopped), Ok(14)));
}
