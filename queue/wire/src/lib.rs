//! The NSQ protocol as pure code: bytes in, values out. No sockets, no clock, no tokio.
//!
//! A node reads [`command`]s and writes [`frame`]s; a client does the reverse. Whatever a peer may get wrong is a
//! [`error::ProtocolError`], which knows the exact text NSQ clients expect and whether the connection survives it.
//! [`lookup`] is the second protocol, between a node and the discovery daemon; [`discovery`] and [`http`] hold what
//! both daemons and their clients share of the HTTP interface.

#![forbid(unsafe_code)]

pub mod name;

pub mod message;

pub mod frame;

pub mod bodies;

pub mod command;

pub mod compress;

pub mod identify;

pub mod error;

pub mod lookup;

pub mod discovery;

pub mod http;

mod quote;

mod split;
