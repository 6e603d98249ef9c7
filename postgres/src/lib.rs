//! Finds a real Postgres on the machine (or fetches one), and starts and stops a cluster of its own with it: private
//! socket, no TCP unless asked, gone with the process that started it.
//!
//! For development, tests and benchmarks. All of it blocks; nothing of it needs an async runtime.

mod error;
mod options;
mod postgres;
mod source;
mod throw_away;

mod binaries;
mod install;

mod account;
mod dir_lock;
mod placement;

mod cluster;
mod leftovers;
mod pid_file;
mod postmaster;
mod process;
mod session;

pub use error::PostgresError;
pub use options::Options;
pub use postgres::Postgres;
pub use source::Source;
pub use throw_away::ThrowAway;
