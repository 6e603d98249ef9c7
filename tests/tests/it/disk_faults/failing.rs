//! A sync that fails: the node can promise nothing any more, and goes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use punctual_tests::lossy_disk::{LossyDisk, Survival};
use punctual_tests::queue_load::{self, AUDIT, History, Load, PublisherEnd, TOPIC, WORK};
use punctual_tests::queue_node::QueueNode;
use punctual_tests::wait::until;

const PUBLISHERS: u64 = 8;
const FAILURES: u64 = 6;

/// Leaving the lookup takes 2 s at most, and what is under way gets 5 s.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

async fn load_up_to(node: &QueueNode, history: &Arc<History>, more: usize) -> anyhow::Result<Load> {
    let enough = history.acknowledged_count() + more;
    let load = Load::start(node.address()?, history, PUBLISHERS);
    until("messages to be acknowledged", Duration::from_secs(20), async || {
        let now = history.acknowledged_count();
        if now >= enough { Ok(()) } else { Err(format!("{now} of {enough}")) }
    })
    .await?;
    Ok(load)
}

/// Has a sync fail under load, and sees the node off.
async fn fail_a_sync(disk: &LossyDisk, node: &mut QueueNode, history: &Arc<History>) -> anyhow::Result<()> {
    let load = load_up_to(node, history, 200).await?;
    until("the lookup to list the node", ENDS_WITHIN, async || match node.is_listed().await {
        Ok(true) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await?;
    disk.fail_next_sync();
    history.stopping();
    let status = node.ended(ENDS_WITHIN).await?;
    ensure!(status.code().is_some_and(|code| code != 0), "the node ended with {status}");
    ensure!(!node.is_listed().await?, "the lookup lists a node that has ended");
    for end in load.ended().await? {
        ensure!(end != PublisherEnd::Told, "a publisher went on");
        if let PublisherEnd::Refused(code, text) = end {
            ensure!(code.ends_with("PUB_FAILED") && text.contains("sync"), "refused with {code} {text}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root and /dev/fuse; `cargo xtask test --full` runs it"]
async fn a_failed_sync_ends_the_node_and_nothing_acknowledged_before_or_after_rests_on_it()
-> anyhow::Result<()> {
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let disk = LossyDisk::mount()?;
    let mut node = QueueNode::start_on(disk.path()).await?;
    let history = queue_load::prepare(&node, TOPIC).await?;

    for failure in 0..FAILURES {
        fail_a_sync(&disk, &mut node, &history).await?;
        let last_words = node.printed();
        ensure!(last_words.contains("the disk failed to sync"), "it did not say why it ended");
        // Half of the times the machine goes on, with bytes to be read that are not on the disk and never will be.
        if failure % 2 == 0 {
            disk.cut_power(&mut Survival::from_seed(seed.wrapping_add(failure)));
        }
        let judged = async {
            node.restart().await?;
            queue_load::drain(node.address()?, AUDIT, &history).await?;
            let load = load_up_to(&node, &history, 200).await?;
            history.stopping();
            node.kill()?;
            load.ended().await?;
            disk.cut_power(&mut Survival::from_seed(seed.wrapping_sub(failure)));
            node.restart().await?;
            queue_load::drain(node.address()?, AUDIT, &history).await
        };
        judged.await.with_context(|| format!("after failure {failure} of seed {seed}"))?;
    }
    ensure!(history.finished_for(WORK, Duration::ZERO) > 0, "nothing was consumed meanwhile");
    // What was read of the failed sync without being on the disk was never acknowledged: it may be gone in parts.
    for name in [WORK, AUDIT] {
        queue_load::drain(node.address()?, name, &history).await?;
    }
    node.stop().await
}
