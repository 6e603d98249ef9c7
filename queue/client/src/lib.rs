//! Producer and consumer for any NSQ server: discovery, ready counts, reconnects.
//!
//! [`producer::Producer`] publishes to one node and says honestly what became of it; [`pool::NodePool`] keeps one
//! for each node. [`consumer::Consumer`] is subscribed at every node that [`discovery`] or its options name, and
//! leaves the ready count to its user. All tasks belong to the value that started them and end when it is dropped.

#![forbid(unsafe_code)]

pub mod address;

pub mod discovery;

pub mod identity;

pub mod connection;

pub mod producer;

pub mod pool;

pub mod consumer;

mod backoff;

pub use punctual_queue_wire as wire;
