//! Sending doorbells: one MPUB for each node and topic, at their time, and elsewhere when one fails.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use punctual_proto::v1;
use punctual_queue_client::producer::PublishOutcome;
use punctual_queue_client::wire::name::TopicName;
use punctual_scheduler_domain::name::topic;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::store::{Dispatch, NodeId, Redispatch};

/// Batches in hand at once: a bound on memory.
const MOST_IN_HAND: usize = 1024;
/// Between two tries to find a node that takes a doorbell.
const RETRY_EVERY: Duration = Duration::from_millis(100);
/// How long a node may take to acknowledge, before another is tried.
const PATIENCE: Duration = Duration::from_secs(1);
/// The same after several tries, and for a node without which there is no other: as long as the client itself waits.
const MOST_PATIENCE: Duration = Duration::from_secs(5);
/// After this long the runs are given back, to be admitted anew.
const GIVE_UP_AFTER: Duration = Duration::from_secs(25);

/// Sends until `stop` and both sources are empty, then waits for what is under way.
pub(super) async fn run(
    shared: Shared,
    mut admitted: mpsc::Receiver<Vec<Dispatch>>,
    mut created: mpsc::UnboundedReceiver<Vec<Dispatch>>,
    stop: CancellationToken,
) {
    let mut under_way = JoinSet::new();
    loop {
        let dispatches = tokio::select! {
            biased;
            Some(dispatches) = created.recv() => dispatches,
            Some(dispatches) = admitted.recv() => dispatches,
            Some(_ended) = under_way.join_next(), if !under_way.is_empty() => continue,
            () = stop.cancelled() => break,
        };
        for batch in batches(dispatches, shared.clock.now()) {
            if under_way.len() >= MOST_IN_HAND {
                under_way.join_next().await;
            }
            under_way.spawn(send(shared.clone(), batch, stop.clone()));
        }
    }
    under_way.join_all().await;
}

/// Doorbells for one node, topic and instant.
struct Batch {
    node: NodeId,
    topic: String,
    /// `None` when it is due already: a timer would take another millisecond.
    not_before: Option<DateTime<Utc>>,
    dispatches: Vec<Dispatch>,
}

/// One batch for all that is due; what was admitted ahead goes out at its own instant.
fn batches(dispatches: Vec<Dispatch>, now: DateTime<Utc>) -> Vec<Batch> {
    let mut batches: HashMap<_, Batch> = HashMap::new();
    for dispatch in dispatches {
        let topic = topic(&dispatch.namespace, &dispatch.task_queue);
        let not_before = (dispatch.run_at > now).then_some(dispatch.run_at);
        batches
            .entry((dispatch.node, topic.clone(), not_before))
            .or_insert_with(|| Batch { node: dispatch.node, topic, not_before, dispatches: Vec::new() })
            .dispatches
            .push(dispatch);
    }
    batches.into_values().collect()
}

async fn send(shared: Shared, batch: Batch, stop: CancellationToken) {
    if let Some(at) = batch.not_before {
        tokio::time::sleep_until(shared.clock.instant_of(at)).await;
    }
    // Names of namespaces and task queues are narrower than names of topics.
    let Ok(topic) = batch.topic.parse::<TopicName>() else { return };
    let give_up = Instant::now() + GIVE_UP_AFTER;
    // Nodes that are all slow get the time they need: a doorbell is worth nothing once the next is on its way.
    let is_alone = shared.nodes.usable().iter().all(|node| *node == batch.node);
    let mut patience = if is_alone { MOST_PATIENCE } else { PATIENCE };
    let mut untaken = publish(&shared, batch.node, &topic, batch.dispatches, patience).await;
    while !untaken.is_empty() && Instant::now() < give_up && !stop.is_cancelled() {
        patience = (patience * 2).min(MOST_PATIENCE);
        untaken = elsewhere(&shared, &topic, untaken, patience).await;
    }
    if !untaken.is_empty() {
        give_back(&shared, &untaken).await;
    }
}

/// Publishes again what was refused, or of which it is not known: at another node, which is stored first, or at the
/// same one where there is no other.
async fn elsewhere(
    shared: &Shared,
    topic: &TopicName,
    untaken: Vec<Dispatch>,
    patience: Duration,
) -> Vec<Dispatch> {
    let usable = shared.nodes.usable();
    let Some(first) = untaken.first() else { return untaken };
    let others: Vec<_> = usable.iter().filter(|node| **node != first.node).collect();
    // Not all to the same one: batches of one moment have different first runs.
    let turn = first.run.0.as_u128() as usize;
    let Some(node) = others.get(turn % others.len().max(1)).map(|node| **node) else {
        tokio::time::sleep(RETRY_EVERY).await;
        // The same doorbells: should the first ones come through late, they are as good as these.
        return match usable.first().copied() {
            Some(same) => publish(shared, same, topic, untaken, patience).await,
            None => untaken,
        };
    };
    let runs: Vec<_> = untaken
        .iter()
        .map(|dispatch| Redispatch { run: dispatch.run, dispatch_seq: dispatch.dispatch_seq, node })
        .collect();
    match shared.store.redispatch(shared.replica.id, &runs).await {
        // What moved on meanwhile is not ours to send any more.
        Ok(moved) => publish(shared, node, topic, moved, patience).await,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "could not store another node");
            tokio::time::sleep(RETRY_EVERY).await;
            untaken
        }
    }
}

/// Leaves runs that no node took to whoever owns their shards next, which may be this replica again.
async fn give_back(shared: &Shared, untaken: &[Dispatch]) {
    match shared.store.give_back(untaken).await {
        Ok(runs) => {
            metrics::counter!("punctual_doorbells_given_back_total").increment(u64::from(runs));
            tracing::warn!(runs, "no queue node took the doorbells of these runs: they are scheduled again");
        }
        Err(error) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            "could not give back runs that no queue node took; they are found by their redelivery time"
        ),
    }
}

/// Publishes, and answers what was not acknowledged.
async fn publish(
    shared: &Shared,
    node: NodeId,
    topic: &TopicName,
    dispatches: Vec<Dispatch>,
    patience: Duration,
) -> Vec<Dispatch> {
    if dispatches.is_empty() {
        return dispatches;
    }
    let started = Instant::now();
    let bodies = dispatches.iter().map(doorbell).collect();
    let outcome = shared.nodes.publish(node, topic, bodies, patience).await;
    metrics::histogram!("punctual_publish_seconds").record(started.elapsed().as_secs_f64());
    match outcome {
        PublishOutcome::Acknowledged => {
            metrics::counter!("punctual_doorbells_published_total").increment(dispatches.len() as u64);
            Vec::new()
        }
        outcome => {
            metrics::counter!("punctual_publishes_failed_total").increment(1);
            tracing::debug!(
                ?outcome,
                node = node.0,
                doorbells = dispatches.len(),
                "a publish was not acknowledged"
            );
            dispatches
        }
    }
}

fn doorbell(dispatch: &Dispatch) -> Bytes {
    let doorbell = v1::Doorbell {
        run_id: dispatch.run.to_string(),
        dispatch: dispatch.dispatch_seq,
        job: dispatch.job.clone(),
        kind: dispatch.kind.to_string(),
        traceparent: String::new(),
    };
    doorbell.to_json().into()
}
