//! Every short workload, a crash at every moment of it, and every disk that the crash may leave: what was
//! acknowledged is there, in order, and nothing that was never appended.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use bytes::Bytes;
use punctual_queue_log::error::AppendError;
use punctual_queue_log::log::{Durability, Log};
use punctual_queue_log::position::Position;
use punctual_queue_log::record::Record;

use crate::fixture::{begin, read_all, wait};
use crate::machine::{Machine, empty_disk, is_full, side_by_side};
use crate::simulated_disk::{Image, images};

/// What is done to a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Append,
    /// Four records of one commit, each as long as one of `Append`: should it fail midway, that one takes the place of
    /// the first exactly, and the second would stand behind it as if it belonged there.
    AppendTogether,
    /// Two records of one commit, the second in the next segment.
    AppendOverTheEnd,
    /// A record that gets a segment of its own.
    AppendLarge,
    /// A record that need not be synced.
    Write,
    /// The process is killed, the machine goes on.
    Reopen,
    /// All segments go that precede the last.
    RemoveOld,
    /// Of the segments that precede the last, every other record goes.
    Rewrite,
}

const STEPS: [Step; 8] = [
    Step::Append,
    Step::AppendTogether,
    Step::AppendOverTheEnd,
    Step::AppendLarge,
    Step::Write,
    Step::Reopen,
    Step::RemoveOld,
    Step::Rewrite,
];

/// A record that was appended. Moments are counted in events of the disk.
struct Appended {
    bytes: Vec<u8>,
    begun: usize,
    acknowledged: Option<usize>,
    /// It was not taken, and has not been read since.
    refused: bool,
    /// When its removal began, which a record behind the last segment has to put up with.
    removed: Option<usize>,
    position: Position,
}

/// One workload, carried out.
struct Run {
    machine: Machine,
    /// `None` once opening it failed.
    log: Option<Log>,
    appended: Vec<Appended>,
}

impl Run {
    /// Carries it out; the disk fails at the events in `faults`.
    fn of(workload: &[Step], faults: Range<usize>) -> Self {
        let machine = Machine::new();
        machine.disk.set(empty_disk());
        machine.disk.fail(faults);
        let mut run = Self { machine, log: None, appended: Vec::new() };
        run.open();
        workload.iter().for_each(|step| run.step(*step));
        run
    }

    /// What can be read then may be handed out, and must not go again.
    fn open(&mut self) {
        self.log = self.machine.open().ok().map(|(log, _)| log);
        let Some(log) = &self.log else { return };
        let (found, now) = (read_all(log).0, self.machine.disk.now());
        for appended in &mut self.appended {
            if found.iter().any(|found| *found == appended.bytes) {
                appended.acknowledged.get_or_insert(now);
                appended.refused = false;
            }
        }
    }

    fn step(&mut self, step: Step) {
        let Some(log) = self.log.clone() else { return };
        match step {
            Step::Append => self.append(&log, &[30], Durability::Synced),
            Step::AppendTogether => self.append(&log, &[30; 4], Durability::Synced),
            Step::AppendOverTheEnd => self.append(&log, &[200, 300], Durability::Synced),
            Step::AppendLarge => self.append(&log, &[2500], Durability::Synced),
            Step::Write => self.append(&log, &[30], Durability::Written),
            Step::Reopen => self.open(),
            Step::RemoveOld => self.remove_old(&log),
            Step::Rewrite => self.rewrite(&log),
        }
    }

    fn append(&mut self, log: &Log, lengths: &[usize], durability: Durability) {
        let begun = self.machine.disk.now();
        let records: Vec<_> = lengths
            .iter()
            .zip(self.appended.len() + 1..)
            .map(|(length, number)| vec![u8::try_from(number).unwrap(); *length])
            .collect();
        let together = (records.len() > 1).then(|| hold(log));
        let answers: Vec<_> = records.iter().map(|bytes| begin(log, bytes, durability)).collect();
        drop(together);
        for (bytes, answer) in records.into_iter().zip(answers) {
            let answer = wait(&answer);
            let acknowledged =
                (durability == Durability::Synced && answer.is_ok()).then(|| self.machine.disk.now());
            let refused = answer.is_err();
            let position = answer.unwrap_or(Position::START);
            self.appended.push(Appended { bytes, begun, acknowledged, refused, removed: None, position });
        }
    }

    fn remove_old(&mut self, log: &Log) {
        let (now, end) = (self.machine.disk.now(), log.end());
        // One that fails is repeated by whoever wants the room; what it did until then may last.
        let _ = log.remove_segments_before(end);
        for appended in &mut self.appended {
            if appended.position.segment < end.segment {
                appended.removed.get_or_insert(now);
            }
        }
    }

    fn rewrite(&mut self, log: &Log) {
        let (now, end) = (self.machine.disk.now(), log.end());
        for appended in &mut self.appended {
            if appended.position.segment < end.segment && is_unwanted(&appended.bytes) {
                appended.removed.get_or_insert(now);
            }
        }
        for (segment, _) in log.sealed_segments() {
            let mut keep = |_, record: Bytes| (!is_unwanted(&record)).then(|| Record::from(record));
            // One that fails leaves the segment as it was.
            if let Ok(rewritten) = log.rewrite(segment, &mut keep) {
                let _ = log.replace(&rewritten);
            }
        }
    }
}

/// Whether a rewritten segment goes without this record.
fn is_unwanted(record: &[u8]) -> bool {
    record[0].is_multiple_of(2)
}

/// Holds the committer until the result is dropped, so that what is appended meanwhile is of one commit.
fn hold(log: &Log) -> mpsc::Sender<()> {
    let (release, held) = mpsc::channel();
    // An empty record is refused by the committer's thread without a call of the disk; once that has ended, here.
    let until_released = move |refused| {
        if matches!(refused, Err(AppendError::BadLength { .. })) {
            let _ = held.recv();
        }
    };
    log.append(Record::new(Vec::new()), Durability::Written, Box::new(until_released));
    release
}

/// What must and what may be there after a crash at `moment`.
fn judge(appended: &[Appended], moment: usize, found: &[Bytes]) -> Result<(), String> {
    let acknowledged = |record: &Appended| record.acknowledged.is_some_and(|at| at <= moment);
    let begun = || appended.iter().enumerate().filter(|(_, record)| record.begun < moment);
    // What was refused may have left a part behind until the next is acknowledged; from then on it must be gone.
    let last = appended.iter().rposition(acknowledged);
    let left = |bytes: &Bytes| {
        let mut left =
            begun().filter(|(number, record)| record.refused && last.is_none_or(|last| *number > last));
        left.any(|(_, record)| record.bytes == *bytes)
    };
    let mut may = begun().filter(|(_, record)| !record.refused);
    for record in found {
        if !left(record) && !may.any(|(_, appended)| appended.bytes == *record) {
            return Err(format!("{} bytes of {} were not to be there", record.len(), record[0]));
        }
    }
    let must =
        appended.iter().filter(|record| acknowledged(record) && record.removed.is_none_or(|at| at >= moment));
    for record in must {
        if !found.iter().any(|found| *found == record.bytes) {
            return Err(format!("record {} was acknowledged and is lost", record.bytes[0]));
        }
    }
    Ok(())
}

/// How much was tried.
#[derive(Default)]
struct Tried {
    images: AtomicUsize,
    torn: AtomicUsize,
    second_crashes: AtomicUsize,
}

/// Crashes `workload` everywhere; `machine` is where the disks are looked at.
fn crash(workload: &[Step], machine: &Machine, tried: &Tried) {
    let run = Run::of(workload, 0..0);
    let events = run.machine.disk.events();
    let (found, damage) = read_all(run.log.as_ref().unwrap());
    assert_eq!(judge(&run.appended, events.len(), &found), Ok(()), "{workload:?}, without a crash");
    assert_eq!(damage, [], "{workload:?}, without a crash");
    for moment in 0..=events.len() {
        for image in images(&empty_disk(), &events[..moment]) {
            tried.images.fetch_add(1, Ordering::Relaxed);
            machine.disk.set(image.clone());
            let (log, recovery) = machine.open().unwrap();
            tried.torn.fetch_add(usize::from(recovery.torn_bytes > 0), Ordering::Relaxed);
            let found = read_all(&log).0;
            if let Err(breach) = judge(&run.appended, moment, &found) {
                panic!("{breach}: {workload:?}, crashed after {:#?}\nthat left {image:?}", &events[..moment]);
            }
            live_on(&log, found, machine, &image, tried, workload);
        }
    }
}

/// What was read once stays, and so does what is appended now, though there is a crash again.
fn live_on(
    log: &Log,
    mut found: Vec<Bytes>,
    machine: &Machine,
    image: &Image,
    tried: &Tried,
    workload: &[Step],
) {
    let next = vec![0xff; 40];
    wait(&begin(log, &next, Durability::Synced)).unwrap();
    found.push(next.into());
    assert_eq!(read_all(log).0, found, "{workload:?}, an append after {image:?}");
    let events = machine.disk.events();
    for image in images(image, &events) {
        tried.second_crashes.fetch_add(1, Ordering::Relaxed);
        machine.disk.set(image);
        assert_eq!(read_all(&machine.open().unwrap().0).0, found, "{workload:?}, after a second crash");
    }
}

/// All workloads of `length` steps.
fn workloads(length: u32) -> Vec<Vec<Step>> {
    let count = STEPS.len();
    (0..count.pow(length))
        .map(|number| (0..length).map(|place| STEPS[number / count.pow(place) % count]).collect())
        .collect()
}

#[test]
fn no_crash_loses_what_was_acknowledged_or_invents_anything() {
    let longest = if is_full() { 4 } else { 3 };
    let all: Vec<_> = (1..=longest).flat_map(workloads).collect();
    let tried = Tried::default();
    side_by_side(&all, |workload, machine| crash(workload, machine, &tried));
    let [images, torn, again] =
        [&tried.images, &tried.torn, &tried.second_crashes].map(|count| count.load(Ordering::Relaxed));
    println!("{} workloads, {images} disks, {torn} of them torn, {again} second crashes", all.len());
    assert!(torn > 1_000 && again > images, "too little happened");
}

/// Carries out `workload` with `faults`; the power goes at every moment from then on, or the process is killed in the
/// end.
fn crash_with(workload: &[Step], faults: &Range<usize>, machine: &Machine, tried: &Tried) {
    let run = Run::of(workload, faults.clone());
    let events = run.machine.disk.events();
    let last = events.len();
    let from = if workload.len() <= 2 || is_full() { faults.start.min(last) } else { last };
    let cut = (from..=last).flat_map(|moment| {
        images(&empty_disk(), &events[..moment]).into_iter().map(move |image| (moment, image))
    });
    for (moment, image) in cut.chain([(last, run.machine.disk.image())]) {
        tried.images.fetch_add(1, Ordering::Relaxed);
        machine.disk.set(image.clone());
        let (log, _) = machine.open().unwrap();
        let found = read_all(&log).0;
        if let Err(breach) = judge(&run.appended, moment, &found) {
            panic!(
                "{breach}: {workload:?} with a failure of calls {faults:?}, {moment} of {events:#?}\nleft {image:?}"
            );
        }
        live_on(&log, found, machine, &image, tried, workload);
    }
}

#[test]
fn a_call_that_fails_loses_nothing_that_was_acknowledged_before_or_after() {
    let all: Vec<_> = (1..=3).flat_map(workloads).collect();
    let (tried, faults) = (Tried::default(), AtomicUsize::new(0));
    side_by_side(&all, |workload, machine| {
        let events = Run::of(workload, 0..0).machine.disk.now();
        for (first, count) in (0..events).flat_map(|first| [(first, 1), (first, 2)]) {
            faults.fetch_add(1, Ordering::Relaxed);
            crash_with(workload, &(first..first + count), machine, &tried);
        }
    });
    let images = tried.images.into_inner();
    println!("{} workloads, {faults:?} faults, {images} disks", all.len());
    assert!(faults.into_inner() > 1_000, "too little failed");
}
