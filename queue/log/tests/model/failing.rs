//! A sync that fails ends all acknowledgement.

use shuttle::rand::Rng;

use crate::error::AppendError;
use crate::explore::explore;
use crate::fixture::Model;
use crate::sync::thread;

/// Syncs there are in the scenario without a failure, at least: of two logs a file and a directory, twice.
const SYNCS: usize = 8;

#[test]
fn after_a_failed_sync_nothing_that_waits_and_nothing_later_is_acknowledged() {
    explore(|| fail_sync(&Model::new(), shuttle::rand::thread_rng().gen_range(0..SYNCS)));
}

#[test]
fn a_failed_sync_of_the_journal_is_one_as_well() {
    // The fewest there are with a journal: each log's first segment, and one more for what follows.
    explore(|| fail_sync(&Model::journaled(), shuttle::rand::thread_rng().gen_range(0..SYNCS - 3)));
}

fn fail_sync(model: &Model, number: usize) {
    let (first, second) = (model.open("first"), model.open("second"));
    model.disk.fail_sync(number);
    let appenders = [(&first, 1), (&second, 11)].map(|(log, from)| {
        let log = log.clone();
        thread::spawn(move || {
            let mut failed = false;
            // Two at once, then two more: waiting for the sync that fails, queued behind it, and later.
            for byte in [from, from + 2] {
                for append in [log.append(byte), log.append(byte + 1)] {
                    match append.wait() {
                        Ok(_) => assert!(!failed, "acknowledged after a failure"),
                        Err(AppendError::SyncFailed) => failed = true,
                        Err(other) => panic!("{other}"),
                    }
                }
            }
        })
    });
    for appender in appenders {
        appender.join().unwrap();
    }
    assert!(matches!(first.append(9).wait(), Err(AppendError::SyncFailed)), "it goes on after a failure");
    model.committer.stop();
    assert!(matches!(second.append(9).wait(), Err(AppendError::SyncFailed)), "the first reason stays");
    assert_eq!(model.seen.failures(), 1);
}
