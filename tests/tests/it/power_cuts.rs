//! The queue node on a disk that forgets what was not synced.

use std::time::Duration;

use anyhow::{Context, ensure};
use punctual_tests::lossy_disk::{LossyDisk, Survival};
use punctual_tests::queue_load::{self, AUDIT, History, Load, PublisherEnd, TOPIC, WORK};
use punctual_tests::queue_node::QueueNode;
use punctual_tests::wait::until;

/// From then on a finished message stays finished whatever happens.
const FINISHES_ARE_DURABLE_AFTER: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root and /dev/fuse; `cargo xtask test --full` runs it"]
async fn what_was_acknowledged_or_finished_a_second_ago_stays_so_when_the_power_is_cut_again_and_again()
-> anyhow::Result<()> {
    cut_again_and_again(30, &[TOPIC], 8).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root and /dev/fuse; `cargo xtask test --full` runs it"]
async fn what_many_topics_had_synced_in_a_journal_they_share_stays_too() -> anyhow::Result<()> {
    let topics = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let with_journal = cut_again_and_again(8, &topics, 2).await?;
    ensure!(with_journal >= 6, "of 8 cuts only {with_journal} left a journal");
    Ok(())
}

/// Cuts the power `cuts` times under `publishers` to each topic; says how often the node had a journal then.
async fn cut_again_and_again(cuts: u64, topics: &[&str], publishers: u64) -> anyhow::Result<usize> {
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let disk = LossyDisk::mount()?;
    let mut node = QueueNode::start_on(disk.path()).await?;
    let mut histories = Vec::new();
    for topic in topics {
        histories.push(queue_load::prepare(&node, topic).await?);
    }
    let mut with_journal = 0;
    for cut in 0..cuts {
        let address = node.address()?;
        let loads: Vec<_> =
            histories.iter().map(|history| Load::start(address, history, publishers)).collect();
        for history in &histories {
            until_some_is_for_good(history).await?;
        }
        histories.iter().for_each(|history| history.stopping());
        node.kill()?;
        for load in loads {
            let ends = load.ended().await?;
            ensure!(ends.iter().all(|end| *end == PublisherEnd::Cut), "cut {cut}: {ends:?}");
        }
        // The first cut takes all it can: what a node makes at its very first start must be durable too.
        let mut survival =
            if cut == 0 { Survival::none() } else { Survival::from_seed(seed.wrapping_add(cut)) };
        disk.cut_power(&mut survival);
        with_journal += usize::from(disk.path().join("queue/journal").exists());
        node.restart().await?;
        for history in &histories {
            let drained = queue_load::drain(node.address()?, AUDIT, history).await;
            drained.with_context(|| format!("{} after cut {cut} of seed {seed}", history.topic()))?;
        }
    }
    for history in &histories {
        queue_load::settle(&node, history).await.with_context(|| format!("seed {seed}"))?;
        let (topic, came_back) = (history.topic(), history.came_back());
        eprintln!(
            "{topic}: {} acknowledged; finished ones that came back: {came_back:?}",
            history.acknowledged_count()
        );
        ensure!(came_back.oldest <= FINISHES_ARE_DURABLE_AFTER, "finished messages came back: {came_back:?}");
    }
    node.stop().await?;
    Ok(with_journal)
}

/// Waits until more messages of it are acknowledged, and more are finished for good.
async fn until_some_is_for_good(history: &History) -> anyhow::Result<()> {
    let (acknowledged, finished) = (history.acknowledged_count(), history.finished_for(WORK, Duration::ZERO));
    until("messages to be acknowledged, and finished for good", Duration::from_secs(30), async || {
        let acknowledged = history.acknowledged_count() - acknowledged;
        let for_good = history.finished_for(WORK, FINISHES_ARE_DURABLE_AFTER).saturating_sub(finished);
        if acknowledged >= 200 && for_good >= 20 { Ok(()) } else { Err((acknowledged, for_good)) }
    })
    .await
}
