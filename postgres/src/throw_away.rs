//! A Postgres that leaves nothing behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::postgres::remove_unused;
use crate::{Options, Postgres, PostgresError};

/// A Postgres whose cluster is removed when this is dropped or, where the process was killed, by the next one in the
/// same place.
#[derive(Debug)]
pub struct ThrowAway {
    postgres: Option<Postgres>,
    data_dir: PathBuf,
}

impl ThrowAway {
    /// Starts a Postgres in a directory of its own within `parent`, with `settings` on top of the usual ones.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub fn start(parent: &Path, settings: Vec<(String, String)>) -> Result<Self, PostgresError> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        remove_dead(parent);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let data_dir = parent.join(format!("{}-{number}", std::process::id()));
        let options = Options { settings, ..Options::new(&data_dir) };
        let postgres = Postgres::start(options)?;
        Ok(Self { postgres: Some(postgres), data_dir })
    }

    /// The Postgres.
    pub fn postgres(&self) -> &Postgres {
        self.postgres.as_ref().expect("it is taken only when dropped")
    }

    /// The Postgres, to restart it.
    pub fn postgres_mut(&mut self) -> &mut Postgres {
        self.postgres.as_mut().expect("it is taken only when dropped")
    }
}

impl Drop for ThrowAway {
    fn drop(&mut self) {
        let destroyed = self.postgres.take().map(Postgres::destroy);
        if matches!(destroyed, Some(Ok(()))) {
            // What stays is removed by the next one.
            let _best_effort = fs::remove_dir_all(&self.data_dir);
        }
    }
}

/// Removes the clusters whose processes were killed.
fn remove_dead(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let data_dir = entry.path();
        if data_dir.join("postgres.lock").exists() && matches!(remove_unused(&data_dir), Ok(true)) {
            // Another process may be doing the same.
            let _best_effort = fs::remove_dir_all(&data_dir);
        }
    }
}
