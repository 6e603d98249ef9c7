//! The overlap policies beyond `skip`, and pauses.

use super::*;

fn under(overlap: Overlap, number: u128, due: i64) -> Candidate {
    Candidate { overlap, ..a_run(number, 7, due) }
}

fn behind(overlap: Overlap, number: u128, due: i64) -> Candidate {
    Candidate { unfinished: 1, ..under(overlap, number, due) }
}

#[test]
fn with_a_limit_above_one_so_many_run_at_a_time() {
    let limited = |number, due| Candidate { max_running: 3, unfinished: 1, ..a_run(number, 7, due) };
    let three = [limited(1, 0), limited(2, 1), limited(3, 2)];
    // Whether the third is to be skipped is seen once the others are admitted.
    check(free(9), &three, &[ADMIT, ADMIT, UNCLEAR]);
    check_beside(free(9), &three, &unfinished(&[99]), &[ADMIT, ADMIT, SKIP]);
    let full = three.map(|run| Candidate { unfinished: 3, ..run });
    check_beside(free(9), &full, &unfinished(&[97, 98, 99]), &[SKIP, SKIP, SKIP]);
}

#[test]
fn queue_one_lets_one_wait_and_skips_the_others() {
    let [first, second] = [1, 2].map(|number| behind(Overlap::QueueOne, number, i64::from(number as u8)));
    check_beside(free(9), &[first.clone(), second], &unfinished(&[99]), &[BLOCK, SKIP]);
    let another = Candidate { job_blocked: true, older_blocked: true, ..first };
    check_beside(free(9), std::slice::from_ref(&another), &unfinished(&[99]), &[SKIP]);
    // Nothing is unfinished any more, and the one that waited is about to be let go.
    check(free(9), &[Candidate { unfinished: 0, ..another }], &[SKIP]);
    check(free(9), &[under(Overlap::QueueOne, 1, 0)], &[ADMIT]);
}

#[test]
fn queue_all_lets_all_wait_and_goes_on_in_due_order() {
    let all = [1, 2, 3].map(|number| behind(Overlap::QueueAll, number, 9 - i64::from(number as u8)));
    check_beside(free(9), &all, &unfinished(&[99]), &[BLOCK, BLOCK, BLOCK]);
    // The oldest is number 3.
    let free_again = all.map(|run| Candidate { unfinished: 0, ..run });
    check(free(9), &free_again, &[BLOCK, BLOCK, ADMIT]);
    check(free(0), &free_again, &[FULL, FULL, FULL]);
    let overtaking = Candidate { older_blocked: true, job_blocked: true, ..under(Overlap::QueueAll, 1, 0) };
    check(free(9), &[overtaking], &[BLOCK]);
    let urgent = Candidate { priority: priority(9), ..under(Overlap::QueueAll, 2, 5) };
    check(free(9), &[under(Overlap::QueueAll, 1, 0), urgent], &[ADMIT, FULL]);
}

#[test]
fn cancel_running_asks_the_oldest_to_end_and_waits() {
    let next = behind(Overlap::CancelRunning, 1, 0);
    let ends = check_beside(free(9), std::slice::from_ref(&next), &unfinished(&[99]), &[BLOCK]);
    assert_eq!(ends, [(99, 1, How::Cancelled)]);
    let roomy = Candidate { max_running: 2, unfinished: 2, ..next };
    let ends = check_beside(free(9), &[roomy], &unfinished(&[98, 99]), &[BLOCK]);
    assert_eq!(ends, [(98, 1, How::Cancelled)], "one place is all it needs");
}

#[test]
fn of_those_that_replace_each_other_the_youngest_is_left() {
    let two = [1, 2].map(|number| behind(Overlap::CancelRunning, number, i64::from(number as u8)));
    let ends = check_beside(free(9), &two, &unfinished(&[99]), &[Verdict::Replace(run(2)), BLOCK]);
    assert_eq!(ends, [(99, 2, How::Cancelled)]);
    for overlap in [Overlap::CancelRunning, Overlap::KillRunning] {
        let two = [1, 2].map(|number| under(overlap, number, i64::from(number as u8)));
        check(free(9), &two, &[Verdict::Replace(run(2)), ADMIT]);
    }
    // One that waits already gives way too.
    let mut standings = unfinished(&[99]);
    let waiting = a_run(50, 7, -5);
    standings.jobs.values_mut().for_each(|job| job.replaceable = vec![(waiting.age(), waiting.run)]);
    let third = Candidate { job_blocked: true, older_blocked: true, ..behind(Overlap::CancelRunning, 3, 3) };
    let ends = check_beside(free(9), &[third], &standings, &[BLOCK]);
    assert_eq!(ends, [(50, 3, How::Replaced), (99, 3, How::Cancelled)]);
}

#[test]
fn kill_running_ends_the_oldest_only_when_the_new_one_can_go() {
    let next = behind(Overlap::KillRunning, 1, 0);
    let ends = check_beside(free(1), std::slice::from_ref(&next), &unfinished(&[99]), &[ADMIT]);
    assert_eq!(ends, [(99, 1, How::Killed)]);
    assert_eq!(check_beside(free(0), &[next], &unfinished(&[99]), &[FULL]), []);
    // Three may run, four of a time with a higher limit do.
    let two = [1, 2].map(|number| Candidate {
        max_running: 3,
        unfinished: 3,
        ..under(Overlap::KillRunning, number, i64::from(number as u8))
    });
    let ends = check_beside(free(9), &two, &unfinished(&[95, 96, 97, 98]), &[ADMIT, ADMIT]);
    assert_eq!(ends, [(95, 1, How::Killed), (96, 1, How::Killed), (97, 2, How::Killed)]);
}

#[test]
fn what_falls_due_in_a_paused_task_queue_is_blocked_and_ends_nobody() {
    let paused = || QueueBudget { paused: true, ..free(9) };
    let blocked = Verdict::Block(BlockReason::TaskQueuePaused);
    check(paused(), &[a_run(1, 0, 0), a_run(2, 7, 0)], &[blocked, blocked]);
    check(paused(), &[Candidate { dispatch_seq: 2, ..a_run(1, 7, 0) }], &[blocked]);
    check_beside(paused(), &[behind(Overlap::Skip, 1, 0)], &unfinished(&[99]), &[SKIP]);
    for overlap in [Overlap::CancelRunning, Overlap::KillRunning] {
        let ends = check_beside(paused(), &[behind(overlap, 1, 0)], &unfinished(&[99]), &[blocked]);
        assert_eq!(ends, []);
    }
}

#[test]
fn below_the_floor_nothing_is_admitted() {
    let budget = QueueBudget { floor: priority(5), ..free(9) };
    let low = Candidate { priority: priority(4), ..a_run(1, 0, 0) };
    check(budget, &[low, a_run(2, 0, 1)], &[FULL, ADMIT]);
}
