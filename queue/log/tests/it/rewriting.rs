//! Full segments written anew without what nobody wants, and damaged ones.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use punctual_queue_log::check::{self, SegmentReport};
use punctual_queue_log::disk::RealDisk;
use punctual_queue_log::error::LogError;
use punctual_queue_log::log::Log;
use punctual_queue_log::position::{Position, SegmentId};
use punctual_queue_log::reader::Entry;
use punctual_queue_log::record::Record;

use crate::fixture::{Fixture, append, read_all};

const RECORDS: u8 = 100;

/// A log of some segments with a hundred records; where each stands.
fn a_log(fixture: &Fixture) -> (Log, Vec<Position>) {
    let (log, _) = fixture.open();
    let positions = (0..RECORDS).map(|n| append(&log, &[n; 40]).unwrap()).collect();
    assert!(log.sealed_segments().len() >= 3);
    (log, positions)
}

fn records(wanted: impl Fn(u8) -> bool) -> Vec<Bytes> {
    (0..RECORDS).filter(|n| wanted(*n)).map(|n| vec![n; 40].into()).collect()
}

fn segment_file(fixture: &Fixture, segment: u32) -> PathBuf {
    fixture.path().join(format!("{segment:010}.seg"))
}

fn flip(path: &PathBuf, at: usize) {
    let mut content = fs::read(path).unwrap();
    content[at] ^= 4;
    fs::write(path, content).unwrap();
}

/// More of the header than could be guessed.
fn wreck_header(path: &PathBuf) {
    let mut content = fs::read(path).unwrap();
    content[..8].fill(0xff);
    fs::write(path, content).unwrap();
}

fn all_that_is_there(fixture: &Fixture) -> (usize, Vec<SegmentReport>) {
    let mut count = 0;
    let reports = check::check(&fixture.path(), &RealDisk, &mut |_, _| count += 1).unwrap();
    (count, reports)
}

#[test]
fn a_rewritten_segment_holds_what_was_kept_in_order_and_takes_less_room() {
    let fixture = Fixture::new();
    let (log, positions) = a_log(&fixture);
    let second = SegmentId(2);
    let before = fs::metadata(segment_file(&fixture, 2)).unwrap().len();
    let mut keep = |_, record: Bytes| record[0].is_multiple_of(10).then(|| Record::from(record));
    let rewritten = log.rewrite(second, &mut keep).unwrap();
    assert_eq!(read_all(&log).0, records(|_| true), "nothing changes before it is put in place");
    log.replace(&rewritten).unwrap();

    let in_second = |n: u8| positions[usize::from(n)].segment == second;
    let expected = records(|n| !in_second(n) || n % 10 == 0);
    assert_eq!(read_all(&log), (expected.clone(), vec![]));
    assert!(fs::metadata(segment_file(&fixture, 2)).unwrap().len() < before / 4);
    for n in (0..RECORDS).filter(|n| in_second(*n) && n % 10 == 0) {
        let at = rewritten.map(positions[usize::from(n)]);
        let entry = log.read_from(at, 0).next_entry().unwrap();
        assert_eq!(entry, Some(Entry::Record { position: at, record: vec![n; 40].into() }));
    }
    drop(log);
    let (log, recovery) = fixture.open();
    assert_eq!(recovery.damage, []);
    assert_eq!(read_all(&log), (expected, vec![]));
    append(&log, b"next").unwrap();
    assert_eq!(read_all(&log).0.last().unwrap(), &b"next"[..]);
}

#[test]
fn a_segment_with_nothing_to_keep_goes() {
    let fixture = Fixture::new();
    let (log, positions) = a_log(&fixture);
    let rewritten = log.rewrite(SegmentId(2), &mut |_, _| None).unwrap();
    log.replace(&rewritten).unwrap();
    assert!(!segment_file(&fixture, 2).exists());
    let expected = records(|n| positions[usize::from(n)].segment != SegmentId(2));
    assert_eq!(read_all(&log), (expected.clone(), vec![]));
    drop(log);
    assert_eq!(read_all(&fixture.open().0), (expected, vec![]));
}

#[test]
fn a_rewritten_segment_that_is_cut_short_is_noticed() {
    let fixture = Fixture::new();
    let (log, _) = a_log(&fixture);
    let mut keep = |_, record: Bytes| record[0].is_multiple_of(2).then(|| Record::from(record));
    let rewritten = log.rewrite(SegmentId(2), &mut keep).unwrap();
    log.replace(&rewritten).unwrap();
    drop(log);
    let path = segment_file(&fixture, 2);
    let length = fs::metadata(&path).unwrap().len();
    fs::File::options().write(true).open(&path).unwrap().set_len(length - 30).unwrap();
    let (_, damaged) = read_all(&fixture.open().0);
    assert_eq!(damaged.len(), 1);
    assert_eq!((damaged[0].segment, u64::from(damaged[0].to)), (SegmentId(2), length));
}

#[test]
fn a_log_whose_last_segment_was_rewritten_goes_on_in_a_new_one() {
    let fixture = Fixture::new();
    let (log, positions) = a_log(&fixture);
    let last = log.end().segment;
    let before = SegmentId(last.0 - 1);
    let rewritten = log.rewrite(before, &mut |_, record| Some(Record::from(record))).unwrap();
    log.replace(&rewritten).unwrap();
    drop(log);
    fs::remove_file(segment_file(&fixture, last.0)).unwrap(); // its name never reached the disk
    let mut expected = records(|n| positions[usize::from(n)].segment < last);
    for n in 0..40_u8 {
        let (log, _) = fixture.open();
        assert_eq!(read_all(&log), (expected.clone(), vec![]));
        append(&log, &[n; 60]).unwrap();
        expected.push(vec![n; 60].into());
    }
    assert_eq!(read_all(&fixture.open().0), (expected, vec![]));
}

#[test]
fn what_an_interrupted_rewriting_left_is_cleared() {
    let fixture = Fixture::new();
    let (log, _) = a_log(&fixture);
    let _never_put_in_place = log.rewrite(SegmentId(2), &mut |_, record| Some(Record::from(record))).unwrap();
    let left = segment_file(&fixture, 2).with_extension("new");
    assert!(left.exists());
    drop(log);
    assert_eq!(read_all(&fixture.open().0), (records(|_| true), vec![]));
    assert!(!left.exists());
}

#[test]
fn a_damaged_segment_is_not_rewritten_and_is_kept_aside_when_its_time_is_over() {
    let fixture = Fixture::new();
    let (log, _) = a_log(&fixture);
    let path = segment_file(&fixture, 2);
    flip(&path, 60);
    let damaged = fs::read(&path).unwrap();
    let refused = log.rewrite(SegmentId(2), &mut |_, record| Some(Record::from(record))).unwrap_err();
    let LogError::Damaged { range } = refused else { panic!("{refused}") };
    assert_eq!((range.segment, range.from), (SegmentId(2), 32));
    assert!(!path.with_extension("new").exists());
    assert!(log.note_damage(range));
    assert!(!log.note_damage(range), "once is enough");
    log.remove_segments_before(log.end()).unwrap();
    assert!(!path.exists() && !segment_file(&fixture, 1).exists());
    assert_eq!(fs::read(path.with_extension("damaged")).unwrap(), damaged);
}

#[test]
fn a_lone_segment_without_a_readable_header_stays_and_is_reported() {
    let fixture = Fixture::new();
    let (log, _) = fixture.open();
    append(&log, b"unreachable").unwrap();
    drop(log);
    let path = segment_file(&fixture, 1);
    wreck_header(&path);
    let (log, recovery) = fixture.open();
    assert_eq!(recovery.damage.iter().map(|range| range.segment.0).collect::<Vec<_>>(), [1]);
    append(&log, b"next").unwrap();
    assert_eq!(read_all(&log).0, [&b"next"[..]]);
    assert!(path.exists());
}

#[test]
fn a_clean_log_is_found_clean_and_a_torn_end_is_no_damage() {
    let fixture = Fixture::new();
    let (log, _) = a_log(&fixture);
    let end = log.end();
    drop(log);
    let (count, reports) = all_that_is_there(&fixture);
    assert_eq!(count, usize::from(RECORDS));
    assert!(reports.iter().all(|report| report.damage.is_empty() && report.torn_bytes == 0));
    let path = segment_file(&fixture, end.segment.0);
    let mut content = fs::read(&path).unwrap();
    content.truncate(end.offset as usize - 5);
    fs::write(&path, &content).unwrap();
    let (count, reports) = all_that_is_there(&fixture);
    assert_eq!(count, usize::from(RECORDS) - 1);
    let last = reports.last().unwrap();
    assert_eq!((last.damage.len(), last.torn_bytes), (0, 47));
    assert_eq!(fs::read(&path).unwrap(), content, "looking changes nothing");
}

#[test]
fn a_repaired_log_is_clean_and_lacks_the_damaged_records_alone() {
    let fixture = Fixture::new();
    let (log, _) = a_log(&fixture);
    let last = log.end().segment;
    drop(log);
    flip(&segment_file(&fixture, 1), 40); // a record
    wreck_header(&segment_file(&fixture, 2));
    flip(&segment_file(&fixture, last.0), 33); // the length of a record of the last segment
    let cut = segment_file(&fixture, 3);
    let length = fs::metadata(&cut).unwrap().len();
    fs::File::options().write(true).open(&cut).unwrap().set_len(length - 4).unwrap();

    let (count, reports) = all_that_is_there(&fixture);
    assert_eq!(count, usize::from(RECORDS) - 3);
    let damaged: Vec<_> = reports.iter().filter(|report| !report.damage.is_empty()).collect();
    assert_eq!(damaged.iter().map(|report| report.segment.0).collect::<Vec<_>>(), [1, 2, 3, last.0]);
    let before = read_all(&fixture.open().0).0;
    for report in damaged {
        let was = fs::read(segment_file(&fixture, report.segment.0)).unwrap();
        let aside = check::repair(&fixture.path(), &RealDisk, report).unwrap();
        assert_eq!(fs::read(aside).unwrap(), was);
    }
    let (count, reports) = all_that_is_there(&fixture);
    assert_eq!(count, usize::from(RECORDS) - 3);
    assert!(reports.iter().all(|report| report.damage.is_empty()), "{reports:?}");
    let (log, recovery) = fixture.open();
    assert_eq!(recovery.damage, []);
    assert_eq!(read_all(&log), (before, vec![]));
}
