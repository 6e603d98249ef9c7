//! Why there is no Postgres.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use crate::session::SessionError;

/// Why there is no Postgres.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// No binaries on the machine, and none could be fetched.
    #[error("no PostgreSQL 15 or newer was found and none could be fetched{}\ninstall it with: {command}", tried.as_deref().map(|tried| format!(" ({tried})")).unwrap_or_default())]
    NotFound {
        /// What the user can type.
        command: &'static str,
        /// What was tried, and why it failed.
        tried: Option<String>,
    },
    /// `PG_BINDIR` is set but holds no Postgres that can be used.
    #[error("PG_BINDIR={} holds no PostgreSQL 15 or newer (it needs initdb and postgres)", dir.display())]
    BadBinDir {
        /// Its value.
        dir: PathBuf,
    },
    /// The cluster was made by another major version than the ones at hand.
    #[error("{} was made by PostgreSQL {cluster}, but only {found:?} is here: install version {cluster}, or move the directory away to start afresh", dir.display())]
    VersionMismatch {
        /// The cluster.
        dir: PathBuf,
        /// Its major version.
        cluster: u32,
        /// The major versions found.
        found: Vec<u32>,
    },
    /// Another process runs the Postgres of this data directory.
    #[error("the Postgres of {} is in use by {}: stop it, or choose another data directory", data_dir.display(), holder.map_or("another process".to_owned(), |pid| format!("process {pid}")))]
    InUse {
        /// The data directory.
        data_dir: PathBuf,
        /// The process, when it could be told.
        holder: Option<u32>,
    },
    /// The cluster belongs to a user that this process is not and cannot become.
    #[error("{} belongs to user {owner}: run as that user, or choose another data directory", dir.display())]
    ForeignCluster {
        /// The cluster.
        dir: PathBuf,
        /// The id of its owner.
        owner: u32,
    },
    /// The cluster lies where the user that owns it cannot go.
    #[error("{} belongs to user {owner}, who cannot reach it: open the directories above it (chmod o+x), or choose another data directory", dir.display())]
    Unreachable {
        /// The cluster.
        dir: PathBuf,
        /// The id of its owner.
        owner: u32,
    },
    /// A processes of an earlier Postgres does not end.
    #[error("process {pid} of an earlier Postgres in {} does not end: stop it by hand", cluster.display())]
    Leftover {
        /// The cluster.
        cluster: PathBuf,
        /// The process.
        pid: u32,
    },
    /// A program could not be run.
    #[error("could not run {}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed ({status}):\n{output}")]
    Failed {
        /// The program's name.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The last it said.
        output: String,
    },
    /// Postgres ended instead of serving.
    #[error("Postgres ended while starting ({status}); the last lines of {}:\n{last_lines}", log.display())]
    EndedEarly {
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The end of its log.
        last_lines: String,
    },
    /// Postgres did not serve in time.
    #[error("Postgres did not serve within {within:?}; see {}", log.display())]
    TooSlow {
        /// How long it had.
        within: Duration,
        /// Its log.
        log: PathBuf,
    },
    /// Postgres does not stop.
    #[error("Postgres (process {pid}) does not stop")]
    DoesNotStop {
        /// The postmaster.
        pid: u32,
    },
    /// Talking to Postgres failed.
    #[error("could not run a statement in database {database}")]
    Statement {
        /// The database.
        database: String,
        /// What went wrong.
        #[source]
        source: SessionError,
    },
    /// A file or directory could not be used.
    #[error("could not use {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl PostgresError {
    /// For `map_err`: the error of using `path`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// For `map_err`: the error of running `program`.
    pub(crate) fn spawn(program: &Path) -> impl FnOnce(io::Error) -> Self {
        let program = program.to_owned();
        move |source| Self::Spawn { program, source }
    }
}
