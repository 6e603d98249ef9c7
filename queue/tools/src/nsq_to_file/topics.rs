//! Which topics are written.

use punctual_queue_client::discovery::LookupClient;
use punctual_queue_wire::name::TopicName;
use regex::Regex;
use tracing::{debug, error};

/// The topics that are given, or else those that lookups know; in both cases only those that match the pattern.
#[derive(Debug)]
pub(super) struct Topics {
    given: Vec<TopicName>,
    /// Whom to ask, unless topics are given.
    lookups: Option<LookupClient>,
    pattern: Option<Regex>,
}

impl Topics {
    /// An empty pattern matches all.
    ///
    /// # Errors
    /// The pattern is no regular expression.
    pub(super) fn new(
        given: Vec<TopicName>,
        lookups: Option<LookupClient>,
        pattern: &str,
    ) -> Result<Self, regex::Error> {
        let pattern = if pattern.is_empty() { None } else { Some(Regex::new(pattern)?) };
        Ok(Self { given, lookups, pattern })
    }

    /// Those that are given.
    pub(super) fn given(&self) -> &[TopicName] {
        &self.given
    }

    /// Whether there may be others later.
    pub(super) fn may_change(&self) -> bool {
        self.lookups.is_some()
    }

    /// Those there are now, as far as lookups answer.
    pub(super) async fn now(&self) -> Vec<TopicName> {
        let mut topics = self.given.clone();
        if let Some(lookups) = &self.lookups {
            let listing = lookups.topics().await;
            for error in &listing.failed {
                error!(%error, "could not retrieve topic list");
            }
            topics.extend(listing.topics);
        }
        topics.retain(|topic| {
            let matches = self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(topic.as_str()));
            if !matches {
                debug!(%topic, "skipping a topic that does not match the pattern");
            }
            matches
        });
        topics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &str, pattern: &str, expect: &str) {
        let given = given.split(' ').map(|topic| topic.parse().unwrap()).collect();
        let topics = Topics::new(given, None, pattern).unwrap();
        assert!(!topics.may_change());
        let now = futures::executor::block_on(topics.now());
        let now: Vec<_> = now.iter().map(|topic| topic.as_str()).collect();
        assert_eq!(now.join(" "), expect);
    }

    #[test]
    fn the_pattern_is_looked_for_anywhere_in_the_name() {
        check("a b", "", "a b");
        check("clicks views.eu clicks_eu", "eu", "views.eu clicks_eu");
        check("clicks views.eu clicks_eu", "^clicks(_.*)?$", "clicks clicks_eu");
    }

    #[test]
    fn a_pattern_that_is_none_is_refused() {
        assert!(Topics::new(vec![], None, "(").is_err());
    }
}
