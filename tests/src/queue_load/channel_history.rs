//! What one channel delivered and what was finished, as its consumer knows it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

/// What a channel's consumer knows of its messages.
///
/// FIN has no answer. But a node has no more in flight on a connection than the ready count, so the k-th delivery of a
/// connection shows that all answers up to the (k - ready count)-th have been taken: those are known to be finished.
#[derive(Debug, Default)]
pub(super) struct ChannelHistory {
    delivered: HashSet<u64>,
    finished: HashMap<u64, Finish>,
    connection: OnConnection,
    came_back: Vec<Duration>,
    stopped_at: Option<Instant>,
}

/// How much is known of a FIN that was sent.
#[derive(Debug, Clone, Copy)]
enum Finish {
    Sent,
    /// The node had taken it by then.
    Taken(Instant),
}

/// Since the consumer connected.
#[derive(Debug, Default)]
struct OnConnection {
    deliveries: u64,
    answers: u64,
    /// Answers not known to be taken; the last of them is number `answers`.
    unsure: VecDeque<Option<u64>>,
    /// What is received now was sent before the fault.
    is_cut: bool,
}

/// Finished messages that were delivered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CameBack {
    /// How many.
    pub count: usize,
    /// How long before the fault the node had taken the earliest of them, for sure.
    pub oldest: Duration,
}

impl ChannelHistory {
    pub(super) fn connected(&mut self) {
        self.connection = OnConnection::default();
    }

    /// Notes a delivery; says whether it is the message's first.
    pub(super) fn delivered(&mut self, number: u64, ready: u64, now: Instant) -> bool {
        self.connection.deliveries += 1;
        let taken = self.connection.deliveries.saturating_sub(ready);
        while !self.connection.is_cut
            && self.connection.answers - (self.connection.unsure.len() as u64) < taken
        {
            let Some(answered) = self.connection.unsure.pop_front() else { break };
            if let Some(finish) = answered.and_then(|number| self.finished.get_mut(&number)) {
                *finish = Finish::Taken(now);
            }
        }
        if let Some(Finish::Taken(at)) = self.finished.remove(&number) {
            // Without a fault since, it must not come back at all: as if it had been finished ages ago.
            let stopped_at = self.stopped_at.filter(|stopped| *stopped > at);
            self.came_back.push(stopped_at.map_or(Duration::MAX, |stopped| stopped - at));
        }
        self.delivered.insert(number)
    }

    pub(super) fn finished(&mut self, number: u64) {
        self.finished.insert(number, Finish::Sent);
        self.answered(Some(number));
    }

    pub(super) fn requeued(&mut self) {
        self.answered(None);
    }

    fn answered(&mut self, number: Option<u64>) {
        self.connection.answers += 1;
        self.connection.unsure.push_back(number);
    }

    /// The node is about to be stopped.
    pub(super) fn stopping(&mut self, now: Instant) {
        self.stopped_at = Some(now);
        self.connection.is_cut = true;
    }

    pub(super) fn was_delivered(&self, number: u64) -> bool {
        self.delivered.contains(&number)
    }

    /// Messages that the node had taken as finished by `by`, and that did not come back since.
    pub(super) fn taken_by(&self, by: Instant) -> usize {
        self.finished.values().filter(|finish| matches!(finish, Finish::Taken(at) if *at <= by)).count()
    }

    pub(super) fn came_back(&self) -> CameBack {
        CameBack {
            count: self.came_back.len(),
            oldest: self.came_back.iter().max().copied().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: u64 = 2;

    #[test]
    fn a_finish_is_known_to_be_taken_once_the_ready_count_could_not_have_allowed_a_delivery_without_it() {
        let now = Instant::now();
        let mut history = ChannelHistory::default();
        for number in [1, 2] {
            assert!(history.delivered(number, READY, now));
            history.finished(number);
        }
        assert_eq!(history.taken_by(now), 0);
        history.delivered(3, READY, now);
        assert_eq!(history.taken_by(now), 1);
        history.requeued();
        history.delivered(4, READY, now);
        history.delivered(5, READY, now);
        assert_eq!(history.taken_by(now), 2, "the third answer was no finish");
    }

    #[test]
    fn a_finished_message_that_comes_back_is_counted_with_its_age_at_the_stop() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut history = ChannelHistory::default();
        for number in [1, 2, 3] {
            history.delivered(number, READY, start);
            history.finished(number);
        }
        assert_eq!(history.taken_by(start), 1);
        history.stopping(start + 3 * second);
        history.connected();
        assert!(!history.delivered(3, READY, start + 4 * second), "it is not its first");
        assert_eq!(history.came_back(), CameBack::default(), "whether it was taken is not known");
        history.delivered(1, READY, start + 4 * second);
        assert_eq!(history.came_back(), CameBack { count: 1, oldest: 3 * second });
    }

    #[test]
    fn a_finished_message_that_comes_back_without_a_fault_is_as_old_as_can_be() {
        let now = Instant::now();
        let mut history = ChannelHistory::default();
        for number in [1, 2, 3, 1] {
            history.delivered(number, READY, now);
            history.finished(number);
        }
        assert_eq!(history.came_back(), CameBack { count: 1, oldest: Duration::MAX });
    }
}
