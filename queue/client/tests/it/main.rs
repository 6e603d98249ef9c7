//! The client against a scripted NSQ server.

mod node;

mod lookup;

mod consumer;
mod pool;
mod producer;
