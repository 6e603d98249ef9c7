use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::failure::Failure;

/// What stands between a queue's name and the rest of its files' names, in NSQ's own data directory.
const QUEUE_FILE: &str = ".diskqueue.";

/// NSQ's nsqd has left messages that are not delivered.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} holds messages of NSQ's own nsqd, which this node does not read ({}): let that nsqd run on it until its \
     channels are empty, or take nsqd.dat and *.diskqueue.* away",
    dir.display(),
    queues.join(", ")
)]
struct Undelivered {
    dir: PathBuf,
    queues: Vec<String>,
}

/// Refuses a data directory in which NSQ's own nsqd left messages, so that nobody takes them for migrated; warns of
/// one where it left its list of topics only.
pub(crate) fn refuse_undelivered(dir: &Path) -> Result<(), Failure> {
    let left = match Left::find(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        left => left.with_context(|| format!("could not look into {}", dir.display()))?,
    };
    let queues = left.undelivered();
    if !queues.is_empty() {
        return Err(anyhow::Error::from(Undelivered { dir: dir.to_owned(), queues }).into());
    }
    if left.has_metadata || !left.queues.is_empty() {
        tracing::warn!(
            data.path = %dir.display(),
            "NSQ's own nsqd has left files here, without messages; its topics, channels and pauses are not taken over"
        );
    }
    Ok(())
}

/// What NSQ's own nsqd has left in a directory.
#[derive(Debug, Default)]
struct Left {
    has_metadata: bool,
    queues: BTreeMap<String, Queue>,
}

/// One queue of it.
#[derive(Debug, Default)]
struct Queue {
    /// How many messages it says it holds.
    depth: Option<u64>,
    bytes: u64,
}

impl Left {
    fn find(dir: &Path) -> io::Result<Self> {
        let mut left = Self::default();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            left.has_metadata |= name == "nsqd.dat";
            let Some((queue, rest)) = name.split_once(QUEUE_FILE) else { continue };
            let queue = left.queues.entry(queue.to_owned()).or_default();
            if rest == "meta.dat" {
                queue.depth = depth(&entry.path());
            } else if rest.ends_with(".dat") {
                queue.bytes += entry.metadata()?.len();
            }
        }
        Ok(left)
    }

    /// The queues that hold messages, or may: those that do not say have bytes.
    fn undelivered(&self) -> Vec<String> {
        let holds = |queue: &Queue| queue.depth.map_or(queue.bytes > 0, |depth| depth > 0);
        let names = self.queues.iter().filter(|(_, queue)| holds(queue));
        names
            .map(|(name, queue)| match queue.depth {
                Some(depth) => format!("{name}: {depth}"),
                None => format!("{name}: {} bytes", queue.bytes),
            })
            .collect()
    }
}

/// The first line of the file that says where a queue's reader and writer are.
fn depth(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.lines().next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(files: &[(&str, &str)], expect: &[&str]) {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(dir.path().join(name), content).unwrap();
        }
        assert_eq!(Left::find(dir.path()).unwrap().undelivered(), expect);
        assert_eq!(refuse_undelivered(dir.path()).is_err(), !expect.is_empty());
    }

    #[test]
    fn messages_that_nsqd_left_are_found() {
        check(&[], &[]);
        check(&[("nsqd.dat", "{}"), ("lock", "")], &[]);
        check(&[("a.diskqueue.meta.dat", "0\n0,0\n0,0\n"), ("a.diskqueue.000000.dat", "read")], &[]);
        check(
            &[("a:c.diskqueue.meta.dat", "3\n0,0\n0,90\n"), ("a:c.diskqueue.000000.dat", "x")],
            &["a:c: 3"],
        );
        check(&[("b.diskqueue.000001.dat", "left")], &["b: 4 bytes"]);
        check(&[("b.diskqueue.000001.dat.bad", "left")], &[]);
    }

    #[test]
    fn a_directory_that_is_not_there_holds_nothing() {
        assert!(refuse_undelivered(Path::new("/nonexistent/nowhere")).is_ok());
    }
}
