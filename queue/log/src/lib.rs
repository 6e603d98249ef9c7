//! A durable segmented log with group commit. It knows bytes and offsets; what a record means is its user's affair.
//!
//! A [`Log`](log::Log) is a directory of segments. Records are framed with their length and checksums that cover
//! where they stand, so that a torn, stale or flipped byte is noticed and never handed out. All logs of a process
//! share one [`Committer`](committer::Committer): what is appended while one sync runs shares the next, and a commit
//! that spans many logs goes through one [`Journal`](journal::Journal), so that it is still one sync.

#![forbid(unsafe_code)]

pub mod position;
pub mod record;

pub mod disk;
pub mod options;

pub mod committer;
pub mod journal;
pub mod log;
pub mod reader;
pub mod rewrite;

pub mod check;

mod batch;
mod frame;
mod index;
mod recovery;
mod scan;
mod segment;
mod sync;
mod sync_pool;
mod writer;

pub mod error;
