//! A history, sorted by what it is about.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::Options;
use crate::definitions::{Definitions, Edit, EditKind};
use crate::history::{Call, History, HistoryError, Outcome, Phase, RunRow, What};
use crate::time::{ClockMap, DbTime, Tick};
use crate::windows::Windows;

/// Everything the properties look up.
pub(crate) struct Ledger<'a> {
    pub(crate) clock: ClockMap,
    /// What falls due after this is not asked for.
    pub(crate) horizon: DbTime,
    pub(crate) jobs: BTreeMap<&'a str, Definitions>,
    pub(crate) rows: Vec<(usize, &'a RunRow)>,
    pub(crate) missed: BTreeMap<&'a str, Vec<Missed>>,
    pub(crate) requests: Vec<Request<'a>>,
    /// Runs whose cancelling was asked for.
    pub(crate) cancels: HashMap<&'a str, usize>,
    pub(crate) attempts: BTreeMap<&'a str, RunAttempts<'a>>,
    /// Heartbeats by session: sent, answered, for how long; answered ones only.
    pub(crate) renewals: HashMap<&'a str, Vec<(Tick, u64)>>,
    /// Jobs whose code reports to the witness; `""` for one-off runs.
    pub(crate) witnessed: HashMap<&'a str, bool>,
    pub(crate) faults: Windows,
    pub(crate) admission_lead: Duration,
}

/// Instants that were only counted.
pub(crate) struct Missed {
    pub(crate) line: usize,
    pub(crate) from: DbTime,
    pub(crate) to: DbTime,
    pub(crate) count: u64,
    pub(crate) at: DbTime,
}

/// A run that was asked for.
pub(crate) struct Request<'a> {
    pub(crate) line: usize,
    /// Empty for a one-off run.
    pub(crate) job: &'a str,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) outcome: Phase,
    pub(crate) run: Option<&'a str>,
}

/// What is known of one run's attempts, besides its row.
#[derive(Default)]
pub(crate) struct RunAttempts<'a> {
    /// In commit order.
    pub(crate) grants: Vec<Grant<'a>>,
    pub(crate) reports: Vec<Report>,
    /// Line, tick and attempt.
    pub(crate) starts: Vec<(usize, Tick, u32)>,
    pub(crate) ends: Vec<(usize, Tick, u32)>,
}

pub(crate) struct Grant<'a> {
    pub(crate) line: usize,
    pub(crate) ts: Tick,
    pub(crate) att: u32,
    pub(crate) session: &'a str,
    pub(crate) at: DbTime,
}

pub(crate) struct Report {
    pub(crate) line: usize,
    pub(crate) att: u32,
    pub(crate) status: Outcome,
    pub(crate) at: DbTime,
    pub(crate) ph: Phase,
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(history: &'a History, options: &Options) -> Result<Self, HistoryError> {
        let clock = ClockMap::new(history.events.iter().filter_map(|event| match event.what {
            What::Clock { db, took_ns } => Some((event.ts, took_ns, db)),
            _ => None,
        }))
        .ok_or(HistoryError::NoClock)?;
        let quiesce = history.events.iter().rev().find(|event| event.what == What::Quiesce);
        let quiesce = quiesce.ok_or(HistoryError::NoQuiesce)?.ts;
        let mut ledger = Self {
            clock,
            horizon: clock.earliest(quiesce).minus(options.settle),
            jobs: BTreeMap::new(),
            rows: Vec::new(),
            missed: BTreeMap::new(),
            requests: Vec::new(),
            cancels: HashMap::new(),
            attempts: BTreeMap::new(),
            renewals: HashMap::new(),
            witnessed: HashMap::new(),
            faults: fault_windows(history, clock, quiesce, options),
            admission_lead: options.admission_lead,
        };
        ledger.read_calls(history)?;
        ledger.read_facts(history)?;
        for run in ledger.attempts.values_mut() {
            run.grants.sort_by_key(|grant| (grant.at, grant.att));
            run.reports.sort_by_key(|report| (report.at, report.att));
        }
        Ok(ledger)
    }

    fn read_calls(&mut self, history: &'a History) -> Result<(), HistoryError> {
        let answers = answers(history)?;
        for (line, event) in lines(history) {
            let (kind, call) = match &event.what {
                What::JobPut(call) => (Some(EditKind::Put), call),
                What::JobPause(call) => (Some(EditKind::Pause), call),
                What::JobResume(call) => (Some(EditKind::Resume), call),
                What::JobDelete(call) => (Some(EditKind::Delete), call),
                What::JobTrigger(call) | What::RunCreate(call) => (None, call),
                What::RunCancel(call) => {
                    if let Some(run) = &call.run {
                        self.cancels.insert(run, line);
                    }
                    continue;
                }
                _ => continue,
            };
            if call.ph != Phase::Inv {
                continue;
            }
            // A call that was never answered is as unknown as one whose connection broke.
            let (answered, answer) = answers.get(&call.op).copied().unzip();
            let outcome = answer.map_or(Phase::Info, |answer| answer.ph);
            if call.witness {
                self.witnessed.insert(call.job.as_deref().unwrap_or(""), true);
            }
            let Some(kind) = kind else {
                self.requests.push(Request {
                    line,
                    job: call.job.as_deref().unwrap_or(""),
                    request_id: call.request_id.as_deref(),
                    outcome,
                    run: answer.and_then(|answer| answer.run.as_deref()),
                });
                continue;
            };
            let job = call.job.as_deref().ok_or(HistoryError::Incomplete { line, field: "job" })?;
            if outcome != Phase::Fail {
                let to = answered.filter(|_| outcome == Phase::Ok).map(|ts| self.clock.latest(ts));
                let from = self.clock.earliest(event.ts);
                let ver = answer.and_then(|answer| answer.ver);
                let edit = Edit { kind, line, call, from, to, ver };
                self.jobs.entry(job).or_insert_with(Definitions::new).push(&edit)?;
            }
        }
        Ok(())
    }

    fn read_facts(&mut self, history: &'a History) -> Result<(), HistoryError> {
        let mut renewals_sent: HashMap<u64, (Tick, &'a str, u64)> = HashMap::new();
        for (line, event) in lines(history) {
            let ts = event.ts;
            match &event.what {
                What::Grant { run, att, session, at } => {
                    self.attempts.entry(run).or_default().grants.push(Grant {
                        line,
                        ts,
                        att: *att,
                        session,
                        at: *at,
                    });
                }
                What::Report { run, att, status, at, ph } => self
                    .attempts
                    .entry(run)
                    .or_default()
                    .reports
                    .push(Report { line, att: *att, status: *status, at: *at, ph: *ph }),
                What::EffectStart { run, att } => {
                    self.attempts.entry(run).or_default().starts.push((line, ts, *att));
                }
                What::EffectEnd { run, att } => {
                    self.attempts.entry(run).or_default().ends.push((line, ts, *att))
                }
                What::Renew { ph: Phase::Inv, op, session, ttl_ms } => {
                    renewals_sent.insert(*op, (ts, session, *ttl_ms));
                }
                What::Renew { ph: Phase::Ok, op, .. } => {
                    let (sent, session, ttl_ms) =
                        renewals_sent.get(op).copied().ok_or(HistoryError::Orphan { line, op: *op })?;
                    self.renewals.entry(session).or_default().push((sent, ttl_ms));
                }
                What::Run(row) => self.rows.push((line, row)),
                What::Missed { job, from, to, count, at } => self
                    .missed
                    .entry(job)
                    .or_default()
                    .push(Missed { line, from: *from, to: *to, count: *count, at: *at }),
                What::Final { runs } => {
                    let found =
                        history.events.iter().filter(|event| matches!(event.what, What::Run(_))).count();
                    if *runs != found {
                        return Err(HistoryError::Cut { counted: *runs, found });
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether runs of this job (`""`: without one) should have been seen by the witness.
    pub(crate) fn is_witnessed(&self, job: &str) -> bool {
        self.witnessed.get(job).copied().unwrap_or(false)
    }

    pub(crate) fn attempts_of(&self, run: &str) -> Option<&RunAttempts<'a>> {
        self.attempts.get(run)
    }
}

fn lines(history: &History) -> impl Iterator<Item = (usize, &crate::history::Event)> {
    history.events.iter().enumerate().map(|(index, event)| (index + 1, event))
}

/// The second halves of calls, by `op`.
fn answers(history: &History) -> Result<HashMap<u64, (Tick, &Call)>, HistoryError> {
    let mut begun = HashMap::new();
    let mut answers = HashMap::new();
    for (line, event) in lines(history) {
        let (What::JobPut(call)
        | What::JobPause(call)
        | What::JobResume(call)
        | What::JobDelete(call)
        | What::JobTrigger(call)
        | What::RunCreate(call)
        | What::RunCancel(call)) = &event.what
        else {
            continue;
        };
        if call.ph == Phase::Inv {
            begun.insert(call.op, line);
        } else if begun.contains_key(&call.op) {
            answers.insert(call.op, (event.ts, call));
        } else {
            return Err(HistoryError::Orphan { line, op: call.op });
        }
    }
    Ok(answers)
}

fn fault_windows(history: &History, clock: ClockMap, quiesce: Tick, options: &Options) -> Windows {
    let mut open: HashMap<(&str, &str), Tick> = HashMap::new();
    let mut stretches = Vec::new();
    let mut close = |from: Tick, to: Tick| {
        stretches.push((clock.earliest(from), clock.latest(to).plus(options.recovery)));
    };
    for event in &history.events {
        let What::Nemesis { fault, target, on } = &event.what else { continue };
        let key = (fault.as_str(), target.as_str());
        if *on {
            open.entry(key).or_insert(event.ts);
        } else if let Some(from) = open.remove(&key) {
            close(from, event.ts);
        }
    }
    for from in open.into_values() {
        close(from, quiesce);
    }
    Windows::new(stretches)
}
