//! What every long-running part of Punctual has, whatever it does: a clock, a way to stop, a log, metrics,
//! health, listeners, TLS and tokens. Nothing here knows what a job or a message is.
//!
//! A role's `main` reads its flags, makes one [`Parts`](parts::Parts) around one cancellation token, adds what it
//! runs, and calls [`run_until_signalled`](parts::Parts::run_until_signalled).

#![forbid(unsafe_code)]

pub mod clock;
pub mod parts;
pub mod shutdown;

pub mod health;
pub mod log;
pub mod metrics;
pub mod notify;

pub mod bind;
pub mod http;
pub mod socket;
pub mod tls;
pub mod token;

pub mod dir_lock;
