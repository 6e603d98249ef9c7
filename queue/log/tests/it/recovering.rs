//! Opening again what an earlier process left.

use std::fs;

use proptest::prelude::*;
use punctual_queue_log::position::{Position, SegmentId};

use crate::fixture::{Fixture, append, read_all};

#[test]
fn an_opened_log_goes_on_where_it_ended() {
    let fixture = Fixture::new();
    let mut expected = Vec::new();
    for round in 0..10u8 {
        let (log, recovery) = fixture.open();
        assert_eq!((recovery.torn_bytes, recovery.damage.len()), (0, 0));
        for n in 0..7u8 {
            let record = vec![round * 7 + n; 40];
            append(&log, &record).unwrap();
            expected.push(record);
        }
        assert_eq!(read_all(&log).0, expected);
    }
}

#[test]
fn a_segment_cut_short_in_the_middle_is_reported_and_the_rest_is_read() {
    let fixture = Fixture::new();
    let (log, _) = fixture.open();
    for n in 0..100u8 {
        append(&log, &[n; 40]).unwrap();
    }
    drop(log);
    let second = fixture.path().join("0000000002.seg");
    let file = fs::File::options().write(true).open(&second).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(length - 60).unwrap(); // the last record and a part of the one before

    let (log, _) = fixture.open();
    let (records, damaged) = read_all(&log);
    assert_eq!(records.len(), 98);
    assert_eq!(damaged.len(), 1);
    assert_eq!(damaged[0].segment, SegmentId(2));
    assert_eq!(u64::from(damaged[0].to), length);
}

#[test]
fn a_segment_whose_making_was_interrupted_is_made_again() {
    let fixture = Fixture::new();
    let (log, _) = fixture.open();
    append(&log, b"kept").unwrap();
    drop(log);
    fs::write(fixture.path().join("0000000002.seg"), [0; 100]).unwrap();
    let (log, _) = fixture.open();
    append(&log, b"next").unwrap();
    assert_eq!(read_all(&log).0, [&b"kept"[..], b"next"]);
}

#[test]
fn a_block_of_another_segment_is_not_taken_for_this_ones() {
    let fixture = Fixture::new();
    let (log, _) = fixture.open();
    for n in 0..100u8 {
        append(&log, &[n; 40]).unwrap();
    }
    drop(log);
    let (second, third) = (fixture.path().join("0000000002.seg"), fixture.path().join("0000000003.seg"));
    let mut content = fs::read(&third).unwrap();
    let from_second = &fs::read(&second).unwrap()[32..532];
    content[32..532].copy_from_slice(from_second); // same offsets, whole frames, wrong segment
    fs::write(&third, content).unwrap();

    let (log, _) = fixture.open();
    let (records, damaged) = read_all(&log);
    let mut distinct = records.clone();
    distinct.dedup();
    assert_eq!(records, distinct, "nothing is read twice");
    assert_eq!(damaged.len(), 1);
    assert_eq!(damaged[0].segment, SegmentId(3));
}

#[test]
fn a_checkpoint_shortens_what_is_looked_at() {
    use punctual_queue_log::log::Log;

    let fixture = Fixture::new();
    let (log, _) = fixture.open();
    let mut last = Position::START;
    for n in 0..20u8 {
        last = append(&log, &[n; 10]).unwrap();
    }
    let end = log.end();
    drop(log);
    let opened = Log::open(&fixture.path(), crate::fixture::SMALL, &fixture.committer, last);
    assert_eq!(opened.unwrap().1.end, end);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever was appended, in whatever sizes and sittings, is read again and nothing else.
    #[test]
    fn any_records_come_back(
        sittings in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(any::<u8>(), 1..600), 0..12),
            1..4,
        )
    ) {
        let fixture = Fixture::new();
        let mut expected = Vec::new();
        for sitting in sittings {
            let (log, recovery) = fixture.open();
            prop_assert_eq!(recovery.torn_bytes, 0);
            for record in sitting {
                append(&log, &record).unwrap();
                expected.push(record);
            }
            prop_assert_eq!(read_all(&log).0, expected.clone());
        }
    }
}
