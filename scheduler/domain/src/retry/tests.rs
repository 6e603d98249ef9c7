use proptest::prelude::*;

use super::*;

fn policy(initial_ms: u64, factor: f64, cap_ms: u64, jitter: bool) -> RetryPolicy {
    let backoff = Backoff::Exponential {
        initial: Duration::from_millis(initial_ms),
        factor,
        cap: Duration::from_millis(cap_ms),
    };
    RetryPolicy {
        max_tries: RetryPolicy::MOST_TRIES,
        backoff,
        jitter,
        non_retryable: vec!["bad_input".to_owned()],
    }
}

#[track_caller]
fn check(policy: &RetryPolicy, tries_used: u32, random: f64, delay_ms: u64) {
    let decision = policy.after(tries_used, &AttemptReport::default(), random);
    assert_eq!(decision, RetryDecision::Retry { delay: Duration::from_millis(delay_ms) });
}

#[test]
fn the_wait_grows_by_the_factor_up_to_the_cap() {
    let steady = policy(1_000, 2.0, 300_000, false);
    for (tries_used, delay_ms) in
        [(1, 1_000), (2, 2_000), (3, 4_000), (9, 256_000), (10, 300_000), (999, 300_000)]
    {
        check(&steady, tries_used, 0.3, delay_ms);
    }
    check(&policy(500, 1.0, 60_000, false), 700, 0.3, 500);
    check(&policy(0, 10.0, 60_000, false), 700, 0.3, 0);
}

fn with(backoff: Backoff, jitter: bool) -> RetryPolicy {
    RetryPolicy { backoff, jitter, ..policy(1, 1.0, 1, jitter) }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn every_kind_of_back_off_waits_as_it_says() {
    let fixed = with(Backoff::Fixed(ms(750)), false);
    let linear = with(Backoff::Linear { initial: ms(500), increment: ms(250), cap: ms(1_400) }, false);
    let list = with(Backoff::List(vec![ms(100), ms(0), ms(9_000)]), false);
    for (tries_used, waits) in [
        (1, [750, 500, 100]),
        (2, [750, 750, 0]),
        (3, [750, 1_000, 9_000]),
        (4, [750, 1_250, 9_000]),
        (5, [750, 1_400, 9_000]),
        (999, [750, 1_400, 9_000]),
    ] {
        for (policy, wait) in [&fixed, &linear, &list].into_iter().zip(waits) {
            check(policy, tries_used, 0.3, wait);
        }
    }
    check(&with(Backoff::Fixed(ms(1_000)), true), 5, 0.25, 250);
}

#[test]
fn the_bounds_of_every_kind_of_back_off_are_named() {
    let week = RetryPolicy::MOST_DELAY;
    let long = week + ms(1);
    for (backoff, fields) in [
        (Backoff::Fixed(week), vec![]),
        (Backoff::Fixed(long), vec!["fixed"]),
        (Backoff::Linear { initial: ms(0), increment: ms(0), cap: week }, vec![]),
        (
            Backoff::Linear { initial: ms(2), increment: long, cap: ms(1) },
            vec!["linear.increment", "linear.initial"],
        ),
        (Backoff::List(vec![week; 100]), vec![]),
        (Backoff::List(vec![]), vec!["list.delays"]),
        (Backoff::List(vec![ms(1); 101]), vec!["list.delays"]),
        (Backoff::List(vec![ms(1), long]), vec!["list.delays[1]"]),
    ] {
        let errors = with(backoff.clone(), true).validate().err().unwrap_or_default();
        let found: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(found, fields, "{backoff:?}");
    }
}

#[test]
fn jitter_takes_a_random_part_of_the_whole_wait() {
    let jittered = policy(1_000, 2.0, 300_000, true);
    check(&jittered, 3, 0.0, 0);
    check(&jittered, 3, 0.25, 1_000);
    check(&jittered, 3, 1.0, 4_000);
}

#[test]
fn a_wait_asked_for_wins_over_the_policy_and_is_capped() {
    let jittered = policy(1_000, 2.0, 300_000, true);
    let asked = |wait| AttemptReport { retry_after: Some(wait), ..AttemptReport::default() };
    let hour = Duration::from_secs(3_600);
    assert_eq!(jittered.after(1, &asked(hour), 0.1), RetryDecision::Retry { delay: hour });
    let forever = jittered.after(1, &asked(Duration::MAX), 0.1);
    assert_eq!(forever, RetryDecision::Retry { delay: RetryPolicy::MOST_DELAY });
}

#[test]
fn some_errors_are_not_retried() {
    let policy = policy(1_000, 2.0, 300_000, false);
    let of_kind = AttemptReport { error_kind: "bad_input".to_owned(), ..AttemptReport::default() };
    let reason = GiveUp::NonRetryableKind("bad_input".to_owned());
    assert_eq!(reason.to_string(), "an error of kind `bad_input` is not retried");
    assert_eq!(policy.after(1, &of_kind, 0.5), RetryDecision::GiveUp { reason });
    let told = AttemptReport {
        non_retryable: true,
        retry_after: Some(Duration::from_secs(1)),
        ..AttemptReport::default()
    };
    assert_eq!(policy.after(1, &told, 0.5), RetryDecision::GiveUp { reason: GiveUp::NonRetryable });
    let other = AttemptReport { error_kind: "timeout".to_owned(), ..AttemptReport::default() };
    assert!(matches!(policy.after(1, &other, 0.5), RetryDecision::Retry { .. }));
}

#[test]
fn tries_end_at_the_limit() {
    let once = RetryPolicy { max_tries: 1, ..RetryPolicy::default() };
    let RetryDecision::GiveUp { reason } = once.after(1, &AttemptReport::default(), 0.5) else {
        panic!("one try is one try");
    };
    assert_eq!(reason.to_string(), "its only try is used");
}

#[test]
fn bounds_are_checked_and_named() {
    let fields = |policy: &RetryPolicy| {
        let errors = policy.validate().err().unwrap_or_default();
        errors.into_iter().map(|error| error.field).collect::<Vec<_>>()
    };
    assert!(fields(&RetryPolicy::default()).is_empty());
    assert_eq!(fields(&RetryPolicy { max_tries: 0, ..RetryPolicy::default() }), ["max_tries"]);
    assert_eq!(fields(&RetryPolicy { max_tries: 1_001, ..RetryPolicy::default() }), ["max_tries"]);
    for factor in [0.99, 10.01, f64::NAN, f64::INFINITY] {
        assert_eq!(fields(&policy(1, factor, 1, true)), ["exponential.factor"], "{factor}");
    }
    assert_eq!(fields(&policy(2, 2.0, 1, true)), ["exponential.initial"]);
    assert_eq!(fields(&policy(1, 2.0, 8 * 86_400_000, true)), ["exponential.cap"]);
    let unnamed = RetryPolicy { non_retryable: vec![String::new()], ..RetryPolicy::default() };
    assert_eq!(fields(&unnamed), ["non_retryable[0]"]);
}

proptest! {
    #[test]
    fn no_wait_passes_the_cap_whatever_the_numbers(
        initial_ms in any::<u64>(),
        factor in any::<f64>(),
        cap_ms in 0..604_800_000_u64,
        tries_used in 0..1_000_u32,
        random in any::<f64>(),
        jitter in any::<bool>(),
    ) {
        let policy = policy(initial_ms, factor, cap_ms, jitter);
        let RetryDecision::Retry { delay } = policy.after(tries_used, &AttemptReport::default(), random) else {
            return Err(TestCaseError::fail("tries are left"));
        };
        prop_assert!(delay <= Duration::from_millis(cap_ms));
    }

    /// Nobody is made to wait less than before, but for a list, which says so itself.
    #[test]
    fn waits_without_jitter_only_grow_and_stay_below_the_most(
        initial_ms in 0..600_000_u64,
        increment_ms in 0..600_000_u64,
        factor in 1.0..10.0_f64,
        cap_ms in 600_000..604_800_000_u64,
    ) {
        let (initial, cap) = (ms(initial_ms), ms(cap_ms));
        for backoff in [
            Backoff::Fixed(initial),
            Backoff::Linear { initial, increment: ms(increment_ms), cap },
            Backoff::Exponential { initial, factor, cap },
        ] {
            let policy = with(backoff, false);
            prop_assert_eq!(policy.validate(), Ok(()));
            let mut before = Duration::ZERO;
            for tries in 1..200 {
                let RetryDecision::Retry { delay } = policy.after(tries, &AttemptReport::default(), 0.5) else {
                    return Err(TestCaseError::fail("tries are left"));
                };
                prop_assert!(before <= delay && delay <= RetryPolicy::MOST_DELAY);
                before = delay;
            }
        }
    }
}
