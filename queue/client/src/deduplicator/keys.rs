//! Which keys were seen, and what became of them. No clock.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    time::Duration,
};

use tokio::time::Instant;

/// What is known of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing; it is in hand from now on.
    New,
    /// A message with it is being worked on.
    InHand,
    /// A message with it was finished.
    Finished,
}

/// The keys in hand, and those finished within a window, up to a number of them.
#[derive(Debug)]
pub(super) struct Keys<K> {
    window: Duration,
    max_keys: usize,
    known: HashMap<K, State>,
    /// Finished keys, the oldest first.
    finished: VecDeque<(Instant, K)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    InHand,
    Finished,
}

impl<K> Keys<K> {
    pub(super) fn new(window: Duration, max_keys: usize) -> Self {
        Self { window, max_keys, known: HashMap::new(), finished: VecDeque::new() }
    }
}

impl<K: Clone + Eq + Hash> Keys<K> {
    /// What is known of a key. One that is new is in hand until [`finished`](Self::finished) or
    /// [`released`](Self::released).
    pub(super) fn admit(&mut self, key: &K, now: Instant) -> Verdict {
        self.forget(now);
        match self.known.get(key) {
            Some(State::InHand) => Verdict::InHand,
            Some(State::Finished) => Verdict::Finished,
            None => {
                self.known.insert(key.clone(), State::InHand);
                Verdict::New
            }
        }
    }

    /// The message in hand is done.
    pub(super) fn finished(&mut self, key: &K, now: Instant) {
        if let Some(state) = self.known.get_mut(key).filter(|state| **state == State::InHand) {
            *state = State::Finished;
            self.finished.push_back((now, key.clone()));
        }
        self.forget(now);
    }

    /// The message in hand is in hand no more.
    pub(super) fn released(&mut self, key: &K) {
        if self.known.get(key) == Some(&State::InHand) {
            self.known.remove(key);
        }
    }

    /// A key is in the list of finished ones once at most: while it is there, it is not in hand.
    fn forget(&mut self, now: Instant) {
        while self.finished.len() > self.max_keys
            || self.finished.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= self.window)
        {
            let Some((_, key)) = self.finished.pop_front() else { return };
            self.known.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    #[test]
    fn a_copy_waits_for_the_one_in_hand_and_is_spared_once_that_is_done() {
        let (mut keys, now) = (Keys::new(WINDOW, 10), Instant::now());
        assert_eq!(keys.admit(&"a", now), Verdict::New);
        assert_eq!(keys.admit(&"a", now), Verdict::InHand);
        assert_eq!(keys.admit(&"b", now), Verdict::New);
        keys.released(&"a");
        assert_eq!(keys.admit(&"a", now), Verdict::New, "the first did not succeed");
        keys.finished(&"a", now);
        assert_eq!(keys.admit(&"a", now), Verdict::Finished);
        keys.released(&"a");
        assert_eq!(keys.admit(&"a", now), Verdict::Finished);
    }

    #[test]
    fn a_key_is_forgotten_after_the_window_which_begins_with_the_end_of_the_work() {
        let (mut keys, start) = (Keys::new(WINDOW, 10), Instant::now());
        assert_eq!(keys.admit(&"a", start), Verdict::New);
        assert_eq!(keys.admit(&"a", start + 2 * WINDOW), Verdict::InHand, "what is in hand is not forgotten");
        let end = start + 2 * WINDOW;
        keys.finished(&"a", end);
        assert_eq!(keys.admit(&"a", end + WINDOW - Duration::from_millis(1)), Verdict::Finished);
        assert_eq!(keys.admit(&"a", end + WINDOW), Verdict::New);
    }

    #[test]
    fn only_so_many_are_remembered_the_latest() {
        let (mut keys, now) = (Keys::new(WINDOW, 2), Instant::now());
        for key in ["a", "b", "c"] {
            assert_eq!(keys.admit(&key, now), Verdict::New);
            keys.finished(&key, now);
        }
        assert_eq!(keys.admit(&"a", now), Verdict::New);
        assert_eq!(keys.admit(&"b", now), Verdict::Finished);
        assert_eq!((keys.known.len(), keys.finished.len()), (3, 2));
    }
}
