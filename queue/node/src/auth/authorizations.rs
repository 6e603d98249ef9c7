//! What an authentication server grants.

use std::time::Duration;

use regex::Regex;
use serde::Deserialize;

use super::AuthError;

/// What a client wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    Publish,
    Subscribe,
}

/// What the owner of a secret may do, for a while.
#[derive(Debug, Clone)]
pub(crate) struct Authorizations {
    /// Who the owner is, in the server's words.
    pub(crate) identity: String,
    /// Where a person finds more.
    pub(crate) identity_url: String,
    /// How long this holds.
    pub(crate) ttl: Duration,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    publish: bool,
    subscribe: bool,
    topic: Pattern,
    channels: Vec<Pattern>,
}

/// Found anywhere in a name, unless it says otherwise itself.
#[derive(Debug, Clone)]
struct Pattern(Regex);

impl Pattern {
    fn is_in(&self, name: &str) -> bool {
        self.0.is_match(name)
    }

    /// Whether it says plainly that it takes any name at all. That it is found in some name which nothing has would not
    /// do: `^[^_]`, which keeps some names out, is found in most.
    fn takes_any(&self) -> bool {
        let inner = self.0.as_str();
        let inner = inner.strip_prefix('^').unwrap_or(inner);
        matches!(inner.strip_suffix('$').unwrap_or(inner), ".*") || self.0.as_str().is_empty()
    }
}

/// Why an answer grants nothing at all.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("its answer has a ttl of {0}, which must be above 0")]
    Ttl(i64),
    #[error("its answer has the permission {0:?}, which is neither publish nor subscribe")]
    Permission(String),
    #[error("its answer has the pattern {0:?}, which is no regular expression")]
    Pattern(String),
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Answer {
    ttl: i64,
    identity: Option<String>,
    identity_url: Option<String>,
    authorizations: Option<Vec<AnswerEntry>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AnswerEntry {
    permissions: Option<Vec<String>>,
    topic: Option<String>,
    channels: Option<Vec<String>>,
}

impl Authorizations {
    pub(super) fn from_json(json: &[u8]) -> Result<Self, AuthError> {
        let answer: Answer = serde_json::from_slice(json).map_err(AuthError::Json)?;
        let ttl = u64::try_from(answer.ttl).ok().filter(|ttl| *ttl > 0).ok_or(Unusable::Ttl(answer.ttl))?;
        let entries = answer.authorizations.unwrap_or_default().into_iter().map(Entry::try_from);
        Ok(Self {
            identity: answer.identity.unwrap_or_default(),
            identity_url: answer.identity_url.unwrap_or_default(),
            ttl: Duration::from_secs(ttl),
            entries: entries.collect::<Result<_, _>>()?,
        })
    }

    /// How many entries grant something.
    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }

    /// Whether an entry grants this. A publish has no channel: like NSQ, it needs a pattern that the empty string
    /// matches, so `.*` lets publish and `orders` does not.
    pub(crate) fn allow(&self, permission: Permission, topic: &str, channel: &str) -> bool {
        self.entries.iter().any(|entry| {
            entry.has(permission)
                && entry.topic.is_in(topic)
                && entry.channels.iter().any(|pattern| pattern.is_in(channel))
        })
    }

    /// Whether an entry lets subscribe to any channel of `topic`.
    pub(crate) fn allow_every_channel(&self, topic: &str) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.subscribe && entry.topic.is_in(topic) && entry.takes_any_channel())
    }

    /// Whether there is nothing that publishing and subscribing are not granted to, by one entry or by two.
    pub(crate) fn allow_everything(&self) -> bool {
        let all = |entry: &&Entry| entry.topic.takes_any() && entry.takes_any_channel();
        let has = |permission| self.entries.iter().filter(all).any(|entry| entry.has(permission));
        has(Permission::Publish) && has(Permission::Subscribe)
    }
}

impl Entry {
    fn has(&self, permission: Permission) -> bool {
        match permission {
            Permission::Publish => self.publish,
            Permission::Subscribe => self.subscribe,
        }
    }

    fn takes_any_channel(&self) -> bool {
        self.channels.iter().any(Pattern::takes_any)
    }
}

impl TryFrom<AnswerEntry> for Entry {
    type Error = Unusable;

    fn try_from(answer: AnswerEntry) -> Result<Self, Unusable> {
        let mut entry = Self {
            publish: false,
            subscribe: false,
            topic: pattern(&answer.topic.unwrap_or_default())?,
            channels: answer.channels.iter().flatten().map(|text| pattern(text)).collect::<Result<_, _>>()?,
        };
        for permission in answer.permissions.into_iter().flatten() {
            match permission.as_str() {
                "publish" => entry.publish = true,
                "subscribe" => entry.subscribe = true,
                _ => return Err(Unusable::Permission(permission)),
            }
        }
        Ok(entry)
    }
}

fn pattern(text: &str) -> Result<Pattern, Unusable> {
    Regex::new(text).map(Pattern).map_err(|_| Unusable::Pattern(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::Permission::{Publish, Subscribe};
    use super::*;

    fn granted(entries: &str) -> Authorizations {
        let json = format!(r#"{{"ttl":60,"identity":"ann","identity_url":"u","authorizations":{entries}}}"#);
        Authorizations::from_json(json.as_bytes()).unwrap()
    }

    #[test]
    fn an_entry_grants_what_its_patterns_are_found_in() {
        let entries = r#"[{"permissions":["subscribe","publish"],"topic":"^a","channels":["x",".*"]},
            {"permissions":["subscribe"],"topic":"b","channels":["^only$"]}]"#;
        let granted = granted(entries);
        for (permission, topic, channel, expected) in [
            (Publish, "apples", "", true),
            (Publish, "bananas", "", false),
            (Subscribe, "apples", "anything", true),
            (Subscribe, "bananas", "only", true),
            (Subscribe, "bananas", "only2", false),
            (Subscribe, "cherries", "only", false),
        ] {
            assert_eq!(
                granted.allow(permission, topic, channel),
                expected,
                "{permission:?} {topic} {channel}"
            );
        }
        assert_eq!((granted.count(), granted.identity.as_str()), (2, "ann"));
        assert_eq!(granted.ttl, Duration::from_secs(60));
    }

    #[test]
    fn publishing_needs_a_channel_pattern_that_matches_nothing_at_all() {
        for (channels, expected) in
            [(r#"[".*"]"#, true), (r#"["ch"]"#, false), ("[]", false), (r#"[""]"#, true)]
        {
            let entry = format!(r#"[{{"permissions":["publish"],"topic":".*","channels":{channels}}}]"#);
            assert_eq!(granted(&entry).allow(Publish, "t", ""), expected, "{channels}");
        }
    }

    #[test]
    fn only_a_pattern_that_says_so_takes_everything() {
        for (topic, channel, expected) in [
            (".*", ".*", true),
            ("^.*$", ".*", true),
            ("", "", true),
            // Found in nearly every name there is.
            ("^[^_]", ".*", false),
            (".*", "^[^_]", false),
            ("/", ".*", false),
            ("^.", ".*", false),
        ] {
            let entry = |permissions: &str| {
                format!(r#"{{"permissions":{permissions},"topic":"{topic}","channels":["no","{channel}"]}}"#)
            };
            let both = granted(&format!("[{}]", entry(r#"["publish","subscribe"]"#)));
            assert_eq!(both.allow_everything(), expected, "{topic} {channel}");
            let one_each = granted(&format!("[{},{}]", entry(r#"["publish"]"#), entry(r#"["subscribe"]"#)));
            assert_eq!(one_each.allow_everything(), expected, "{topic} {channel}");
            for one in [r#"["publish"]"#, r#"["subscribe"]"#] {
                assert!(!granted(&format!("[{}]", entry(one))).allow_everything(), "{topic} {channel} {one}");
            }
        }
    }

    #[test]
    fn every_channel_of_a_topic_is_granted_by_a_pattern_for_any() {
        let entries = r#"[{"permissions":["subscribe"],"topic":"^all$","channels":["c",".*"]},
            {"permissions":["subscribe"],"topic":"^some$","channels":["^[^_]"]},
            {"permissions":["publish"],"topic":"^none$","channels":[".*"]}]"#;
        let granted = granted(entries);
        let every = |topic| granted.allow_every_channel(topic);
        assert_eq!([every("all"), every("some"), every("none")], [true, false, false]);
    }

    #[test]
    fn what_is_missing_or_null_grants_nothing() {
        assert_eq!(granted("null").count(), 0);
        assert!(!granted("[{}]").allow(Publish, "t", ""));
        assert!(
            !granted(r#"[{"permissions":null,"topic":null,"channels":null}]"#).allow(Subscribe, "t", "c")
        );
    }

    #[test]
    fn an_answer_that_is_not_understood_is_not_used_in_part() {
        let unusable = |json: &str| match Authorizations::from_json(json.as_bytes()) {
            Err(AuthError::Unusable(unusable)) => unusable,
            other => panic!("{other:?}"),
        };
        assert_eq!(unusable(r#"{"ttl":0}"#), Unusable::Ttl(0));
        assert_eq!(unusable("{}"), Unusable::Ttl(0));
        assert_eq!(unusable(r#"{"ttl":-5}"#), Unusable::Ttl(-5));
        let permission = r#"{"ttl":1,"authorizations":[{"permissions":["admin"]}]}"#;
        assert_eq!(unusable(permission), Unusable::Permission("admin".to_owned()));
        let pattern = r#"{"ttl":1,"authorizations":[{"permissions":[],"topic":"("}]}"#;
        assert_eq!(unusable(pattern), Unusable::Pattern("(".to_owned()));
        assert!(matches!(Authorizations::from_json(b"no"), Err(AuthError::Json(_))));
    }
}
