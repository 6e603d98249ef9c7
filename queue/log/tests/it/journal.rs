//! Commits of many logs, and the journal they go through.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use punctual_queue_log::disk::RealDisk;
use punctual_queue_log::journal::{inspect, replay};
use punctual_queue_log::log::{Durability, Log};

use crate::fixture::{Fixture, append, begin, read_all, wait};
use crate::verdict::hold;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// A log of each name, with a record in it already: what makes a file is never left to the journal.
fn open_all(fixture: &Fixture) -> Vec<Log> {
    let logs: Vec<_> = NAMES.iter().map(|name| fixture.open_named(name)).collect();
    for log in &logs {
        append(log, b"first").unwrap();
    }
    logs
}

/// One commit with `record` for each log.
fn append_to_all(logs: &[Log], record: &[u8]) {
    let together = hold(&logs[0]);
    let answers: Vec<_> = logs.iter().map(|log| begin(log, record, Durability::Synced)).collect();
    drop(together);
    for answer in &answers {
        wait(answer).unwrap();
    }
}

fn journal(fixture: &Fixture) -> PathBuf {
    fixture.dir.path().join("journal")
}

/// Ends the process as a power cut does that keeps of the logs only what is before byte `kept`, but all of the journal.
fn cut_power(fixture: &Fixture, kept: u64) {
    let content = fs::read(journal(fixture)).unwrap();
    fixture.committer.stop();
    fs::write(journal(fixture), content).unwrap();
    for name in NAMES {
        let path = fixture.dir.path().join(name).join("0000000001.seg");
        fs::OpenOptions::new().write(true).open(path).unwrap().set_len(kept).unwrap();
    }
}

/// Where a log ends that has one record of five bytes.
const AFTER_FIRST: u64 = 32 + 12 + 5;

#[test]
fn a_commit_of_many_logs_is_one_sync() {
    let fixture = Fixture::journaled(3);
    let logs = open_all(&fixture);
    append_to_all(&logs, b"the journal is made");
    let before = fixture.disk.syncs();
    append_to_all(&logs, b"and used");
    assert_eq!(fixture.disk.syncs() - before, 1);
    // The news of a commit comes after its answers: of the first it has come.
    let commits = fixture.seen.commits.lock().unwrap();
    assert!(commits.iter().any(|commit| commit.journaled_logs == NAMES.len()));
}

#[test]
fn a_commit_of_few_logs_leaves_the_journal_alone() {
    let fixture = Fixture::journaled(3);
    let logs = open_all(&fixture);
    append_to_all(&logs[..2], b"second");
    assert!(!journal(&fixture).exists());
}

#[test]
fn what_only_the_journal_has_is_put_where_it_belongs() {
    let fixture = Fixture::journaled(3);
    append_to_all(&open_all(&fixture), b"second");
    cut_power(&fixture, AFTER_FIRST);
    let expected = inspect(&RealDisk, fixture.dir.path()).unwrap();
    assert_eq!((expected.commits, expected.damaged), (1, 0));
    assert_eq!(replay(&RealDisk, fixture.dir.path()).unwrap(), expected);
    assert!(!journal(&fixture).exists());
    let after = Fixture { dir: fixture.dir, ..Fixture::new() };
    for name in NAMES {
        let read = read_all(&after.open_named(name));
        assert_eq!(read, (vec![Bytes::from("first"), Bytes::from("second")], vec![]), "{name}");
    }
}

#[test]
fn a_record_too_large_to_be_copied_is_synced_where_it_stands() {
    let fixture = Fixture::journaled(3);
    let logs = open_all(&fixture);
    append_to_all(&logs, b"second");
    // These begin a segment each, and are synced for that; in the second there is room for more.
    append(&logs[0], &[1; 600]).unwrap();
    append(&logs[0], &[1; 600]).unwrap();
    let before = fixture.disk.syncs();
    append(&logs[0], &[2; 300]).unwrap();
    append(&logs[0], &[3; 1001 - 12]).unwrap();
    assert_eq!(fixture.disk.syncs() - before, 2);
    let journaled = fs::read(journal(&fixture)).unwrap();
    let has = |byte: u8| journaled.windows(100).any(|bytes| bytes == [byte; 100]);
    assert_eq!((has(2), has(3)), (true, false));
}

#[test]
fn without_room_for_a_journal_each_log_is_synced() {
    let fixture = Fixture::journaled(3);
    let logs = open_all(&fixture);
    fixture.disk.set_full(true);
    let before = fixture.disk.syncs();
    append_to_all(&logs, b"fits in the zeros");
    assert_eq!(fixture.disk.syncs() - before, NAMES.len() as u64);
    fixture.disk.set_full(false);
    append_to_all(&logs, b"and now there is room");
    assert!(journal(&fixture).exists());
}

#[test]
fn a_stop_leaves_no_journal() {
    let fixture = Fixture::journaled(3);
    append_to_all(&open_all(&fixture), b"second");
    assert!(journal(&fixture).exists());
    fixture.committer.stop();
    assert!(!journal(&fixture).exists());
}

#[test]
fn a_log_that_took_the_name_of_a_deleted_one_is_left_alone() {
    let fixture = Fixture::journaled(3);
    append_to_all(&open_all(&fixture), b"of the deleted");
    cut_power(&fixture, AFTER_FIRST);
    let dir = fixture.dir;
    fs::remove_dir_all(dir.path().join("a")).unwrap();
    fs::remove_dir_all(dir.path().join("b")).unwrap();
    let content = fs::read(dir.path().join("journal")).unwrap();
    let after = Fixture { dir, ..Fixture::new() };
    append(&after.open_named("a"), b"another").unwrap();
    fs::write(journal(&after), content).unwrap();
    replay(&RealDisk, after.dir.path()).unwrap();
    assert_eq!(read_all(&after.open_named("a")), (vec![Bytes::from("another")], vec![]));
    assert!(!after.dir.path().join("b").exists());
}

#[test]
fn a_damaged_block_is_told_and_costs_its_own_records_alone() {
    let fixture = Fixture::journaled(3);
    let logs = open_all(&fixture);
    for record in [b"second", b"third.", b"fourth", b"fifth."] {
        append_to_all(&logs, record);
    }
    cut_power(&fixture, AFTER_FIRST);
    let mut content = fs::read(journal(&fixture)).unwrap();
    content[4096 * 2 + 50] ^= 1; // in the block of the third
    fs::write(journal(&fixture), content).unwrap();
    let replayed = replay(&RealDisk, fixture.dir.path()).unwrap();
    assert_eq!((replayed.commits, replayed.damaged), (3, 1));
    assert_eq!(replayed.kept, Some(journal(&fixture).with_extension("damaged")));
    let after = Fixture { dir: fixture.dir, ..Fixture::new() };
    let (records, damage) = read_all(&after.open_named("d"));
    assert_eq!(records, ["first", "second", "fourth", "fifth."]);
    assert_eq!(damage.len(), 1);
}

#[test]
fn the_first_block_is_missed_too() {
    let fixture = Fixture::journaled(3);
    let logs = open_all(&fixture);
    append_to_all(&logs, b"second");
    append_to_all(&logs, b"third.");
    cut_power(&fixture, AFTER_FIRST);
    let mut content = fs::read(journal(&fixture)).unwrap();
    content[4096 + 50] ^= 1;
    fs::write(journal(&fixture), content).unwrap();
    let replayed = replay(&RealDisk, fixture.dir.path()).unwrap();
    assert_eq!((replayed.commits, replayed.damaged), (1, 1));
}

#[test]
fn a_segment_that_can_take_nothing_leaves_the_journal_for_a_person() {
    let fixture = Fixture::journaled(3);
    append_to_all(&open_all(&fixture), b"second");
    cut_power(&fixture, AFTER_FIRST);
    let path = fixture.dir.path().join("a").join("0000000001.seg");
    let mut segment = fs::read(&path).unwrap();
    segment[12] ^= 3;
    fs::write(&path, segment).unwrap();
    let replayed = replay(&RealDisk, fixture.dir.path()).unwrap();
    assert_eq!((replayed.commits, replayed.damaged), (1, 1));
    assert!(replayed.kept.unwrap().exists());
}

#[test]
fn behind_a_gap_stands_what_was_never_synced() {
    let fixture = Fixture::journaled(3);
    let logs = open_all(&fixture);
    for record in [b"second", b"third.", b"fourth"] {
        append_to_all(&logs, record);
    }
    cut_power(&fixture, AFTER_FIRST);
    let mut content = fs::read(journal(&fixture)).unwrap();
    content[4096 * 3 + 50] ^= 1; // nothing says that the last one had been synced
    fs::write(journal(&fixture), content).unwrap();
    let replayed = replay(&RealDisk, fixture.dir.path()).unwrap();
    assert_eq!((replayed.commits, replayed.damaged), (2, 0));
}
