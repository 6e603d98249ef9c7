//! Punctual's discovery daemon: which queue node holds which topic. It takes nsqlookupd's place.
//!
//! [`registry::Registry`] is all the knowledge there is, in memory, without a clock. Nodes write to it over TCP
//! (`registration`), clients read it over HTTP (`endpoints`); [`lookup::Lookup`] runs both.

#![forbid(unsafe_code)]

pub mod options;

pub mod lookup;

pub mod registry;

mod registration;

mod endpoints;
