//! As `crashes`, with two logs whose commits go through a journal: every short workload, a crash at every moment of it,
//! and every disk that the crash may leave.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use punctual_queue_log::committer::Committer;
use punctual_queue_log::journal::{Journal, JournalOptions, replay};
use punctual_queue_log::log::{Durability, Log};
use punctual_queue_log::position::{Position, SegmentId};
use punctual_queue_log::reader::DamagedRange;
use punctual_queue_log::record::Record;

use crate::fixture::{SMALL, Seen, begin, read_all, wait};
use crate::machine::{Machine, empty_disk, is_full, side_by_side};
use crate::simulated_disk::{Image, SimulatedDisk, images};
use crate::verdict::{Appended, hold, judge};

const DATA: &str = "/data";
const LOGS: usize = 2;

/// Every commit goes through it, and the third finds no room and begins it anew.
const JOURNAL: JournalOptions =
    JournalOptions { from_logs: 1, max_batch_bytes: 400, max_bytes: 5 * 4096, zero_step_bytes: 64 };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// A record for each log, in one commit.
    AppendToBoth,
    /// Three commits of that kind.
    Fill,
    /// One for the first log.
    Append,
    /// One for the first log that need not be synced.
    Write,
    /// Two for the first log, the second in its next segment.
    AppendOverTheEnd,
    /// One for the first log that is too large for the journal, and one for the second, in one commit.
    AppendLarge,
    /// The process is killed, the machine goes on.
    Reopen,
    /// Of the first log's segments that precede the last, every other record goes.
    Rewrite,
    /// The first log's segments that precede the last go.
    RemoveOld,
}

const STEPS: [Step; 9] = [
    Step::AppendToBoth,
    Step::Fill,
    Step::Append,
    Step::Write,
    Step::AppendOverTheEnd,
    Step::AppendLarge,
    Step::Reopen,
    Step::Rewrite,
    Step::RemoveOld,
];

/// A process that has both logs open.
struct Process {
    disk: SimulatedDisk,
    logs: [Log; LOGS],
    _committer: Committer,
}

/// One workload, carried out.
struct Run {
    disk: SimulatedDisk,
    /// `None` once it could not start.
    process: Option<Process>,
    appended: [Vec<Appended>; LOGS],
    is_faultless: bool,
    /// The moment from which on the workload is carried out.
    ready: usize,
}

impl Process {
    fn start(disk: &SimulatedDisk) -> Option<Self> {
        let disk = disk.attach();
        let shared: Arc<SimulatedDisk> = Arc::new(disk.clone());
        let (journal, _) = Journal::open(shared.clone(), Path::new(DATA), JOURNAL).ok()?;
        let committer = Committer::start(shared, Some(journal), Arc::new(Seen::default())).unwrap();
        let logs = open(&committer)?;
        Some(Self { disk, logs, _committer: committer })
    }
}

fn log_dir(number: usize) -> PathBuf {
    Path::new(DATA).join(number.to_string())
}

fn open(committer: &Committer) -> Option<[Log; LOGS]> {
    let open = |number| Log::open(&log_dir(number), SMALL, committer, Position::START).ok();
    let [first, second] = [0, 1].map(open);
    Some([first?.0, second?.0])
}

impl Run {
    /// Carries it out; the disk fails at the events in `faults`.
    fn of(workload: &[Step], faults: Range<usize>) -> Self {
        let disk = SimulatedDisk::default();
        disk.set(empty_disk());
        let is_faultless = faults.is_empty();
        disk.fail(faults);
        let mut run = Self { disk, process: None, appended: Default::default(), is_faultless, ready: 0 };
        // Two logs that have a segment each, before the journal is begun.
        [Step::Reopen, Step::AppendToBoth, Step::Reopen].iter().for_each(|step| run.step(*step));
        run.ready = run.disk.now();
        workload.iter().for_each(|step| run.step(*step));
        run.kill();
        run
    }

    fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.disk.kill();
        }
    }

    /// What can be read then may be handed out, and must not go again.
    fn reopen(&mut self) {
        self.kill();
        self.process = Process::start(&self.disk);
        let Some(process) = &self.process else { return };
        let now = self.disk.now();
        for (log, appended) in process.logs.iter().zip(&mut self.appended) {
            let found = read_all(log).0;
            for appended in appended.iter_mut().filter(|appended| found.contains(&bytes(appended))) {
                appended.acknowledged.get_or_insert(now);
                appended.refused = false;
            }
        }
    }

    fn step(&mut self, step: Step) {
        let small = (30, Durability::Synced);
        match step {
            Step::AppendToBoth => self.append(&[(0, small), (1, small)]),
            Step::Fill => (0..3).for_each(|_| self.append(&[(0, small), (1, small)])),
            Step::Append => self.append(&[(0, small)]),
            Step::Write => self.append(&[(0, (30, Durability::Written))]),
            Step::AppendOverTheEnd => {
                self.append(&[(0, (200, Durability::Synced)), (0, (300, Durability::Synced))]);
            }
            Step::AppendLarge => self.append(&[(0, (401, Durability::Synced)), (1, small)]),
            Step::Reopen => self.reopen(),
            Step::Rewrite => self.rewrite(),
            Step::RemoveOld => self.remove_old(),
        }
    }

    fn append(&mut self, appends: &[(usize, (usize, Durability))]) {
        let Some(process) = &self.process else { return };
        let begun = self.disk.now();
        let together = (appends.len() > 1).then(|| hold(&process.logs[0]));
        let mut begin_one = |(log, (length, durability)): &(usize, (usize, Durability))| {
            let bytes = vec![u8::try_from(self.appended[*log].len() + 1).unwrap(); *length];
            let answer = begin(&process.logs[*log], &bytes, *durability);
            let (acknowledged, removed, position) = (None, None, Position::START);
            let appended = Appended { bytes, begun, acknowledged, refused: false, removed, position };
            self.appended[*log].push(appended);
            (*log, self.appended[*log].len() - 1, *durability, answer)
        };
        let begun: Vec<_> = appends.iter().map(&mut begin_one).collect();
        drop(together);
        for (log, number, durability, answer) in begun {
            let answer = wait(&answer);
            let appended = &mut self.appended[log][number];
            appended.acknowledged =
                (durability == Durability::Synced && answer.is_ok()).then(|| self.disk.now());
            appended.refused = answer.is_err();
            appended.position = answer.unwrap_or(Position::START);
        }
    }

    fn rewrite(&mut self) {
        let is_unwanted = |first: u8| first.is_multiple_of(2);
        let Some(process) = &self.process else { return };
        let (log, now) = (&process.logs[0], self.disk.now());
        let end = log.end().segment;
        let old = self.appended[0].iter_mut().filter(|appended| appended.position.segment < end);
        let unwanted = old.filter(|appended| is_unwanted(appended.bytes[0]));
        unwanted.for_each(|appended| appended.removed = appended.removed.or(Some(now)));
        for (segment, _) in log.sealed_segments() {
            let mut keep = |_, record: Bytes| (!is_unwanted(record[0])).then(|| Record::from(record));
            // One that fails leaves the segment as it was.
            if let Ok(rewritten) = log.rewrite(segment, &mut keep) {
                let _ = log.replace(&rewritten);
            }
        }
    }

    fn remove_old(&mut self) {
        let Some(process) = &self.process else { return };
        let (log, now) = (&process.logs[0], self.disk.now());
        let end = log.end();
        let old = self.appended[0].iter_mut().filter(|appended| appended.position.segment < end.segment);
        old.for_each(|appended| appended.removed = appended.removed.or(Some(now)));
        // One that fails is repeated by whoever wants the room.
        let _ = log.remove_segments_before(end);
    }
}

/// Whether something is taken for damaged that stands before what was acknowledged by `moment`: nothing was.
fn is_damaged(appended: &[Appended], moment: usize, damage: &[DamagedRange]) -> bool {
    let acknowledged = appended.iter().filter(|record| {
        record.acknowledged.is_some_and(|at| at <= moment) && record.position.segment > SegmentId(0)
    });
    let last = acknowledged.map(|record| record.position).max();
    damage.iter().any(|range| Some(Position { segment: range.segment, offset: range.from }) < last)
}

fn bytes(appended: &Appended) -> Bytes {
    Bytes::copy_from_slice(&appended.bytes)
}

#[derive(Default)]
struct Tried {
    images: AtomicUsize,
    replays: AtomicUsize,
}

/// Looks at `image`, a crash at `moment` of `run` left it: reads both logs, appends to them, and crashes again.
fn look(run: &Run, moment: usize, image: &Image, machine: &Machine, tried: &Tried) -> Result<(), String> {
    machine.disk.set(image.clone());
    let replayed = replay(&machine.disk, Path::new(DATA)).map_err(|e| e.to_string())?;
    tried.images.fetch_add(1, Ordering::Relaxed);
    tried.replays.fetch_add(usize::from(replayed.commits > 0), Ordering::Relaxed);
    let logs = open(machine.committer()).ok_or("cannot be opened")?;
    let mut found: Vec<Vec<Bytes>> = Vec::new();
    for (log, appended) in logs.iter().zip(&run.appended) {
        let (records, damage) = read_all(log);
        judge(appended, moment, &records)?;
        if run.is_faultless && is_damaged(appended, moment, &damage) {
            return Err(format!("nothing was damaged: {damage:?}"));
        }
        found.push(records);
    }
    if replayed.damaged > 0 {
        return Err(format!("nothing was damaged: {replayed:?}"));
    }
    for (log, found) in logs.iter().zip(&mut found) {
        let next = vec![0xff; 40];
        wait(&begin(log, &next, Durability::Synced)).map_err(|e| e.to_string())?;
        found.push(next.into());
    }
    for image in images(image, &machine.disk.events()) {
        machine.disk.set(image);
        replay(&machine.disk, Path::new(DATA)).map_err(|e| e.to_string())?;
        let logs = open(machine.committer()).ok_or("cannot be opened")?;
        let again: Vec<_> = logs.iter().map(|log| read_all(log).0).collect();
        if again != found {
            return Err(format!("after a second crash {again:?} of {found:?}"));
        }
    }
    Ok(())
}

fn workloads(length: u32) -> Vec<Vec<Step>> {
    let count = STEPS.len();
    (0..count.pow(length))
        .map(|number| (0..length).map(|place| STEPS[number / count.pow(place) % count]).collect())
        .collect()
}

/// Carries out `workload` with `faults` and lets the power go at every moment `from` on.
fn crash(workload: &[Step], faults: Range<usize>, machine: &Machine, tried: &Tried) {
    let run = Run::of(workload, faults.clone());
    let events = run.disk.events();
    let last = events.len();
    let from = match workload.len() {
        1 => 0,
        _ if faults.is_empty() => run.ready,
        _ if is_full() => faults.start.min(last),
        _ => last,
    };
    for moment in from..=last {
        for image in images(&empty_disk(), &events[..moment]) {
            if let Err(breach) = look(&run, moment, &image, machine, tried) {
                panic!(
                    "{breach}: {workload:?} with a failure of calls {faults:?}, crashed after {:#?}\nthat left {image:?}",
                    &events[..moment]
                );
            }
        }
    }
}

#[test]
fn no_crash_loses_what_the_journal_alone_had() {
    let longest = if is_full() { 3 } else { 2 };
    let mut all: Vec<_> = (1..=longest).flat_map(workloads).collect();
    let rewritten = workloads(2).into_iter().filter(|workload| workload.contains(&Step::AppendOverTheEnd));
    all.extend(rewritten.map(|workload| [workload, vec![Step::Rewrite]].concat()));
    let tried = Tried::default();
    side_by_side(&all, |workload, machine| crash(workload, 0..0, machine, &tried));
    println!("{} workloads, {:?} disks, {:?} with a journal", all.len(), tried.images, tried.replays);
    assert!(tried.replays.into_inner() > 1_000, "too little was in a journal");
}

#[test]
fn a_call_that_fails_loses_nothing_that_the_journal_has() {
    let longest = if is_full() { 2 } else { 1 };
    let all: Vec<_> = (1..=longest).flat_map(workloads).collect();
    let (tried, faults) = (Tried::default(), AtomicUsize::new(0));
    side_by_side(&all, |workload, machine| {
        let events = Run::of(workload, 0..0).disk.now();
        for first in 0..events {
            faults.fetch_add(1, Ordering::Relaxed);
            crash(workload, first..first + 1, machine, &tried);
        }
    });
    println!("{} workloads, {faults:?} faults, {:?} disks", all.len(), tried.images);
    assert!(faults.into_inner() > 100, "too little failed");
}
