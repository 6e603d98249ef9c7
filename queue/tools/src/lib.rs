//! NSQ's tools, from `nsq_tail` to `to_nsq`, and the form of NSQ's command lines.
//!
//! Each tool is a struct of flags with a `run(self, stop)`: it works until `stop` is cancelled or its work is done.
//! Signals, the log and the exit code belong to whoever calls it.
//!
//! - [`go_flags`] reads `-x v`, `--x v`, `-x=v`, `--x=v` for any struct of `clap` flags, so that a tool's flags are
//!   an ordinary one; [`go_duration`] reads `1h2m3.5s`.
//! - [`consuming::ConsumingArgs`] and [`producing::ProducingArgs`] are the flags that all tools share, and
//!   [`client_settings::ClientSettings`] what go-nsq's options (`--consumer-opt`, `--producer-opt`) set.

#![forbid(unsafe_code)]

pub mod go_duration;
pub mod go_flags;

pub mod client_settings;
pub mod consuming;
pub mod producing;

pub mod error;
pub mod host_pool;
pub mod http;
pub mod time_of_day;

mod destinations;
mod latency;
mod work;

pub mod nsq_stat;
pub mod nsq_tail;
pub mod nsq_to_file;
pub mod nsq_to_http;
pub mod nsq_to_nsq;
pub mod to_nsq;
