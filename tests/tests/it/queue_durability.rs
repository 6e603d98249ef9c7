//! What the queue acknowledged survives.

use std::time::Duration;

use anyhow::ensure;
use punctual_tests::effort;
use punctual_tests::queue_load::{self, AUDIT, Load, PublisherEnd, TOPIC, WORK};
use punctual_tests::queue_node::QueueNode;
use punctual_tests::wait::until;

const PUBLISHERS: u64 = 8;

/// A finished message is written down after 2 ms; what more there is, is for a machine that is busy with other things.
const FINISHES_ARE_WRITTEN_WITHIN: Duration = Duration::from_millis(250);

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_or_finished_stays_so_and_nothing_is_made_up_when_the_node_is_killed_again_and_again()
-> anyhow::Result<()> {
    let kills = if effort::is_full() { 100 } else { 20 };
    let mut node = QueueNode::start().await?;
    let history = queue_load::prepare(&node, TOPIC).await?;

    for cycle in 0..kills {
        let load = Load::start(node.address()?, &history, PUBLISHERS);
        let enough = history.acknowledged_count() + 200 + 37 * (cycle % 20);
        until("messages to be acknowledged", Duration::from_secs(20), async || {
            let now = history.acknowledged_count();
            if now >= enough { Ok(()) } else { Err(format!("{now} of {enough}")) }
        })
        .await?;
        history.stopping();
        node.kill()?;
        let ends = load.ended().await?;
        ensure!(ends.iter().all(|end| *end == PublisherEnd::Cut), "kill {cycle}: {ends:?}");
        node.restart().await?;
        queue_load::drain(node.address()?, AUDIT, &history).await?;
    }
    let finished = history.finished_for(WORK, Duration::ZERO);
    queue_load::settle(&node, &history).await?;

    let (acknowledged, came_back) = (history.acknowledged_count(), history.came_back());
    eprintln!("{acknowledged} acknowledged, {finished} finished under load; came back: {came_back:?}");
    ensure!(acknowledged > 200 * kills, "only {acknowledged} were acknowledged");
    ensure!(finished > 20 * kills, "only {finished} were finished");
    ensure!(came_back.oldest < FINISHES_ARE_WRITTEN_WITHIN, "finished messages came back: {came_back:?}");
    node.stop().await
}
