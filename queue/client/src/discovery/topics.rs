//! Asking lookups which topics there are.

use std::collections::BTreeSet;

use futures::future::join_all;
use punctual_queue_wire::{discovery::TopicsAnswer, name::TopicName};
use tracing::debug;

use super::{DiscoveryError, LookupClient, with_path};

/// The topics that the lookups that could be reached know.
#[derive(Debug, Default)]
pub struct TopicListing {
    /// Each once, by name.
    pub topics: BTreeSet<TopicName>,
    /// Why lookups could not be asked.
    pub failed: Vec<DiscoveryError>,
}

impl LookupClient {
    /// Every topic that any lookup knows, whether a node has it or not.
    pub async fn topics(&self) -> TopicListing {
        let requests = self.lookups.iter().map(async |(address, base)| {
            self.http.get::<TopicsAnswer>(address, with_path(base, "topics", &[])).await
        });
        let mut listing = TopicListing::default();
        for answer in join_all(requests).await {
            match answer {
                Ok(answer) => listing.topics.extend(names(answer.unwrap_or_default())),
                Err(error) => listing.failed.push(error),
            }
        }
        listing
    }
}

fn names(answer: TopicsAnswer) -> impl Iterator<Item = TopicName> {
    answer.topics.into_iter().filter_map(|topic| {
        topic
            .parse()
            .inspect_err(|error| debug!(topic, %error, "a lookup knows a topic with a bad name"))
            .ok()
    })
}
