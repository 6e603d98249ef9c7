//! Places under concurrency keys.

use super::*;

fn keyed(number: u128, due: i64, limit: u32) -> Candidate {
    Candidate { key: Some(KeyClaim { key: "k".to_owned(), limit }), ..a_run(number, 0, due) }
}

fn standing(held: &[(u32, u128)], seen: &[u32], ahead: &[Candidate]) -> Standings {
    let path = keyed(1, 0, 1).key_path().unwrap();
    let standing = KeyStanding {
        held: held.iter().map(|(place, number)| (*place, run(*number))).collect(),
        seen: seen.to_vec(),
        ahead: ahead.iter().map(Candidate::age).collect(),
    };
    Standings { keys: HashMap::from([(path, standing)]), ..Standings::default() }
}

fn place(number: u32) -> Verdict {
    Verdict::Admit { place: Some(number) }
}

const BLOCK: Verdict = Verdict::Block(BlockReason::ConcurrencyKey);

#[test]
fn places_are_given_in_due_order_and_the_rest_is_blocked() {
    let three = [keyed(1, 3, 2), keyed(2, 1, 2), keyed(3, 2, 2)];
    check_beside(free(9), &three, &standing(&[], &[], &[]), &[BLOCK, place(1), place(2)]);
    check_beside(free(9), &three, &standing(&[(1, 99)], &[1], &[]), &[BLOCK, place(2), BLOCK]);
    check_beside(free(9), &three, &standing(&[(1, 98), (2, 99)], &[1, 2], &[]), &[BLOCK, BLOCK, BLOCK]);
}

#[test]
fn nobody_overtakes_an_older_run_that_waits_for_a_place() {
    let older = keyed(90, 0, 1);
    check_beside(free(9), &[keyed(1, 1, 1)], &standing(&[], &[], std::slice::from_ref(&older)), &[BLOCK]);
    check_beside(free(9), &[keyed(1, -1, 1)], &standing(&[], &[], std::slice::from_ref(&older)), &[place(1)]);
    check_beside(free(9), &[keyed(1, 1, 2)], &standing(&[], &[], &[older]), &[place(1)]);
    // The older one is in the batch, and is judged after the one of higher priority.
    let urgent = Candidate { priority: priority(9), ..keyed(2, 1, 1) };
    check_beside(free(9), &[keyed(1, 0, 1), urgent], &standing(&[], &[], &[]), &[place(1), BLOCK]);
    check_beside(free(0), &[keyed(1, 0, 1), keyed(2, 1, 1)], &standing(&[], &[], &[]), &[FULL, BLOCK]);
}

#[test]
fn a_place_that_may_be_given_back_now_is_waited_for() {
    check_beside(free(9), &[keyed(1, 0, 1)], &standing(&[], &[1], &[]), &[UNCLEAR]);
    check_beside(free(9), &[keyed(1, 0, 2)], &standing(&[], &[1], &[]), &[place(2)]);
    check(free(9), &[keyed(1, 0, 1)], &[UNCLEAR]);
}

#[test]
fn a_retry_has_its_place() {
    check(free(9), &[Candidate { dispatch_seq: 1, ..keyed(1, 0, 1) }], &[ADMIT]);
}

#[test]
fn places_beyond_a_lowered_limit_count() {
    let held = [(7, 98), (8, 99)];
    check_beside(free(9), &[keyed(1, 0, 2)], &standing(&held, &[7, 8], &[]), &[BLOCK]);
    check_beside(free(9), &[keyed(1, 0, 3)], &standing(&held, &[7, 8], &[]), &[place(1)]);
}

#[test]
fn a_run_takes_the_place_of_the_one_that_is_ended_for_it() {
    let next = Candidate {
        job: Some(JobId(Uuid::from_u128(7))),
        overlap: Overlap::KillRunning,
        unfinished: 1,
        ..keyed(1, 0, 1)
    };
    let standings = Standings { jobs: unfinished(&[99]).jobs, ..standing(&[(1, 99)], &[1], &[]) };
    let ends = check_beside(free(9), &[next, keyed(2, 1, 1)], &standings, &[place(1), BLOCK]);
    assert_eq!(ends, [(99, 1, How::Killed)]);
}
