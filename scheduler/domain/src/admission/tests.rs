use chrono::TimeDelta;
use uuid::Uuid;

use super::*;
use crate::name::{Namespace, TaskQueue};

fn queue(name: &str) -> TaskQueuePath {
    TaskQueuePath { namespace: Namespace::default(), task_queue: TaskQueue::new(name).unwrap() }
}

/// A run of job `job` (0: none) that fell due `due` seconds after some instant.
fn a_run(number: u128, job: u128, due: i64) -> Candidate {
    let due_at = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(due);
    Candidate {
        run: RunId(Uuid::from_u128(number)),
        job: (job > 0).then(|| JobId(Uuid::from_u128(job))),
        due_at,
        run_at: due_at,
        priority: Priority::default(),
        overlap: if job > 0 { Overlap::Skip } else { Overlap::Allow },
        max_running: 1,
        dispatch_seq: 0,
        queue: queue("default"),
        kind: Kind::exec(),
        key: None,
        unfinished: 0,
        job_blocked: false,
        older_blocked: false,
    }
}

fn priority(number: u32) -> Priority {
    Priority::new(number).unwrap()
}

fn run(number: u128) -> RunId {
    RunId(Uuid::from_u128(number))
}

/// Job 7, of which these runs are unfinished.
fn unfinished(runs: &[u128]) -> Standings {
    let standing =
        JobStanding { unfinished: runs.iter().copied().map(run).collect(), replaceable: Vec::new() };
    Standings { jobs: HashMap::from([(JobId(Uuid::from_u128(7)), standing)]), ..Standings::default() }
}

const SKIP: Verdict = Verdict::Skip(SkipReason::Overlap);
const FULL: Verdict = Verdict::Wait(WaitReason::WindowFull);
const NO_WORKER: Verdict = Verdict::Wait(WaitReason::NoWorker);
const ADMIT: Verdict = Verdict::Admit { place: None };
const UNCLEAR: Verdict = Verdict::Wait(WaitReason::Unclear);
const BLOCK: Verdict = Verdict::Block(BlockReason::Overlap);

fn free(free: usize) -> QueueBudget {
    QueueBudget { free, ..QueueBudget::default() }
}

#[track_caller]
fn check(budget: QueueBudget, candidates: &[Candidate], expect: &[Verdict]) {
    let ends = check_beside(budget, candidates, &Standings::default(), expect);
    assert_eq!(ends, []);
}

/// The same with what stands in the way; answers which runs are ended for which.
#[track_caller]
fn check_beside(
    budget: QueueBudget,
    candidates: &[Candidate],
    standings: &Standings,
    expect: &[Verdict],
) -> Vec<(u128, u128, How)> {
    let Judged { judgements: judged, ends } =
        judge(candidates, &HashMap::from([(queue("default"), budget)]), standings);
    assert!(judged.iter().map(|judgement| judgement.run).eq(candidates.iter().map(|run| run.run)));
    assert_eq!(judged.iter().map(|judgement| judgement.verdict).collect::<Vec<_>>(), expect);
    ends.iter().map(|end| (end.run.0.as_u128(), end.by.0.as_u128(), end.how)).collect()
}

#[test]
fn the_window_goes_to_the_higher_priority_and_then_to_the_earlier_due() {
    let urgent = Candidate { priority: priority(6), ..a_run(3, 0, 9) };
    check(free(2), &[a_run(1, 0, 2), a_run(2, 0, 1), urgent], &[FULL, ADMIT, ADMIT]);
}

fn verdicts_of(candidates: &[Candidate], budgets: &HashMap<TaskQueuePath, QueueBudget>) -> Vec<Verdict> {
    let judged = judge(candidates, budgets, &Standings::default());
    judged.judgements.iter().map(|judged| judged.verdict).collect()
}

#[test]
fn task_queues_do_not_share_a_window() {
    let elsewhere = |number| Candidate { queue: queue("other"), ..a_run(number, 0, 0) };
    let candidates = [a_run(1, 0, 0), elsewhere(2), a_run(3, 0, 1), elsewhere(4)];
    let budgets = HashMap::from([(queue("default"), free(1)), (queue("other"), free(5))]);
    let verdicts: Vec<_> = verdicts_of(&candidates, &budgets);
    assert_eq!(verdicts, [ADMIT, ADMIT, FULL, ADMIT]);
    assert!(verdicts_of(&candidates, &HashMap::new()).iter().all(|verdict| *verdict == FULL));
}

#[test]
fn a_kind_that_no_live_worker_serves_waits_and_takes_no_place() {
    let unserved = Candidate { kind: Kind::new("rare").unwrap(), ..a_run(1, 0, 0) };
    let served = QueueBudget { kinds: Some(HashSet::from([Kind::exec()])), ..free(1) };
    check(served, &[unserved.clone(), a_run(2, 0, 1)], &[NO_WORKER, ADMIT]);
    // With no worker at all some go out, to wake an autoscaler.
    check(free(1), &[unserved, a_run(2, 0, 1)], &[ADMIT, FULL]);
}

#[test]
fn a_run_is_skipped_while_an_older_one_is_unfinished() {
    let behind = Candidate { unfinished: 1, ..a_run(1, 7, 0) };
    let both = [behind.clone(), Candidate { unfinished: 1, ..a_run(2, 7, 1) }];
    check_beside(free(9), &both, &unfinished(&[99]), &[SKIP, SKIP]);
    // Also with no place in the window: it is judged when it falls due.
    check_beside(free(0), &both, &unfinished(&[99]), &[SKIP, SKIP]);
    let beside = Candidate { overlap: Overlap::Allow, ..behind };
    check(free(9), &[beside], &[ADMIT]);
}

#[test]
fn what_depends_on_a_run_that_may_be_ending_waits() {
    for overlap in Overlap::ALL.iter().copied().filter(|overlap| *overlap != Overlap::Allow) {
        let behind = Candidate { unfinished: 1, overlap, ..a_run(1, 7, 0) };
        check(free(9), std::slice::from_ref(&behind), &[UNCLEAR]);
        let twice = Candidate { unfinished: 2, max_running: 2, ..behind };
        check_beside(free(9), &[twice], &unfinished(&[99]), &[UNCLEAR]);
    }
}

#[test]
fn of_one_job_in_one_batch_the_oldest_is_admitted_and_the_rest_skipped() {
    check(
        free(9),
        &[a_run(1, 7, 2), a_run(2, 7, 0), a_run(3, 7, 1), a_run(4, 8, 5)],
        &[SKIP, ADMIT, SKIP, ADMIT],
    );
}

#[test]
fn while_the_oldest_waits_the_younger_of_its_job_wait_too() {
    check(free(0), &[a_run(1, 7, 0), a_run(2, 7, 1)], &[FULL, FULL]);
    let unserved = Candidate { kind: Kind::new("rare").unwrap(), ..a_run(1, 7, 0) };
    let served = QueueBudget { kinds: Some(HashSet::from([Kind::exec()])), ..free(9) };
    check(served, &[unserved, a_run(2, 7, 1)], &[NO_WORKER, NO_WORKER]);
}

#[test]
fn a_younger_run_of_higher_priority_does_not_overtake_its_jobs_older_one() {
    let urgent = Candidate { priority: priority(9), ..a_run(2, 7, 1) };
    check(free(9), &[a_run(1, 7, 0), urgent], &[ADMIT, FULL]);
}

#[test]
fn a_retry_is_never_skipped_and_counts_as_unfinished() {
    let retry = Candidate { dispatch_seq: 1, ..a_run(1, 7, 0) };
    let both = [retry, Candidate { unfinished: 1, ..a_run(2, 7, 1) }];
    check_beside(free(9), &both, &unfinished(&[1]), &[ADMIT, SKIP]);
    check_beside(free(0), &both, &unfinished(&[1]), &[FULL, SKIP]);
}

#[test]
fn a_run_that_may_run_beside_others_holds_nobody_up() {
    let beside = Candidate { overlap: Overlap::Allow, kind: Kind::new("rare").unwrap(), ..a_run(1, 7, 0) };
    let served = QueueBudget { kinds: Some(HashSet::from([Kind::exec()])), ..free(9) };
    check(served, &[beside.clone(), a_run(2, 7, 1)], &[NO_WORKER, ADMIT]);
    check(free(9), &[beside, a_run(2, 7, 1)], &[ADMIT, SKIP]);
}

mod keys;
mod policies;

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn skip_never_yields_two_live_runs_and_no_window_overflows(
            runs in prop::collection::vec(
                (0..4_u128, 0..6_i64, 0..3_u32, prop::bool::weighted(0.2), 0..2_usize), 0..40
            ),
            budgets in prop::collection::vec(0..12_usize, 2),
        ) {
            let queues = [queue("default"), queue("other")];
            let mut candidates = Vec::new();
            for (index, (job, due, urgency, retry, queue)) in runs.into_iter().enumerate() {
                // A skip job has one unfinished run at most.
                let retry = retry && job > 0
                    && !candidates.iter().any(|c: &Candidate| c.dispatch_seq > 0 && c.job.map(|j| j.0.as_u128()) == Some(job));
                let candidate = Candidate {
                    priority: priority(urgency),
                    dispatch_seq: u32::from(retry),
                    queue: queues[queue].clone(),
                    ..a_run(index as u128, job, if retry { -1 } else { due })
                };
                candidates.push(candidate);
            }
            let budgets: HashMap<_, _> =
                queues.iter().cloned().zip(budgets.iter().map(|size| free(*size))).collect();
            let mut standings = Standings::default();
            let retries: Vec<_> =
                candidates.iter().filter(|run| run.is_retry()).filter_map(|run| Some((run.job?, run.run))).collect();
            for (job, retry) in retries {
                standings.jobs.entry(job).or_default().unfinished.push(retry);
                let others = candidates.iter_mut().filter(|run| run.job == Some(job) && run.run != retry);
                others.for_each(|run| run.unfinished = 1);
            }
            let judged = judge(&candidates, &budgets, &standings).judgements;
            let admitted: Vec<_> = candidates
                .iter()
                .zip(&judged)
                .filter(|(_, judged)| judged.verdict == ADMIT)
                .map(|(candidate, _)| candidate)
                .collect();
            for queue in &queues {
                let taken = admitted.iter().filter(|candidate| candidate.queue == *queue).count();
                prop_assert!(taken <= budgets[queue].free);
            }
            for (index, candidate) in admitted.iter().enumerate() {
                let twin = admitted[index + 1..].iter().find(|other| other.job == candidate.job);
                prop_assert!(candidate.job.is_none() || twin.is_none());
            }
            // What may run beside others is held up by nothing but the window.
            for (candidate, judged) in candidates.iter().zip(&judged) {
                if candidate.job.is_none() && judged.verdict != ADMIT {
                    let taken = admitted.iter().filter(|other| other.queue == candidate.queue).count();
                    prop_assert_eq!(taken, budgets[&candidate.queue].free);
                }
            }
        }
    }
}
