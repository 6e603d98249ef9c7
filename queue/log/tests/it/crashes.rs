//! Every short workload, a crash at every moment of it, and every disk that the crash may leave: what was
//! acknowledged is there, in order, and nothing that was never appended.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use punctual_queue_log::committer::Committer;
use punctual_queue_log::error::LogError;
use punctual_queue_log::log::{Durability, Log, Recovery};
use punctual_queue_log::position::Position;
use punctual_queue_log::record::Record;

use crate::fixture::{SMALL, Seen, begin, read_all, wait};
use crate::simulated_disk::{Image, SimulatedDisk, images};

const LOG: &str = "/data/log";

/// What is done to a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Append,
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

const STEPS: [Step; 7] = [
    Step::Append,
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
    /// When its removal began, which a record behind the last segment has to put up with.
    removed: Option<usize>,
    position: Position,
}

/// A disk and what writes to it.
struct Machine {
    disk: SimulatedDisk,
    committer: Committer,
}

impl Machine {
    fn new() -> Self {
        let disk = SimulatedDisk::default();
        let committer = Committer::start(Arc::new(disk.clone()), Arc::new(Seen::default())).unwrap();
        Self { disk, committer }
    }

    fn open(&self) -> Result<(Log, Recovery), LogError> {
        Log::open(Path::new(LOG), SMALL, &self.committer, Position::START)
    }
}

fn switched_off() -> Image {
    Image::with_dirs(&["/", "/data"])
}

/// One workload, carried out.
struct Run {
    machine: Machine,
    /// `None` once opening it failed.
    log: Option<Log>,
    appended: Vec<Appended>,
}

impl Run {
    /// Carries it out; the disk fails at its event number `fault`.
    fn of(workload: &[Step], fault: Option<usize>) -> Self {
        let machine = Machine::new();
        machine.disk.set(switched_off());
        if let Some(event) = fault {
            machine.disk.fail(event);
        }
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
            }
        }
    }

    fn step(&mut self, step: Step) {
        let Some(log) = self.log.clone() else { return };
        match step {
            Step::Append => self.append(&log, &[30], Durability::Synced),
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
        let answers: Vec<_> = records.iter().map(|bytes| begin(log, bytes, durability)).collect();
        for (bytes, answer) in records.into_iter().zip(answers) {
            let answer = wait(&answer);
            let acknowledged =
                (durability == Durability::Synced && answer.is_ok()).then(|| self.machine.disk.now());
            let position = answer.unwrap_or(Position::START);
            self.appended.push(Appended { bytes, begun, acknowledged, removed: None, position });
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

/// What must and what may be there after a crash at `moment`.
fn judge(appended: &[Appended], moment: usize, found: &[Bytes]) -> Result<(), String> {
    let mut may = appended.iter().filter(|record| record.begun < moment);
    for record in found {
        if !may.any(|appended| appended.bytes == *record) {
            return Err(format!("{} bytes of {} were not to be there", record.len(), record[0]));
        }
    }
    let must = appended.iter().filter(|record| {
        record.acknowledged.is_some_and(|at| at <= moment) && record.removed.is_none_or(|at| at >= moment)
    });
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
    let run = Run::of(workload, None);
    let events = run.machine.disk.events();
    let (found, damage) = read_all(run.log.as_ref().unwrap());
    assert_eq!(judge(&run.appended, events.len(), &found), Ok(()), "{workload:?}, without a crash");
    assert_eq!(damage, [], "{workload:?}, without a crash");
    for moment in 0..=events.len() {
        for image in images(&switched_off(), &events[..moment]) {
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

/// Hands `workloads` to as many threads as there are cores, each with a machine to look at disks on.
fn side_by_side(workloads: &[Vec<Step>], try_one: impl Fn(&[Step], &Machine) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().unwrap().get();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let machine = Machine::new();
                while let Some(workload) = workloads.get(next.fetch_add(1, Ordering::Relaxed)) {
                    try_one(workload, &machine);
                }
            });
        }
    });
}

#[test]
fn no_crash_loses_what_was_acknowledged_or_invents_anything() {
    let longest = if std::env::var_os("PUNCTUAL_TEST_FULL").is_some() { 4 } else { 3 };
    let all: Vec<_> = (1..=longest).flat_map(workloads).collect();
    let tried = Tried::default();
    side_by_side(&all, |workload, machine| crash(workload, machine, &tried));
    let [images, torn, again] =
        [&tried.images, &tried.torn, &tried.second_crashes].map(|count| count.load(Ordering::Relaxed));
    println!("{} workloads, {images} disks, {torn} of them torn, {again} second crashes", all.len());
    assert!(torn > 1_000 && again > images, "too little happened");
}

#[test]
fn a_call_that_fails_loses_nothing_that_was_acknowledged_before_or_after() {
    let all: Vec<_> = (1..=3).flat_map(workloads).collect();
    let (tried, faults) = (Tried::default(), AtomicUsize::new(0));
    side_by_side(&all, |workload, machine| {
        let events = Run::of(workload, None).machine.disk.now();
        for fault in 0..events {
            faults.fetch_add(1, Ordering::Relaxed);
            let run = Run::of(workload, Some(fault));
            let events = run.machine.disk.events();
            // Killed, and the machine goes on; or the power goes as well.
            let mut left = images(&switched_off(), &events);
            left.push(run.machine.disk.image());
            for image in left {
                machine.disk.set(image.clone());
                let (log, _) = machine.open().unwrap();
                let found = read_all(&log).0;
                if let Err(breach) = judge(&run.appended, events.len(), &found) {
                    panic!("{breach}: {workload:?} with a failure of call {fault} of {events:#?}");
                }
                live_on(&log, found, machine, &image, &tried, workload);
            }
        }
    });
    assert!(faults.into_inner() > 1_000, "too little failed");
}
