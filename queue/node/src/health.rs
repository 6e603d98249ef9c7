//! Whether the node could write what it was last asked to.

use std::io::{self, IoSlice};
use std::path::Path;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use punctual_queue_log::disk::{Disk, OpenMode, write_all_at};
use punctual_queue_log::error::AppendError;
use punctual_queue_log::position::Position;

/// A disk that refused a write is tried again no sooner.
const PROBE_AFTER: Duration = Duration::from_secs(1);

/// The file that is written to try the disk, in the data directory. It is there for a moment only.
const PROBE_NAME: &str = "probe";

/// The disk's state, as `/ping` and `/stats` tell it.
#[derive(Debug, Default)]
pub(crate) struct DiskHealth {
    problem: Mutex<Option<Problem>>,
    /// Held while the disk is tried.
    probing: Mutex<()>,
}

/// Why writes fail.
#[derive(Debug)]
struct Problem {
    text: String,
    failed_at: Instant,
}

impl DiskHealth {
    /// Notes how a write ended. A success takes back an earlier failure.
    pub(crate) fn wrote(&self, result: &Result<Position, AppendError>) {
        match result {
            Ok(_) => self.succeeded(None),
            Err(e) => self.failed(reason(e), Instant::now()),
        }
    }

    /// Why writes fail at the moment.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.lock().as_ref().map(|problem| problem.text.clone())
    }

    /// Whether nothing was heard of a disk that refused a write for so long that it should be [tried](Self::probe).
    pub(crate) fn wants_probe(&self, now: Instant) -> bool {
        let problem = self.problem.lock();
        problem.as_ref().is_some_and(|problem| now.duration_since(problem.failed_at) >= PROBE_AFTER)
    }

    /// Tries whether `bytes` can be written in `dir`, unless somebody does. Without it, a node that nobody publishes to
    /// would not hear that there is room again. Blocks on the disk.
    pub(crate) fn probe(&self, disk: &dyn Disk, dir: &Path, bytes: usize) {
        let Some(_probing) = self.probing.try_lock() else { return };
        let began = Instant::now();
        match write_and_remove(disk, &dir.join(PROBE_NAME), bytes) {
            Ok(()) => self.succeeded(Some(began)),
            Err(e) => self.failed(format!("the disk refused the write: {e}"), Instant::now()),
        }
    }

    /// A success that began at `began` says nothing of failures that came since.
    fn succeeded(&self, began: Option<Instant>) {
        let mut problem = self.problem.lock();
        if problem.as_ref().is_some_and(|problem| began.is_none_or(|began| problem.failed_at <= began)) {
            *problem = None;
            tracing::info!("the disk takes writes again");
        }
    }

    fn failed(&self, text: String, failed_at: Instant) {
        let mut problem = self.problem.lock();
        if problem.is_none() {
            tracing::error!(error = text, "the disk refuses writes; publishes fail");
        }
        *problem = Some(Problem { text, failed_at });
    }
}

fn write_and_remove(disk: &dyn Disk, path: &Path, bytes: usize) -> io::Result<()> {
    let remove = || match disk.remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        Ok(()) | Err(_) => Ok(()),
    };
    remove()?; // one that a kill left behind
    let write = || {
        let file = disk.open(path, OpenMode::New)?;
        write_all_at(file.as_ref(), &mut [IoSlice::new(&vec![0; bytes])], 0)?;
        file.sync_data() // some file systems look for room no sooner
    };
    let written = write();
    remove()?;
    written
}

/// The error with its cause, for people.
pub(crate) fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use punctual_queue_log::disk::RealDisk;

    use super::*;

    #[test]
    fn a_disk_is_tried_a_second_after_it_refused_a_write_and_no_sooner() {
        let health = DiskHealth::default();
        let now = Instant::now();
        assert!(!health.wants_probe(now + PROBE_AFTER));
        health.failed("full".to_owned(), now);
        assert!(!health.wants_probe(now + PROBE_AFTER / 2));
        assert!(health.wants_probe(now + PROBE_AFTER));
        health.succeeded(None);
        assert!(!health.wants_probe(now + PROBE_AFTER));
    }

    #[test]
    fn a_try_that_succeeds_takes_back_earlier_failures_only_and_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let health = DiskHealth::default();
        std::fs::write(dir.path().join(PROBE_NAME), "left by a kill").unwrap();
        health.failed("full".to_owned(), Instant::now());
        health.probe(&RealDisk, dir.path(), 1000);
        assert_eq!(health.problem(), None);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);

        let began = Instant::now();
        health.failed("full".to_owned(), began + Duration::from_millis(1));
        health.succeeded(Some(began));
        assert_eq!(health.problem().as_deref(), Some("full"));
    }

    #[test]
    fn a_try_that_fails_says_so_and_is_not_repeated_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let health = DiskHealth::default();
        let before = Instant::now();
        health.failed("full".to_owned(), before);
        health.probe(&RealDisk, &dir.path().join("nowhere"), 1000);
        let problem = health.problem().unwrap();
        assert!(problem.starts_with("the disk refused the write: "), "{problem}");
        assert!(!health.wants_probe(before + PROBE_AFTER));
    }
}
