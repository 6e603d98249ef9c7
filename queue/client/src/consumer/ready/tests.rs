use proptest::prelude::*;

use super::*;

const IDLE: Duration = Duration::from_secs(10);
const BACKOFF: BackoffOptions =
    BackoffOptions { first: Duration::from_secs(2), longest: Duration::from_secs(120) };

struct Fixture {
    counts: ReadyCounts,
    ids: Vec<MemberId>,
    now: Instant,
}

impl Fixture {
    fn new(demand: Demand, members: usize) -> Self {
        let mut counts = ReadyCounts::new(Some(BACKOFF), IDLE);
        let now = Instant::now();
        counts.demand(demand, now);
        let ids = (0..members).map(|_| counts.join(now)).collect();
        Self { counts, ids, now }
    }

    fn ready(&self) -> Vec<u32> {
        self.ids.iter().map(|id| self.counts.of(*id)).collect()
    }

    /// Lets time pass, as the owner of the counts would notice it.
    fn pass(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(next) = self.counts.next_timeout().filter(|next| *next <= end) {
            self.now = next;
            self.counts.handle_timeout(next);
        }
        self.now = end;
    }
}

#[track_caller]
fn check(demand: Demand, members: usize, expect: &[u32]) {
    assert_eq!(Fixture::new(demand, members).ready(), expect);
}

#[test]
fn a_total_is_spread_evenly_and_in_full() {
    check(Demand::Each(5), 3, &[5, 5, 5]);
    check(Demand::Total(9), 3, &[3, 3, 3]);
    check(Demand::Total(8), 3, &[3, 3, 2]);
    check(Demand::Total(3), 3, &[1, 1, 1]);
    check(Demand::Total(2), 3, &[1, 1, 0]);
    check(Demand::Total(0), 3, &[0, 0, 0]);
    check(Demand::Total(7), 0, &[]);
}

#[test]
fn a_connection_that_goes_leaves_its_ready_count_to_others() {
    let mut it = Fixture::new(Demand::Total(2), 3);
    it.counts.leave(it.ids[0], it.now);
    assert_eq!(it.ready(), [0, 1, 1]);
    it.counts.demand(Demand::Total(10), it.now);
    assert_eq!(it.ready(), [0, 5, 5]);
}

#[test]
fn with_fewer_than_connections_an_idle_one_gives_its_up_to_the_one_that_waited_longest() {
    let mut it = Fixture::new(Demand::Total(1), 3);
    assert_eq!(it.ready(), [1, 0, 0]);
    it.pass(9);
    assert_eq!(it.ready(), [1, 0, 0]);
    for expect in [[0, 1, 0], [0, 0, 1], [1, 0, 0]] {
        it.pass(10);
        assert_eq!(it.ready(), expect);
    }
}

#[test]
fn a_busy_connection_keeps_its_turn_for_longer_and_what_it_has_in_hand_counts() {
    let mut it = Fixture::new(Demand::Total(1), 2);
    it.counts.observe(it.ids[0], 1, Some(it.now));
    it.pass(29);
    assert_eq!(it.ready(), [1, 0]);
    it.pass(1);
    assert_eq!(it.ready(), [0, 0], "its message is still in hand");
    it.counts.observe(it.ids[0], 0, Some(it.now));
    it.counts.answered(it.now);
    assert_eq!(it.ready(), [0, 1]);
}

#[test]
fn messages_put_the_end_of_a_turn_off() {
    let mut it = Fixture::new(Demand::Total(1), 2);
    it.pass(8);
    it.counts.observe(it.ids[0], 0, Some(it.now));
    it.pass(9);
    assert_eq!(it.ready(), [1, 0]);
    it.pass(1);
    assert_eq!(it.ready(), [0, 1]);
}

#[test]
fn after_a_failure_nothing_is_asked_for_then_one_message_then_all() {
    for (demand, full) in [(Demand::Each(4), [4, 4]), (Demand::Total(5), [3, 2])] {
        let mut it = Fixture::new(demand, 2);
        it.counts.failed(it.now);
        assert_eq!(it.ready(), [0, 0]);
        it.pass(2);
        assert_eq!(it.ready(), [1, 0], "the probe");
        it.counts.failed(it.now);
        it.pass(3);
        assert_eq!(it.ready(), [0, 0]);
        it.pass(1);
        assert_eq!(it.ready(), [0, 1], "a probe elsewhere");
        it.counts.succeeded(it.now);
        assert_eq!(it.ready(), [0, 0]);
        it.pass(2);
        it.counts.succeeded(it.now);
        assert_eq!(it.ready(), full);
        assert!(it.counts.next_timeout().is_none() && !it.counts.is_attentive());
    }
}

#[test]
fn a_probe_moves_on_from_a_connection_that_has_nothing() {
    let mut it = Fixture::new(Demand::Each(4), 2);
    it.counts.failed(it.now);
    it.pass(2);
    assert_eq!(it.ready(), [1, 0]);
    it.pass(10);
    assert_eq!(it.ready(), [0, 1]);
}

#[test]
fn a_consumer_that_asks_for_nothing_does_not_probe() {
    let mut it = Fixture::new(Demand::Total(0), 2);
    it.counts.failed(it.now);
    it.pass(60);
    assert_eq!(it.ready(), [0, 0]);
}

#[test]
fn without_backoff_failures_change_nothing() {
    let mut it = Fixture::new(Demand::Each(4), 2);
    it.counts.backoff = None;
    it.counts.failed(it.now);
    assert_eq!(it.ready(), [4, 4]);
}

#[derive(Debug, Clone)]
enum Step {
    Join,
    Leave(prop::sample::Index),
    Total(u32),
    Busy(prop::sample::Index, u32),
    Failed,
    Succeeded,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Join),
        any::<prop::sample::Index>().prop_map(Step::Leave),
        (0..8_u32).prop_map(Step::Total),
        (any::<prop::sample::Index>(), 0..3_u32).prop_map(|(which, count)| Step::Busy(which, count)),
        Just(Step::Failed),
        Just(Step::Succeeded),
        (0..40_u64).prop_map(Step::Pass),
    ]
}

proptest! {
    /// Whatever happens, no more is asked for than is wanted, and in the end nothing is left over or left out.
    #[test]
    fn counts_never_exceed_the_total_and_reach_it(steps in prop::collection::vec(step(), 0..60)) {
        let mut it = Fixture::new(Demand::Total(3), 2);
        let mut total = 3;
        for step in steps {
            match step {
                Step::Join => it.ids.push(it.counts.join(it.now)),
                Step::Leave(which) if !it.ids.is_empty() => {
                    let id = it.ids.remove(which.index(it.ids.len()));
                    it.counts.leave(id, it.now);
                }
                Step::Total(count) => {
                    total = count;
                    it.counts.demand(Demand::Total(count), it.now);
                }
                Step::Busy(which, count) if !it.ids.is_empty() => {
                    let id = it.ids[which.index(it.ids.len())];
                    it.counts.observe(id, count, Some(it.now));
                    it.counts.answered(it.now);
                }
                Step::Leave(_) | Step::Busy(..) => {}
                Step::Failed => it.counts.failed(it.now),
                Step::Succeeded => it.counts.succeeded(it.now),
                Step::Pass(seconds) => it.pass(seconds),
            }
            let sum: u32 = it.ready().iter().sum();
            prop_assert!(sum <= total, "{:?} of {total}", it.ready());
            match it.counts.pace() {
                Pace::Full => {}
                Pace::Resting { .. } => prop_assert_eq!(sum, 0),
                Pace::Probing { .. } => prop_assert!(sum <= 1),
            }
        }
        for id in it.ids.clone() {
            it.counts.observe(id, 0, None);
        }
        for _ in 0..40 {
            it.counts.succeeded(it.now);
            it.pass(121);
        }
        it.counts.answered(it.now);
        prop_assert_eq!(it.counts.pace(), Pace::Full);
        let expect = if it.ids.is_empty() { 0 } else { total };
        prop_assert_eq!(it.ready().iter().sum::<u32>(), expect);
    }
}
