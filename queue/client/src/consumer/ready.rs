//! Which connection has which ready count. Neither a clock nor I/O.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::pace::{BackoffOptions, Pace};

/// What the user wants to have in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    /// So many on each connection.
    Each(u32),
    /// So many in all.
    Total(u32),
}

/// Names a connection, in the order in which they joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MemberId(u64);

/// Decides each connection's ready count. After every change, [`of`](Self::of) tells the counts there should be.
#[derive(Debug)]
pub(super) struct ReadyCounts {
    demand: Demand,
    pace: Pace,
    backoff: Option<BackoffOptions>,
    /// How long a connection without messages keeps what others could use.
    idle: Duration,
    members: BTreeMap<MemberId, Member>,
    next: u64,
}

#[derive(Debug)]
struct Member {
    ready: u32,
    /// Since when it has a ready count above zero, or since when it has none.
    since: Instant,
    in_hand: u32,
    last_message: Option<Instant>,
}

/// With fewer ready counts than connections, one that is never idle still gives its up after so many idle times.
const LONGEST_TURN: u32 = 3;

impl ReadyCounts {
    pub(super) fn new(backoff: Option<BackoffOptions>, idle: Duration) -> Self {
        let (demand, members) = (Demand::Each(0), BTreeMap::new());
        // An idle time of nothing would have the counts go round without end.
        let idle = idle.max(Duration::from_millis(1));
        Self { demand, pace: Pace::Full, backoff, idle, members, next: 0 }
    }

    /// A connection has come.
    pub(super) fn join(&mut self, now: Instant) -> MemberId {
        let id = MemberId(self.next);
        self.next += 1;
        self.members.insert(id, Member { ready: 0, since: now, in_hand: 0, last_message: None });
        self.settle(now);
        id
    }

    /// A connection has gone; its ready count is another's.
    pub(super) fn leave(&mut self, id: MemberId, now: Instant) {
        self.members.remove(&id);
        self.settle(now);
    }

    pub(super) fn demand(&mut self, demand: Demand, now: Instant) {
        self.demand = demand;
        self.settle(now);
    }

    pub(super) fn failed(&mut self, now: Instant) {
        if let Some(backoff) = &self.backoff {
            self.pace = self.pace.failed(backoff, now);
            self.settle(now);
        }
    }

    pub(super) fn succeeded(&mut self, now: Instant) {
        if let Some(backoff) = &self.backoff {
            self.pace = self.pace.succeeded(backoff, now);
            self.settle(now);
        }
    }

    /// What is known of a connection's messages. Only noted; to be followed by another call.
    pub(super) fn observe(&mut self, id: MemberId, in_hand: u32, last_message: Option<Instant>) {
        if let Some(member) = self.members.get_mut(&id) {
            (member.in_hand, member.last_message) = (in_hand, last_message);
        }
    }

    /// Messages were answered, which may make room for others.
    pub(super) fn answered(&mut self, now: Instant) {
        self.settle(now);
    }

    /// Goes on after a rest, and passes on what a connection has kept for long enough.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.pace = self.pace.at(now);
        if self.scarce().is_some() {
            for member in self.members.values_mut() {
                if member.ready > 0 && member.turn_ends(self.idle) <= now {
                    member.set(0, now);
                }
            }
        }
        self.settle(now);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        if let Pace::Resting { until, .. } = self.pace {
            return Some(until);
        }
        self.scarce()?;
        self.members
            .values()
            .filter(|member| member.ready > 0)
            .map(|member| member.turn_ends(self.idle))
            .min()
    }

    /// The ready count that a connection should have.
    pub(super) fn of(&self, id: MemberId) -> u32 {
        self.members.get(&id).map_or(0, |member| member.ready)
    }

    pub(super) fn pace(&self) -> Pace {
        self.pace
    }

    /// Whether every answered message matters to the counts.
    pub(super) fn is_attentive(&self) -> bool {
        self.pace != Pace::Full || self.scarce().is_some()
    }

    /// How many ready counts there are, if there are some, but fewer than connections.
    fn scarce(&self) -> Option<usize> {
        let total = match (self.pace, self.demand) {
            (Pace::Resting { .. }, _)
            | (_, Demand::Each(0) | Demand::Total(0))
            | (Pace::Full, Demand::Each(_)) => {
                return None;
            }
            (Pace::Probing { .. }, Demand::Each(_) | Demand::Total(_)) => 1,
            (Pace::Full, Demand::Total(total)) => usize::try_from(total).unwrap_or(usize::MAX),
        };
        (total < self.members.len()).then_some(total)
    }

    fn settle(&mut self, now: Instant) {
        if let Some(total) = self.scarce() {
            return self.settle_scarce(total, now);
        }
        let (each, more) = match (self.pace, self.demand) {
            (Pace::Resting { .. }, _) => (0, 0),
            (Pace::Full, Demand::Each(each)) => (each, 0),
            (Pace::Full, Demand::Total(total)) => {
                // More connections than a u32 counts would make it scarce.
                let members = u32::try_from(self.members.len()).unwrap_or(u32::MAX).max(1);
                (total / members, total % members)
            }
            (Pace::Probing { .. }, Demand::Each(most) | Demand::Total(most)) => (most.min(1), 0),
        };
        for (place, member) in (0_u32..).zip(self.members.values_mut()) {
            member.set(each + u32::from(place < more), now);
        }
    }

    /// One for each of `total` connections: those that have one, then those that have been without for longest.
    /// What is still in hand elsewhere counts too, so that no more than `total` are in hand.
    fn settle_scarce(&mut self, total: usize, now: Instant) {
        let mut free = total;
        for member in self.members.values_mut() {
            let keeps = member.ready > 0 && free > 0;
            free -= usize::from(keeps);
            member.set(u32::from(keeps), now);
        }
        let elsewhere = self.members.values().filter(|member| member.ready == 0);
        let in_hand: usize =
            elsewhere.map(|member| usize::try_from(member.in_hand).unwrap_or(usize::MAX)).sum();
        let free = free.saturating_sub(in_hand);
        let mut without: Vec<_> = self
            .members
            .iter()
            .filter(|(_, member)| member.ready == 0)
            .map(|(id, m)| (m.since, *id))
            .collect();
        without.sort_unstable();
        for (_, id) in without.into_iter().take(free) {
            if let Some(member) = self.members.get_mut(&id) {
                member.set(1, now);
            }
        }
    }
}

impl Member {
    fn set(&mut self, ready: u32, now: Instant) {
        if (self.ready > 0) != (ready > 0) {
            self.since = now;
        }
        self.ready = ready;
    }

    /// When it has kept its ready count for long enough while others have none.
    fn turn_ends(&self, idle: Duration) -> Instant {
        let longest = self.since + idle * LONGEST_TURN;
        if self.in_hand > 0 {
            return longest;
        }
        let last = self.last_message.map_or(self.since, |last| last.max(self.since));
        longest.min(last + idle)
    }
}

#[cfg(test)]
mod tests;
