//! The log through its public interface, on a real file system and on one that fails.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod fixture;
mod machine;
mod simulated_disk;
mod verdict;

mod appending;
mod crashes;
mod failing;
mod journal;
mod journal_crashes;
mod recovering;
mod rewriting;
mod torn;
