//! Punctual's queue node: NSQ's protocol on a durable log.
//!
//! A topic is a log. Its channels are cursors into that log: what each has finished, what is in flight, what waits to
//! be delivered again. An `OK` to a publish means that the message is on the disk.
//!
//! [`NodeOptions`](options::NodeOptions) says how a node is set up, [`Node`](node::Node) is one.
//! [`check`] looks at the files of one that does not run.

#![forbid(unsafe_code)]

pub mod node;
pub mod options;

pub mod check;

mod message;

mod channel;

mod topic;

mod topics;

mod drain;

mod tls;

mod auth;

mod tcp;

mod http;

mod stats;

mod latency;

mod statsd;

mod memory;

mod lookup;

mod identity;

mod metrics;

mod health;

pub mod error;
