//! A log cut anywhere, and one with any bit flipped.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;

use crate::fixture::{Fixture, append, read_all};

const RECORDS: u8 = 12;

/// A log of one segment with records of growing length; returns its file, its content and where each frame ends.
fn a_log(fixture: &Fixture) -> (PathBuf, Vec<u8>, Vec<usize>) {
    let (log, _) = fixture.open();
    let mut ends = Vec::new();
    for n in 1..=RECORDS {
        append(&log, &vec![n; usize::from(n) * 3]).unwrap();
        let end = log.end();
        assert_eq!(end.segment.0, 1);
        ends.push(end.offset as usize);
    }
    let file = fixture.path().join("0000000001.seg");
    let content = fs::read(&file).unwrap();
    (file, content, ends)
}

fn record(n: usize) -> Bytes {
    vec![n as u8; n * 3].into()
}

#[test]
fn a_log_cut_at_any_byte_recovers_the_records_before_the_cut() {
    let fixture = Fixture::new();
    let (file, content, ends) = a_log(&fixture);
    for cut in 0..content.len() {
        fs::write(&file, &content[..cut]).unwrap();
        let (log, recovery) = fixture.open();
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let (records, damaged) = read_all(&log);
        let expected: Vec<_> = (1..=whole).map(record).collect();
        assert_eq!((records, damaged), (expected, vec![]), "cut at {cut}");
        let last_end = if whole > 0 { ends[whole - 1] } else { 32 };
        assert!(recovery.torn_bytes as usize <= cut.saturating_sub(last_end), "cut at {cut}");

        // What is appended now is read after it: nothing of the torn record is in the way.
        append(&log, b"next").unwrap();
        assert_eq!(read_all(&log).0.len(), whole + 1, "cut at {cut}");
    }
}

#[test]
fn a_log_whose_end_reads_as_zeros_from_any_byte_recovers_the_records_before() {
    let fixture = Fixture::new();
    let (file, content, ends) = a_log(&fixture);
    for cut in 32..content.len() {
        let mut zeroed = content.clone();
        zeroed[cut..].fill(0);
        fs::write(&file, &zeroed).unwrap();
        let (log, _) = fixture.open();
        // The bytes of a checksum may themselves be zero, so a record may survive losing its last ones.
        let whole = ends.iter().filter(|end| **end <= cut || zeroed[..**end] == content[..**end]).count();
        let expected: Vec<_> = (1..=whole).map(record).collect();
        assert_eq!(read_all(&log), (expected, vec![]), "zero from {cut}");
    }
}

#[test]
fn any_flipped_bit_costs_its_own_record_alone_and_is_noticed() {
    let fixture = Fixture::new();
    let (file, content, ends) = a_log(&fixture);
    let last = *ends.last().unwrap();
    for bit in 32 * 8..last * 8 {
        let mut flipped = content.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&file, &flipped).unwrap();
        let hit = ends.iter().filter(|end| **end <= bit / 8).count() + 1;

        let (log, recovery) = fixture.open();
        let (records, damaged) = read_all(&log);
        let expected: Vec<_> = (1..=usize::from(RECORDS)).filter(|n| *n != hit).map(record).collect();
        assert_eq!(records, expected, "bit {bit}");
        if hit == usize::from(RECORDS) {
            assert!(recovery.torn_bytes > 0, "bit {bit}"); // with nothing behind it, it is a torn end
        } else {
            assert_eq!(recovery.damage, damaged, "bit {bit}");
            assert_eq!(damaged.len(), 1, "bit {bit}");
        }
    }
}

#[test]
fn bytes_of_a_record_that_look_like_a_frame_are_not_one() {
    let fixture = Fixture::new();
    let (log, _) = fixture.open();
    append(&log, b"an ordinary record").unwrap();
    // The frame of the first record, where it would have to stand were it one itself.
    let content = fs::read(fixture.path().join("0000000001.seg")).unwrap();
    append(&log, &content[32..80].repeat(3)).unwrap();
    drop(log);
    let file = fixture.path().join("0000000001.seg");
    let mut content = fs::read(&file).unwrap();
    content[63] ^= 1; // within the second record's header: its length means nothing now
    fs::write(&file, content).unwrap();
    let (log, _) = fixture.open();
    assert_eq!(read_all(&log).0, [&b"an ordinary record"[..]]);
}
