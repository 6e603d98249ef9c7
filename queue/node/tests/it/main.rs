//! The node through its ports: raw bytes of NSQ's protocol, and HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod fixture;

mod auth;
mod compression;
mod config;
mod consuming;
mod damage;
mod dead_letters;
mod draining;
mod elsewhere;
mod failing_disk;
mod http;
mod http_raw;
mod http_rows;
mod ids;
mod journal;
mod latency;
mod limiting;
mod lookups;
mod panics;
mod peeking;
mod process;
mod protocol;
mod remaking;
mod restarting;
mod retaining;
mod seeking;
mod statsd;
mod tls;
mod topology;
mod unread;
