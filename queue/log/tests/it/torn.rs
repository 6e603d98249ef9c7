//! A log cut anywhere, and one with any bit flipped.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use punctual_queue_log::log::Recovery;
use punctual_queue_log::options::LogOptions;
use punctual_queue_log::position::{Position, SegmentId};
use punctual_queue_log::reader::DamagedRange;

use crate::fixture::{Fixture, append, read_all};
use crate::machine::{Machine, empty_disk, side_by_side};
use crate::simulated_disk::Image;

const SEGMENT: &str = "/data/log/0000000001.seg";
const SEGMENT_HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 12;

/// A log of one segment that is full to the last byte.
struct Whole {
    options: LogOptions,
    image: Image,
    content: Vec<u8>,
    records: Vec<Bytes>,
    /// Where each frame ends.
    ends: Vec<usize>,
}

impl Whole {
    /// With records of all lengths up to `longest`.
    fn new(segment_bytes: u32, longest: usize) -> Self {
        let options = LogOptions {
            first_segment_bytes: segment_bytes,
            max_segment_bytes: segment_bytes,
            min_zero_step_bytes: 128,
            max_zero_step_bytes: 512,
        };
        let machine = Machine::new();
        machine.disk.set(empty_disk());
        let (log, _) = machine.open_with(options).unwrap();
        let (mut records, mut ends) = (Vec::new(), Vec::new());
        let mut end = SEGMENT_HEADER_BYTES;
        while end < segment_bytes as usize {
            let left = segment_bytes as usize - end - FRAME_HEADER_BYTES;
            let length = records.len() * 37 % longest + 1;
            // The last takes all there is, lest there be no room for another.
            let length = if left < longest + FRAME_HEADER_BYTES + 1 { left } else { length };
            let record = Bytes::from(vec![(records.len() % 251) as u8 + 1; length]);
            append(&log, &record).unwrap();
            end += FRAME_HEADER_BYTES + length;
            assert_eq!((log.end().segment.0, log.end().offset as usize), (1, end));
            records.push(record);
            ends.push(end);
        }
        let image = machine.disk.image();
        let content = image.content(Path::new(SEGMENT)).to_owned();
        assert_eq!(content.len(), segment_bytes as usize);
        Self { options, image, content, records, ends }
    }

    /// Where some record in the midst of others begins.
    fn middle(&self) -> u32 {
        self.ends[self.ends.len() / 2] as u32
    }

    /// How many records lie wholly before `offset`.
    fn before(&self, offset: usize) -> usize {
        self.ends.partition_point(|end| *end <= offset)
    }

    /// Opens the log with `content` in its segment; `judge` looks at what is found. The same must be
    /// there, with one that is appended now behind it, and after the log was opened once more.
    fn check(
        &self,
        machine: &Machine,
        content: Vec<u8>,
        judge: impl FnOnce(&Recovery, &[Bytes], &[DamagedRange]),
    ) {
        machine.disk.set(self.image.clone().with_content(Path::new(SEGMENT), content));
        let (log, recovery) = machine.open_with(self.options).unwrap();
        let (mut records, damaged) = read_all(&log);
        judge(&recovery, &records, &damaged);
        let next = Bytes::from_static(b"what comes next");
        append(&log, &next).unwrap();
        records.push(next);
        let whole = (records, damaged);
        assert!(read_all(&log) == whole, "not there after an append");
        let (log, _) = machine.open_with(self.options).unwrap();
        assert!(read_all(&log) == whole, "not there when opened again");
    }
}

#[test]
fn a_log_cut_at_any_byte_recovers_the_records_before_the_cut() {
    let whole = Whole::new(64 * 1024, 400);
    let all: Vec<_> = (0..whole.content.len()).collect();
    side_by_side(&all, |&cut, machine| {
        whole.check(machine, whole.content[..cut].to_vec(), |recovery, found, damaged| {
            let kept = whole.before(cut);
            assert!(*found == whole.records[..kept], "cut at {cut}");
            assert_eq!(damaged, [], "cut at {cut}");
            let last_end = if kept > 0 { whole.ends[kept - 1] } else { SEGMENT_HEADER_BYTES };
            assert!(recovery.torn_bytes as usize <= cut.saturating_sub(last_end), "cut at {cut}");
        });
    });
}

#[test]
fn a_log_whose_end_reads_as_zeros_from_any_byte_recovers_the_records_before() {
    let whole = Whole::new(4 * 1024, 100);
    let all: Vec<_> = (SEGMENT_HEADER_BYTES..whole.content.len()).collect();
    side_by_side(&all, |&cut, machine| {
        let mut zeroed = whole.content.clone();
        zeroed[cut..].fill(0);
        // The last bytes of a checksum may themselves be zero, but no byte of a record is.
        let kept = whole.before(cut);
        whole.check(machine, zeroed, |_, found, damaged| {
            assert!(*found == whole.records[..kept], "zero from {cut}");
            assert_eq!(damaged, [], "zero from {cut}");
        });
    });
}

#[test]
fn any_flipped_bit_costs_its_own_record_alone_and_is_noticed() {
    let whole = Whole::new(64 * 1024, 400);
    let end = whole.content.len();
    let all: Vec<_> = ((end - 4096) * 8..end * 8).collect();
    side_by_side(&all, |&bit, machine| {
        let mut flipped = whole.content.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        whole.check(machine, flipped, |recovery, found, damaged| {
            let hit = whole.before(bit / 8);
            let mut expected = whole.records.clone();
            expected.remove(hit);
            assert!(found == expected, "bit {bit}");
            if hit + 1 == whole.records.len() {
                assert!(recovery.torn_bytes > 0, "bit {bit}"); // with nothing behind it, it is a torn end
            } else {
                assert_eq!(recovery.damage, damaged, "bit {bit}");
                assert_eq!(damaged.len(), 1, "bit {bit}");
            }
        });
    });
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

#[test]
fn records_behind_the_header_of_one_that_was_refused_stay_readable() {
    let machine = Machine::new();
    let fill = |image: Image, records: &[&[u8]]| {
        machine.disk.set(image);
        let log = machine.open().unwrap().0;
        records.iter().for_each(|record| _ = append(&log, record).unwrap());
        (machine.disk.image(), log.end().offset as usize)
    };
    let (first, header) = fill(empty_disk(), &[b"first"]);
    // In the same place: one long record, and short ones. Of the long one only the sector with its header is left.
    let (long, _) = fill(first.clone(), &[&[1; 200]]);
    let (short, end) = fill(first, &[&[2; 30], &[3; 30], &[4; 30]]);
    let mut content = short.content(Path::new(SEGMENT))[..end].to_vec();
    content[header..header + 20].copy_from_slice(&long.content(Path::new(SEGMENT))[header..header + 20]);

    machine.disk.set(short.with_content(Path::new(SEGMENT), content));
    let (log, _) = machine.open().unwrap();
    let mut expected = vec![&b"first"[..], &[3; 30], &[4; 30]];
    assert_eq!(read_all(&log).0, expected);
    // The file grows: now the long one would fit.
    append(&log, &[5; 100]).unwrap();
    expected.push(&[5; 100]);
    assert_eq!(read_all(&log).0, expected);
    assert_eq!(read_all(&machine.open().unwrap().0).0, expected);
}

#[test]
fn any_flipped_bit_of_a_segments_header_costs_nothing() {
    let whole = Whole::new(4 * 1024, 100);
    for bit in 0..SEGMENT_HEADER_BYTES * 8 {
        let mut flipped = whole.content.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        whole.check(&Machine::new(), flipped, |_, found, damaged| {
            assert!(*found == whole.records[..], "bit {bit}");
            assert_eq!(damaged, [], "bit {bit}");
        });
    }
}

#[test]
fn a_segment_whose_header_cannot_be_read_is_kept_and_another_begun() {
    let whole = Whole::new(4 * 1024, 100);
    let mut overwritten = whole.content.clone();
    overwritten[..SEGMENT_HEADER_BYTES].fill(0xaa);
    let machine = Machine::new();
    machine.disk.set(whole.image.clone().with_content(Path::new(SEGMENT), overwritten.clone()));
    let (log, recovery) = machine.open_with(whole.options).unwrap();
    let range = DamagedRange { segment: SegmentId(1), from: 0, to: 4 * 1024 };
    assert_eq!((recovery.torn_bytes, recovery.damage), (0, vec![range]));
    append(&log, b"next").unwrap();
    // A checkpoint in the middle of it changes nothing.
    let middle = Position { segment: SegmentId(1), offset: whole.middle() };
    for log in
        [log, machine.open_from(whole.options, Position::START), machine.open_from(whole.options, middle)]
    {
        let behind_header = DamagedRange { from: 32, ..range };
        assert_eq!(read_all(&log), (vec![Bytes::from_static(b"next")], vec![behind_header]));
    }
    assert_eq!(machine.disk.image().content(Path::new(SEGMENT)), overwritten);

    // Alone, and with a checkpoint in its middle from the start.
    machine.disk.set(whole.image.clone().with_content(Path::new(SEGMENT), overwritten.clone()));
    append(&machine.open_from(whole.options, middle), b"next").unwrap();
    assert_eq!(read_all(&machine.open_from(whole.options, middle)).0, [Bytes::from_static(b"next")]);
    assert_eq!(machine.disk.image().content(Path::new(SEGMENT)), overwritten);
}
