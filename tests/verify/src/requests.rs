//! P1 for runs that were asked for: triggers and one-off runs.

use std::collections::{BTreeMap, HashMap};

use crate::history::{Origin, Phase};
use crate::ledger::Ledger;
use crate::verdict::{Clause, Verdict};

pub(crate) fn check(ledger: &Ledger<'_>, verdict: &mut Verdict) {
    let rows: HashMap<&str, usize> =
        ledger.rows.iter().map(|(line, row)| (row.run.as_str(), *line)).collect();
    check_ids(ledger, verdict);
    let mut run_of_key: HashMap<(&str, &str), (&str, usize)> = HashMap::new();
    let mut accepted: HashMap<&str, usize> = HashMap::new();
    for request in ledger.requests.iter().filter(|request| request.outcome == Phase::Ok) {
        let Some(run) = request.run else { continue };
        accepted.insert(run, request.line);
        if !rows.contains_key(run) {
            verdict.add(Clause::P1a, format!("run {run} was promised and does not exist"), [request.line]);
        }
        if let Some(key) = request.request_id
            && let Some((other, line)) = run_of_key.insert((request.job, key), (run, request.line))
            && other != run
        {
            verdict.add(Clause::P1c, format!("one request, {key}, made two runs"), [line, request.line]);
        }
    }
    // What nobody was promised must be the work of a request of unknown outcome; each makes one run at most.
    let mut unknown: HashMap<&str, usize> = HashMap::new();
    for request in ledger.requests.iter().filter(|request| request.outcome == Phase::Info) {
        *unknown.entry(request.job).or_default() += 1;
    }
    let mut unpromised: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (line, row) in &ledger.rows {
        // The others follow from a schedule, a backfill, or the end of another run.
        if matches!(row.origin, Origin::Trigger | Origin::OneOff) && !accepted.contains_key(row.run.as_str())
        {
            unpromised.entry(&row.job).or_default().push(*line);
        }
    }
    for (job, lines) in unpromised {
        let explained = unknown.get(job).copied().unwrap_or(0);
        if lines.len() > explained {
            let job = if job.is_empty() { "no job" } else { job };
            let text = format!("{} runs of {job} that nobody asked for", lines.len() - explained);
            verdict.add(Clause::P1b, text, lines.into_iter().take(3));
        }
    }
}

/// A run is one row.
fn check_ids(ledger: &Ledger<'_>, verdict: &mut Verdict) {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (line, row) in &ledger.rows {
        if let Some(first) = seen.insert(&row.run, *line) {
            verdict.add(Clause::P1c, format!("run {} is there twice", row.run), [first, *line]);
        }
    }
}
