//! The group commit under a model checker: its sources, compiled here with primitives in the place of `src/sync.rs`
//! whose interleavings are chosen one by one. The library itself knows nothing of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[expect(
    unreachable_pub,
    unused_imports,
    dead_code,
    reason = "here a library is a part of a test, and not all of it is used"
)]
#[path = "../../src"]
mod src {
    pub(crate) mod batch;
    pub(crate) mod check;
    pub(crate) mod committer;
    pub(crate) mod disk;
    pub(crate) mod error;
    pub(crate) mod frame;
    pub(crate) mod index;
    pub(crate) mod journal;
    pub(crate) mod log;
    pub(crate) mod options;
    pub(crate) mod position;
    pub(crate) mod reader;
    pub(crate) mod record;
    pub(crate) mod recovery;
    pub(crate) mod rewrite;
    pub(crate) mod scan;
    pub(crate) mod segment;
    pub(crate) mod sync_pool;
    pub(crate) mod writer;
}

use src::{
    batch, committer, disk, error, frame, index, journal, log, options, position, reader, record, recovery,
    rewrite, scan, segment, sync_pool, writer,
};

mod sync;

mod explore;
mod fixture;
mod model_disk;

mod durability;
mod failing;
mod handshake;
mod stopping;
