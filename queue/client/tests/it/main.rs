//! The client against a scripted NSQ server, and against our own.

mod authority;
mod node;
mod upgrades;

mod lookup;

mod servers;

mod cluster;
mod consumer;
mod discovery;
mod flow;
mod habits;
mod pool;
mod producer;
mod publisher;
mod redundancy;
mod secure_cluster;
mod transport;
