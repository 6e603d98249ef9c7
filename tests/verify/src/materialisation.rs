//! P1: every due instant becomes exactly one run.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::Options;
use crate::definitions::{Definitions, Due};
use crate::history::{Origin, RunRow, State};
use crate::ledger::{Ledger, Missed};
use crate::spec::OverlapSpec;
use crate::time::DbTime;
use crate::verdict::{Clause, Verdict};

/// An instant is missed only when it was planned later than this past its time.
const MISFIRE_AFTER: Duration = Duration::from_secs(60);

type RowsByInstant<'a> = BTreeMap<DbTime, Vec<(usize, &'a RunRow)>>;

pub(crate) fn check(ledger: &Ledger<'_>, options: &Options, verdict: &mut Verdict) {
    let mut rows: HashMap<&str, RowsByInstant<'_>> = HashMap::new();
    for (line, row) in &ledger.rows {
        if row.origin == Origin::Schedule {
            rows.entry(&row.job).or_default().entry(row.due_at).or_default().push((*line, row));
        }
    }
    for (job, definitions) in &ledger.jobs {
        let rows = rows.remove(job).unwrap_or_default();
        let missed = ledger.missed.get(job).map_or(&[][..], Vec::as_slice);
        check_job(ledger, job, definitions, &rows, missed, verdict);
    }
    for (job, rows) in rows {
        let lines = rows.values().flatten().map(|(line, _)| *line).take(3);
        verdict.add(Clause::P1b, format!("job {job} was never defined, yet has runs"), lines);
    }
    for (line, row) in &ledger.rows {
        check_start(ledger, *line, row, options, verdict);
    }
}

fn check_job(
    ledger: &Ledger<'_>,
    job: &str,
    definitions: &Definitions,
    rows: &RowsByInstant<'_>,
    missed: &[Missed],
    verdict: &mut Verdict,
) {
    // Runs are planned ahead, so rows reach past the horizon; they too must be due.
    let last_row = rows.keys().next_back().copied().unwrap_or(ledger.horizon);
    let instants = definitions.instants(last_row.max(ledger.horizon));
    let mut counted = vec![(0_u64, 0_u64); missed.len()];
    for (at, named_by) in &instants {
        let due = definitions.due_at(*at, ledger.admission_lead, named_by);
        let found = rows.get(at).map_or(&[][..], Vec::as_slice);
        let mut ranges = missed.iter().enumerate().filter(|(_, range)| (range.from..=range.to).contains(at));
        let range = ranges.next();
        if let Some((index, _)) = range {
            counted[index].0 += u64::from(due == Due::Must && found.is_empty());
            counted[index].1 += u64::from(due != Due::Not && found.is_empty());
        }
        if due == Due::Must && *at <= ledger.horizon {
            verdict.counts.due += 1;
            if found.is_empty() && range.is_none() {
                verdict.add(
                    Clause::P1a,
                    format!("{job} at {at} has neither a run nor a record"),
                    definitions.line(),
                );
            }
        }
        if let (Some((_, first)), Some((_, second))) = (range, ranges.next()) {
            let lines = [first.line, second.line];
            verdict.add(Clause::P1c, format!("{job} at {at} is counted as missed twice"), lines);
        }
    }
    for (range, (least, most)) in missed.iter().zip(counted) {
        if !(least..=most).contains(&range.count) {
            let text =
                format!("{job}: {} instants counted as missed, {least} to {most} were due", range.count);
            verdict.add(if range.count < least { Clause::P1a } else { Clause::P1b }, text, [range.line]);
        }
        if range.at < range.to.plus(MISFIRE_AFTER) {
            let text = format!("{job} at {} was given up before its time was over", range.to);
            verdict.add(Clause::P1a, text, [range.line]);
        }
    }
    for (at, found) in rows {
        let due = instants
            .get(at)
            .map_or(Due::Not, |named_by| definitions.due_at(*at, ledger.admission_lead, named_by));
        if due == Due::Not {
            let lines = found.iter().map(|(line, _)| *line);
            verdict.add(Clause::P1b, format!("{job} at {at} was not due, yet has a run"), lines);
        }
        check_unique(job, *at, found, verdict);
        for (line, row) in found {
            check_version(ledger, job, *line, row, verdict);
            check_skip_reason(job, definitions, *line, row, verdict);
        }
    }
}

fn check_unique(job: &str, at: DbTime, found: &[(usize, &RunRow)], verdict: &mut Verdict) {
    let mut first_of_shard: HashMap<u32, usize> = HashMap::new();
    for (line, row) in found {
        if let Some(first) = first_of_shard.insert(row.shard, *line) {
            verdict.add(Clause::P1c, format!("{job} at {at} has two runs"), [first, *line]);
        }
    }
}

fn check_version(ledger: &Ledger<'_>, job: &str, line: usize, row: &RunRow, verdict: &mut Verdict) {
    let newer = |ver| ledger.jobs.get(job)?.newer_in_force(ver, row.due_at, ledger.admission_lead);
    if let Some(newer) = row.ver.and_then(newer) {
        let text = format!("{job} at {} runs under a version that was replaced before", row.due_at);
        verdict.add(Clause::P1e, text, [newer, line]);
    }
}

fn check_skip_reason(job: &str, definitions: &Definitions, line: usize, row: &RunRow, verdict: &mut Verdict) {
    if row.state != State::Skipped {
        return;
    }
    let judged = row.ended_at.unwrap_or(row.due_at);
    let permitted = match row.reason.as_str() {
        "overlap" => {
            definitions.specs_between(row.due_at, judged).any(|spec| spec.overlap == OverlapSpec::Skip)
        }
        "misfire" => row.created_at >= row.due_at.plus(MISFIRE_AFTER),
        "paused" => definitions.paused.iter().any(|pause| pause.from <= judged),
        _ => false,
    };
    if !permitted {
        let text = format!(
            "{job} at {} was skipped as `{}`, which its policy does not permit",
            row.due_at, row.reason
        );
        verdict.add(Clause::P1a, text, [line]);
    }
}

fn check_start(ledger: &Ledger<'_>, line: usize, row: &RunRow, options: &Options, verdict: &mut Verdict) {
    let name = if row.job.is_empty() { &row.run } else { &row.job };
    let early = |text: &str, lines: Vec<usize>, verdict: &mut Verdict| {
        verdict.add(Clause::P1d, format!("{name} at {}: {text}", row.due_at), lines);
    };
    if row.started_at.is_some_and(|started| started < row.due_at) {
        early("started before it was due", vec![line], verdict);
    }
    if let Some(attempts) = ledger.attempts_of(&row.run) {
        for grant in attempts.grants.iter().filter(|grant| grant.at < row.due_at) {
            early("granted before it was due", vec![line, grant.line], verdict);
        }
        for (start, ts, _) in
            attempts.starts.iter().filter(|(_, ts, _)| ledger.clock.latest(*ts) < row.due_at)
        {
            let text = format!("its code ran before it was due, at {}", ledger.clock.latest(*ts));
            early(&text, vec![line, *start], verdict);
        }
    }
    let Some(allowance) = options.lateness.filter(|_| row.due_at <= ledger.horizon) else { return };
    if row.state != State::Skipped
        && let Some(started) = row.started_at
        && started > ledger.faults.after_calm(row.due_at.max(row.created_at), allowance)
    {
        let late = Duration::from_micros(started.0.abs_diff(row.due_at.0));
        let faults = if ledger.faults.is_empty() { "" } else { ", and no fault explains it" };
        early(&format!("started {late:?} late{faults}"), vec![line], verdict);
    }
}
