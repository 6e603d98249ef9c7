use super::*;

/// Who is chosen, so many times, with no chance in it.
fn turns(pool: &mut HostPool, now: Instant, count: usize) -> Vec<usize> {
    (0..count).map(|_| pool.choose(now, || 0.5)).collect()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn round_robin_asks_one_after_another_whatever_happens() {
    let (mut pool, now) = (HostPool::new(Mode::RoundRobin, 3), Instant::now());
    pool.failed(1, now);
    assert_eq!(turns(&mut pool, now, 4), [0, 1, 2, 0]);
}

#[test]
fn one_that_failed_is_left_alone_and_then_tried_once() {
    let (mut pool, start) = (HostPool::new(Mode::HostPool, 3), Instant::now());
    pool.failed(1, start);
    assert_eq!(turns(&mut pool, start, 4), [0, 2, 0, 2]);
    let later = start + FIRST_REST;
    assert_eq!(turns(&mut pool, later, 4), [0, 1, 2, 0]);
    // It failed again: twice as long.
    pool.failed(1, later);
    assert_eq!(turns(&mut pool, later + seconds(59), 3), [2, 0, 2]);
    assert_eq!(turns(&mut pool, later + seconds(60), 3), [0, 1, 2]);
    pool.succeeded(1, seconds(1), later + seconds(60));
    assert_eq!(turns(&mut pool, later + seconds(60), 4), [0, 1, 2, 0]);
}

#[test]
fn a_rest_is_no_longer_than_the_longest() {
    let (mut pool, mut now) = (HostPool::new(Mode::HostPool, 2), Instant::now());
    pool.failed(0, now);
    for _ in 0..10 {
        now += LONGEST_REST;
        assert!(turns(&mut pool, now, 2).contains(&0));
        pool.failed(0, now);
    }
}

#[test]
fn when_none_is_well_all_are_tried() {
    let (mut pool, now) = (HostPool::new(Mode::HostPool, 2), Instant::now());
    pool.failed(0, now);
    pool.failed(1, now);
    assert_eq!(turns(&mut pool, now, 3), [0, 1, 0]);
    let mut one = HostPool::new(Mode::HostPool, 1);
    one.failed(0, now);
    assert_eq!(turns(&mut one, now, 2), [0, 0]);
}

#[test]
fn a_quick_one_is_chosen_with_the_odds_of_its_speed() {
    let (mut pool, now) = (HostPool::new(Mode::EpsilonGreedy, 2), Instant::now());
    pool.succeeded(0, Duration::from_millis(30), now);
    pool.succeeded(1, Duration::from_millis(10), now);
    let counted = |pool: &mut HostPool, host: usize| {
        (0..100).filter(|i| pool.quick(now, (f64::from(*i) + 0.5) / 100.0) == Some(host)).count()
    };
    assert_eq!((counted(&mut pool, 0), counted(&mut pool, 1)), (25, 75));
    pool.failed(1, now);
    assert_eq!((counted(&mut pool, 0), counted(&mut pool, 1)), (100, 0));
}

#[test]
fn a_slow_one_is_tried_now_and_then_all_the_same_and_less_often_with_time() {
    let (mut pool, now) = (HostPool::new(Mode::EpsilonGreedy, 2), Instant::now());
    pool.succeeded(0, Duration::from_millis(1), now);
    // Nothing is known of the other, so that only exploring finds it.
    assert_eq!(turns(&mut pool, now, 3), [0, 0, 0]);
    let explored: Vec<_> = (0..4).map(|_| pool.choose(now, || 0.0)).collect();
    assert_eq!(explored, [0, 1, 0, 1]);
    for _ in 0..100 {
        pool.choose(now, || 0.0);
    }
    assert!((pool.exploration - LEAST_EXPLORATION).abs() < 1e-9);
}

#[test]
fn with_nothing_known_the_greedy_take_turns() {
    let (mut pool, now) = (HostPool::new(Mode::EpsilonGreedy, 2), Instant::now());
    assert_eq!(turns(&mut pool, now, 3), [0, 1, 0]);
}

#[test]
fn modes_are_named_as_nsqs_tools_name_them() {
    assert_eq!("round-robin".parse(), Ok(Mode::RoundRobin));
    assert_eq!("hostpool".parse(), Ok(Mode::HostPool));
    assert_eq!("epsilon-greedy".parse(), Ok(Mode::EpsilonGreedy));
    assert_eq!("fastest".parse::<Mode>(), Err(UnknownMode { given: "fastest".to_owned() }));
}
