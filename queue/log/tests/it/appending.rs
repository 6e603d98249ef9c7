//! Appending, reading along, and removing what is not needed.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use punctual_queue_log::error::AppendError;
use punctual_queue_log::log::{Durability, Log};
use punctual_queue_log::options::LogOptions;
use punctual_queue_log::position::Position;
use punctual_queue_log::reader::Entry;
use punctual_queue_log::record::{MAX_RECORD_BYTES, Record};

use crate::fixture::{Fixture, append, begin, read_all, wait};

#[test]
fn records_come_back_in_order_across_segments() {
    let fixture = Fixture::new();
    let (log, _) = fixture.open();
    let records: Vec<Vec<u8>> = (0..200u8).map(|n| vec![n; usize::from(n) + 1]).collect();
    let positions: Vec<_> = records.iter().map(|record| append(&log, record).unwrap()).collect();

    assert!(positions.is_sorted());
    assert!(positions.last().unwrap().segment.0 > 5, "small segments fill up");
    let (read, damaged) = read_all(&log);
    assert_eq!(read, records);
    assert_eq!(damaged, []);
}

#[test]
fn a_record_longer_than_a_segment_gets_one_of_its_own() {
    let fixture = Fixture::new();
    let (log, _) = fixture.open();
    append(&log, b"before").unwrap();
    let long = vec![7; 100_000];
    append(&log, &long).unwrap();
    append(&log, b"after").unwrap();
    assert_eq!(read_all(&log).0, [&b"before"[..], &long, b"after"]);
}

#[test]
fn large_parts_and_small_ones_are_joined() {
    let fixture = Fixture::new();
    let (log, _) =
        Log::open(&fixture.path(), LogOptions::default(), &fixture.committer, Position::START).unwrap();
    let parts = [vec![1; 10], vec![2; 9000], vec![3; 20], vec![4; 30], vec![5; 5000]];
    let (done, answer) = std::sync::mpsc::channel();
    for _ in 0..300 {
        let done = done.clone();
        let record = Record::new(parts.iter().cloned().map(Bytes::from).collect());
        log.append(record, Durability::Synced, Box::new(move |result| done.send(result).unwrap()));
    }
    for _ in 0..300 {
        wait(&answer).unwrap();
    }
    let (read, _) = read_all(&log);
    assert_eq!(read.len(), 300);
    assert!(read.iter().all(|record| *record == parts.concat()));
}

#[test]
fn empty_and_oversized_records_are_refused_and_nothing_else() {
    let fixture = Fixture::new();
    let (log, _) = fixture.open();
    let part = Bytes::from(vec![0; 1024 * 1024]);
    let oversized = Record::new(vec![part.clone(); MAX_RECORD_BYTES / part.len() + 1]);
    for bad in [Record::from(Bytes::new()), oversized] {
        let (done, answer) = mpsc::channel();
        log.append(bad, Durability::Synced, Box::new(move |result| done.send(result).unwrap_or(())));
        assert!(matches!(wait(&answer), Err(AppendError::BadLength { .. })));
    }
    append(&log, b"good").unwrap();
    assert_eq!(read_all(&log).0, [&b"good"[..]]);
}

#[test]
fn appends_that_wait_together_share_a_sync() {
    let fixture = Fixture::new();
    let (log, _) = fixture.open();
    append(&log, b"the first makes the segment").unwrap();
    let before = fixture.disk.syncs();
    let answers: Vec<_> = (0..1000).map(|n: u32| begin(&log, &n.to_be_bytes(), Durability::Synced)).collect();
    for answer in &answers {
        wait(answer).unwrap();
    }
    let syncs = fixture.disk.syncs() - before;
    assert!(syncs < 500, "{syncs} syncs for 1000 appends");
}

#[test]
fn a_written_record_is_readable_at_once_and_synced_within_a_second() {
    let fixture = Fixture::new();
    let (log, _) = fixture.open();
    append(&log, b"first").unwrap();
    let before = fixture.disk.syncs();
    let started = Instant::now();
    wait(&begin(&log, b"second", Durability::Written)).unwrap();
    assert_eq!(read_all(&log).0.len(), 2);
    while fixture.disk.syncs() == before {
        assert!(started.elapsed() < Duration::from_secs(1), "not synced after a second");
        std::thread::yield_now();
    }
}

#[test]
fn a_reader_at_the_end_goes_on_when_there_is_more() {
    let fixture = Fixture::new();
    let (log, _) = fixture.open();
    let mut reader = log.read_from(Position::START, 64);
    assert_eq!(reader.next_entry().unwrap(), None);
    for n in 0..100u8 {
        let record = [n; 30];
        let position = append(&log, &record).unwrap();
        let expected = Entry::Record { position, record: Bytes::copy_from_slice(&record) };
        assert_eq!(reader.next_entry().unwrap(), Some(expected));
        assert_eq!(reader.next_entry().unwrap(), None);
    }
}

#[test]
fn a_reader_starts_at_any_record() {
    let fixture = Fixture::new();
    let (log, _) = fixture.open();
    let positions: Vec<_> = (0..100u8).map(|n| append(&log, &[n; 30]).unwrap()).collect();
    for (n, &position) in positions.iter().enumerate() {
        let entry = log.read_from(position, 64).next_entry().unwrap();
        let record = Bytes::from(vec![n as u8; 30]);
        assert_eq!(entry, Some(Entry::Record { position, record }));
    }
}

#[test]
fn removed_segments_are_gone_and_reading_starts_behind_them() {
    let fixture = Fixture::new();
    let (log, _) = fixture.open();
    let positions: Vec<_> = (0..100u8).map(|n| append(&log, &[n; 30]).unwrap()).collect();
    let middle = positions[60];
    assert!(log.remove_segments_before(middle).unwrap() > 0);
    assert_eq!(log.first_segment(), Some(middle.segment));
    let kept = positions.iter().filter(|position| position.segment >= middle.segment).count();
    assert_eq!(read_all(&log).0.len(), kept);

    drop(log);
    let (log, _) = fixture.open();
    assert_eq!(read_all(&log).0.len(), kept);
}

#[test]
fn a_stopped_committer_completes_what_it_has_and_refuses_the_rest() {
    let fixture = Fixture::new();
    let (log, _) = fixture.open();
    let answers: Vec<_> = (0..50u8).map(|n| begin(&log, &[n], Durability::Synced)).collect();
    fixture.committer.stop();
    assert!(answers.iter().all(|answer| wait(answer).is_ok()));
    assert!(matches!(append(&log, b"late"), Err(AppendError::Stopped)));
}
