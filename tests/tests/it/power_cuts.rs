//! The queue node on a disk that forgets what was not synced.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use punctual_tests::lossy_disk::{LossyDisk, Survival};
use punctual_tests::queue_load::{self, AUDIT, History, Load, PublisherEnd, WORK};
use punctual_tests::queue_node::QueueNode;
use punctual_tests::wait::until;

const CUTS: u64 = 30;
const PUBLISHERS: u64 = 8;

/// From then on a finished message stays finished whatever happens.
const FINISHES_ARE_DURABLE_AFTER: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root and /dev/fuse; `cargo xtask test --full` runs it"]
async fn what_was_acknowledged_or_finished_a_second_ago_stays_so_when_the_power_is_cut_again_and_again()
-> anyhow::Result<()> {
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let disk = LossyDisk::mount()?;
    let mut node = QueueNode::start_on(disk.path()).await?;
    queue_load::prepare(&node).await?;
    let history = Arc::new(History::default());

    for cut in 0..CUTS {
        let (acknowledged, finished) =
            (history.acknowledged_count(), history.finished_for(WORK, Duration::ZERO));
        let load = Load::start(node.address()?, &history, PUBLISHERS);
        until("messages to be acknowledged, and finished for good", Duration::from_secs(30), async || {
            let acknowledged = history.acknowledged_count() - acknowledged;
            let for_good = history.finished_for(WORK, FINISHES_ARE_DURABLE_AFTER).saturating_sub(finished);
            if acknowledged >= 200 && for_good >= 20 { Ok(()) } else { Err((acknowledged, for_good)) }
        })
        .await?;
        history.stopping();
        node.kill()?;
        let ends = load.ended().await?;
        ensure!(ends.iter().all(|end| *end == PublisherEnd::Cut), "cut {cut}: {ends:?}");
        // The first cut takes all it can: what a node makes at its very first start must be durable too.
        let mut survival =
            if cut == 0 { Survival::none() } else { Survival::from_seed(seed.wrapping_add(cut)) };
        disk.cut_power(&mut survival);
        let judged = async {
            node.restart().await?;
            queue_load::drain(node.address()?, AUDIT, &history).await
        };
        judged.await.with_context(|| format!("after cut {cut} of seed {seed}"))?;
    }
    queue_load::settle(&node, &history).await.with_context(|| format!("seed {seed}"))?;

    let came_back = history.came_back();
    eprintln!("{} acknowledged; finished ones that came back: {came_back:?}", history.acknowledged_count());
    ensure!(came_back.oldest <= FINISHES_ARE_DURABLE_AFTER, "finished messages came back: {came_back:?}");
    node.stop().await
}
