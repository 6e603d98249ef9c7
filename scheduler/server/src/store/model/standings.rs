//! What stands in the way of due runs. Nothing here is ever in the hands of somebody else.

use std::collections::{HashMap, HashSet};

use punctual_scheduler_domain::admission::{Candidate, JobStanding, KeyStanding, Standings};
use punctual_scheduler_domain::concurrency::{KeyClaim, KeyPath};
use punctual_scheduler_domain::id::{JobId, RunId};
use punctual_scheduler_domain::job::Overlap;
use punctual_scheduler_domain::run::RunState;

use super::live::LiveRun;
use super::state::State;
use crate::store::DueLane;

/// A due run, with what is known of its job.
pub(super) fn candidate(state: &State, lane: &DueLane, run: &LiveRun) -> Candidate {
    let bound = run.overlap != Overlap::Allow;
    let others = || {
        let others = run.job().filter(|_| bound).into_iter().flat_map(|job| state.live.of_job(job));
        others.filter(|other| other.id != run.id)
    };
    let most = usize::try_from(run.max_running).unwrap_or(usize::MAX);
    let unfinished = others().filter(|other| other.is_unfinished()).take(most).count();
    Candidate {
        run: run.id,
        job: run.job(),
        due_at: run.due_at,
        run_at: run.run_at,
        priority: lane.priority,
        overlap: run.overlap,
        max_running: run.max_running,
        dispatch_seq: run.dispatch_seq,
        queue: lane.queue(),
        kind: lane.kind.clone(),
        key: run.key.as_ref().map(|key| KeyClaim { key: key.path.key.clone(), limit: key.limit }),
        unfinished: u32::try_from(unfinished).unwrap_or(u32::MAX),
        job_blocked: others().any(LiveRun::is_blocked_in_job),
        older_blocked: others().any(|other| other.is_blocked_in_job() && other.age() < run.age()),
    }
}

/// What the candidates are judged on.
pub(super) fn of(state: &State, candidates: &[Candidate]) -> Standings {
    let jobs: HashSet<JobId> =
        candidates.iter().filter(|run| run.needs_standing()).filter_map(|run| run.job).collect();
    let batch: HashSet<RunId> = candidates.iter().map(|run| run.run).collect();
    let keys: HashMap<KeyPath, u32> = candidates.iter().fold(HashMap::new(), |mut keys, run| {
        if let Some((path, claim)) = run.key_path().zip(run.key.as_ref()) {
            let places = keys.entry(path).or_insert(0);
            *places = claim.limit.max(*places);
        }
        keys
    });
    Standings {
        jobs: jobs.into_iter().map(|job| (job, of_job(state, job))).collect(),
        keys: keys
            .into_iter()
            .map(|(path, places)| {
                let standing = of_key(state, &path, places, &batch);
                (path, standing)
            })
            .collect(),
    }
}

fn of_job(state: &State, job: JobId) -> JobStanding {
    let mut unfinished: Vec<_> =
        state.live.of_job(job).filter(|run| run.is_unfinished()).map(|run| (run.age(), run.id)).collect();
    unfinished.sort_unstable();
    let gives_way =
        |run: &&LiveRun| run.dispatch_seq == 0 && run.state == RunState::Blocked && run.overlap.replaces();
    JobStanding {
        unfinished: unfinished.into_iter().map(|(_, run)| run).collect(),
        replaceable: state.live.of_job(job).filter(gives_way).map(|run| (run.age(), run.id)).collect(),
    }
}

fn of_key(state: &State, path: &KeyPath, places: u32, batch: &HashSet<RunId>) -> KeyStanding {
    let held: Vec<_> =
        state.live.of_key(path).filter_map(|run| Some((run.key.as_ref()?.place?, run.id))).collect();
    let in_line = state.live.of_key(path).filter(|run| !batch.contains(&run.id) && run.is_in_line(state.now));
    KeyStanding {
        seen: held.iter().map(|(place, _)| *place).collect(),
        held,
        ahead: in_line.map(LiveRun::age).take(usize::try_from(places).unwrap_or(usize::MAX)).collect(),
    }
}
