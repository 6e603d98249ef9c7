//! A committer that is stopped finishes what it has, refuses the rest, and ends.

use std::sync::Arc;

use crate::error::AppendError;
use crate::explore::explore;
use crate::fixture::{Model, ModelLog};
use crate::sync::thread;

fn appender(log: &ModelLog, bytes: std::ops::Range<u8>) -> thread::JoinHandle<()> {
    let log = log.clone();
    thread::spawn(move || {
        let mut refused = false;
        for byte in bytes {
            match log.append(byte).wait() {
                Ok(_) => assert!(!refused, "{byte} was taken after one was refused"),
                Err(AppendError::Stopped) => refused = true,
                Err(other) => panic!("{byte}: {other}"),
            }
        }
    })
}

#[test]
fn all_that_was_appended_before_a_stop_is_complete_after_it() {
    explore(|| {
        let model = Model::new();
        let log = model.open("log");
        let racing = appender(&log, 10..12);
        let pending = [1, 2, 3].map(|byte| log.append(byte));
        model.committer.stop();
        for append in &pending {
            append.answered().unwrap();
        }
        assert!(matches!(log.append(4).answered(), Err(AppendError::Stopped)));
        racing.join().unwrap();
    });
}

#[test]
fn stopping_twice_at_once_returns_to_both_when_all_is_complete() {
    explore(|| {
        let model = Model::new();
        let log = model.open("log");
        let pending = log.append(1);
        let other = thread::spawn({
            let committer = Arc::clone(&model.committer);
            move || committer.stop()
        });
        model.committer.stop();
        pending.answered().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn a_log_that_is_closed_and_removed_does_not_hinder_the_others() {
    explore(|| {
        let model = Model::new();
        let (kept, removed) = (model.open("kept"), model.open("removed"));
        let last = thread::spawn({
            let removed = removed.clone();
            // Nothing is promised for a log that is being removed but that there is an answer.
            move || removed.begin(1, crate::log::Durability::Synced, |_| {}).wait()
        });
        let appending = appender(&kept, 10..12);
        removed.log.close();
        model.disk.remove(&removed.dir);
        kept.append(2).wait().unwrap();
        let _ = last.join().unwrap();
        appending.join().unwrap();
        model.committer.stop();
        assert_eq!(model.seen.failures(), 0);
    });
}
