use punctual_queue_tools::go_duration;
use punctual_queue_tools::go_flags::{Flag, FlagError, FlagSet, Given, Kind};

/// What a flag of NSQ's takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Bool,
    /// As a boolean, or another word.
    OptionalText,
    Duration,
    Number,
    Text,
    /// Text, any number of times.
    List,
}

/// A flag of one of NSQ's daemons.
#[derive(Debug, Clone, Copy)]
pub(super) struct NsqFlag {
    pub(super) name: &'static str,
    takes: Takes,
    /// Whether it is about something that the daemon here does in another way.
    pub(super) is_moot: bool,
}

const fn flag(name: &'static str, takes: Takes) -> NsqFlag {
    NsqFlag { name, takes, is_moot: false }
}

const fn moot(name: &'static str, takes: Takes) -> NsqFlag {
    NsqFlag { name, takes, is_moot: true }
}

/// nsqd's flags that are not certain to be flags of the node, or take their value in another way there.
pub(super) const NSQD: &[NsqFlag] = &[
    // Messages are on the disk before they are acknowledged, whatever their number; ids tell nothing of the node.
    moot("max-bytes-per-file", Takes::Number),
    moot("node-id", Takes::Number),
    moot("queue-scan-selection-count", Takes::Number),
    moot("queue-scan-worker-pool-max", Takes::Number),
    moot("sync-every", Takes::Number),
    moot("sync-timeout", Takes::Duration),
    moot("verbose", Takes::Bool),
    moot("worker-id", Takes::Bool),
    flag("auth-http-address", Takes::List),
    flag("auth-http-request-method", Takes::Text),
    flag("broadcast-address", Takes::Text),
    flag("broadcast-http-port", Takes::Number),
    flag("broadcast-tcp-port", Takes::Number),
    flag("data-path", Takes::Text),
    flag("deflate", Takes::Bool),
    flag("e2e-processing-latency-percentile", Takes::List),
    flag("e2e-processing-latency-window-time", Takes::Duration),
    flag("enable-experiment", Takes::List),
    flag("http-address", Takes::Text),
    flag("http-client-connect-timeout", Takes::Duration),
    flag("http-client-request-timeout", Takes::Duration),
    flag("https-address", Takes::Text),
    flag("lookupd-tcp-address", Takes::List),
    flag("max-body-size", Takes::Number),
    flag("max-channel-consumers", Takes::Number),
    flag("max-defer-timeout", Takes::Duration),
    flag("max-deflate-level", Takes::Number),
    flag("max-heartbeat-interval", Takes::Duration),
    flag("max-msg-size", Takes::Number),
    flag("max-msg-timeout", Takes::Duration),
    flag("max-output-buffer-size", Takes::Number),
    flag("max-output-buffer-timeout", Takes::Duration),
    flag("max-rdy-count", Takes::Number),
    flag("max-req-timeout", Takes::Duration),
    flag("mem-queue-size", Takes::Number),
    flag("min-output-buffer-timeout", Takes::Duration),
    flag("msg-timeout", Takes::Duration),
    flag("output-buffer-timeout", Takes::Duration),
    flag("snappy", Takes::Bool),
    flag("statsd-address", Takes::Text),
    flag("statsd-exclude-ephemeral", Takes::Bool),
    flag("statsd-interval", Takes::Duration),
    flag("statsd-mem-stats", Takes::Bool),
    flag("statsd-prefix", Takes::Text),
    flag("statsd-udp-packet-size", Takes::Number),
    flag("tcp-address", Takes::Text),
    flag("tls-cert", Takes::Text),
    flag("tls-client-auth-policy", Takes::Text),
    flag("tls-key", Takes::Text),
    flag("tls-min-version", Takes::Text),
    flag("tls-required", Takes::OptionalText),
    flag("tls-root-ca-file", Takes::Text),
    flag("topology-region", Takes::Text),
    flag("topology-zone", Takes::Text),
];

/// nsqlookupd's flags.
pub(super) const NSQLOOKUPD: &[NsqFlag] = &[
    moot("verbose", Takes::Bool),
    flag("broadcast-address", Takes::Text),
    flag("http-address", Takes::Text),
    flag("inactive-producer-timeout", Takes::Duration),
    flag("tcp-address", Takes::Text),
    flag("tombstone-lifetime", Takes::Duration),
];

impl NsqFlag {
    /// Adds NSQ's flags to `set`: how they take their values is as in NSQ, whatever the role says.
    pub(super) fn add_all(flags: &[Self], set: FlagSet) -> FlagSet {
        flags.iter().fold(set, |set, flag| {
            let kind = match flag.takes {
                Takes::Bool => Kind::Bool,
                Takes::OptionalText => Kind::OptionalText,
                Takes::Duration => Kind::Duration,
                Takes::Number => Kind::Number,
                Takes::Text | Takes::List => Kind::Text,
            };
            set.with(flag.name, Flag { kind, is_list: flag.takes == Takes::List })
        })
    }

    /// Checks the value of a flag that nobody else looks at.
    pub(super) fn check(&self, given: &Given) -> Result<(), FlagError> {
        let Some(value) = given.value(self.name) else { return Ok(()) };
        let wrong =
            |reason| FlagError::BadValue { name: self.name.to_owned(), value: value.to_owned(), reason };
        match self.takes {
            Takes::Number => match value.parse::<i64>() {
                Ok(_) => Ok(()),
                Err(_) => Err(wrong("parse error".to_owned())),
            },
            Takes::Duration => match go_duration::parse(value) {
                Ok(_) => Ok(()),
                Err(error) => Err(wrong(error.to_string())),
            },
            Takes::Bool | Takes::OptionalText | Takes::Text | Takes::List => Ok(()),
        }
    }
}
