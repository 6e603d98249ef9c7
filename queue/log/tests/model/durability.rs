//! What an answer promises is so when it is given, and every append is answered.

use std::time::Duration;

use crate::explore::explore;
use crate::fixture::Model;
use crate::log::Durability;
use crate::sync::{advance, thread};

#[test]
fn nothing_is_complete_before_a_sync_that_began_after_its_write_has_ended() {
    explore(|| {
        let model = Model::new();
        let (first, second) = (model.open("first"), model.open("second"));
        let others = thread::spawn({
            let (first, second) = (first.clone(), second.clone());
            move || {
                let pending = [first.append(1), second.append(2)];
                pending.map(|append| append.wait().unwrap())
            }
        });
        // One after the other, so that the second may come while the first is synced; the third opens a segment.
        for byte in 3..6 {
            first.append(byte).wait().unwrap();
        }
        others.join().unwrap();
        model.committer.stop();
        assert_eq!(model.seen.failures(), 0);
    });
}

#[test]
fn nothing_is_complete_before_its_log_or_the_journal_was_synced() {
    explore(|| {
        let model = Model::journaled();
        let (first, second) = (model.open("first"), model.open("second"));
        let other = thread::spawn({
            let second = second.clone();
            move || {
                for byte in 11..13 {
                    second.append(byte).wait().unwrap();
                }
            }
        });
        // In turn in the journal and, where a segment begins, where it stands.
        for byte in 1..4 {
            first.append(byte).wait().unwrap();
        }
        other.join().unwrap();
        let last = first.begin(5, Durability::Written, |_| {}).wait().unwrap();
        model.committer.stop();
        assert_eq!(model.seen.failures(), 0);
        let (path, offset) = first.place(last);
        assert!(model.disk.survives_power_cut(&path, offset, &[5; 10]), "a stop leaves all logs synced");
    });
}

#[test]
fn a_written_record_is_complete_without_a_sync() {
    explore(|| {
        let model = Model::new();
        let log = model.open("log");
        let syncs = model.disk.syncs();
        let appenders = [1, 2].map(|byte| {
            let (log, disk) = (log.clone(), model.disk.clone());
            thread::spawn(move || {
                let pending = log.begin(byte, Durability::Written, move |_| {
                    assert_eq!(disk.syncs(), syncs, "{byte} waited for a sync");
                });
                pending.wait().unwrap();
            })
        });
        for appender in appenders {
            appender.join().unwrap();
        }
        // Stopping syncs it, and that is all it takes.
        model.committer.stop();
        assert!(model.disk.syncs() > syncs);
    });
}

#[test]
fn a_written_record_is_synced_half_a_second_later() {
    explore(|| {
        let model = Model::new();
        let log = model.open("log");
        let position = log.begin(1, Durability::Written, |_| {}).wait().unwrap();
        model.seen.wait_for(1); // from here on its time runs
        advance(Duration::from_millis(500));
        log.wait_until_durable(position, 1);
        model.committer.stop();
    });
}

#[test]
fn the_sync_of_a_written_record_is_not_put_off_by_later_ones() {
    explore(|| {
        let model = Model::new();
        let (log, other) = (model.open("log"), model.open("other"));
        let position = log.begin(1, Durability::Written, |_| {}).wait().unwrap();
        model.seen.wait_for(1);
        advance(Duration::from_millis(250));
        other.begin(2, Durability::Written, |_| {}).wait().unwrap();
        model.seen.wait_for(2);
        advance(Duration::from_millis(250));
        log.wait_until_durable(position, 1);
        model.committer.stop();
    });
}

#[test]
fn a_written_record_is_synced_in_time_while_others_are_appended() {
    explore(|| {
        let model = Model::new();
        let (log, other) = (model.open("log"), model.open("other"));
        let position = log.begin(1, Durability::Written, |_| {}).wait().unwrap();
        model.seen.wait_for(1);
        let busy = thread::spawn({
            let other = other.clone();
            move || {
                other.append(2).wait().unwrap();
                other.begin(3, Durability::Written, |_| {}).wait().unwrap();
            }
        });
        advance(Duration::from_millis(500));
        log.wait_until_durable(position, 1);
        busy.join().unwrap();
        model.committer.stop();
    });
}

#[test]
fn written_records_are_synced_when_a_committer_stops() {
    explore(|| {
        let model = Model::new();
        let log = model.open("log");
        let places = [1, 2].map(|byte| {
            let position = log.begin(byte, Durability::Written, |_| {}).wait().unwrap();
            log.place(position)
        });
        drop((model.committer, log));
        for ((path, offset), byte) in places.iter().zip([1, 2]) {
            assert!(model.disk.survives_power_cut(path, *offset, &[byte; 10]), "{byte} is lost");
        }
    });
}
