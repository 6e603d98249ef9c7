//! What has been decided in one call, and the missed instants of which that is not known yet.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};

use super::PlanInput;
use crate::misfire::{Misfire, MissedReason};

/// Instants that become no run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissedRange {
    /// The first of them.
    pub from: DateTime<Utc>,
    /// The last of them.
    pub to: DateTime<Utc>,
    /// How many.
    pub count: u64,
    /// Why.
    pub reason: MissedReason,
}

/// What has been decided so far. Instants are given in order.
#[derive(Debug)]
pub(super) struct Judged {
    /// They run.
    pub(super) due: Vec<DateTime<Utc>>,
    /// They are counted. No due instant lies within a range.
    pub(super) counted: Vec<MissedRange>,
    /// Ranges before this place have a due instant behind them and are not added to.
    open_from: usize,
    misfire: Misfire,
    /// What is older is not made up for.
    made_up_from: DateTime<Utc>,
    /// How many of the waiting may run.
    most: usize,
    /// Missed ones that run unless there are too many later ones, and the excluded ones in between. Begins with one
    /// that may run.
    waiting: VecDeque<Waiting>,
    /// How many of them may run.
    candidates: usize,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    instant: DateTime<Utc>,
    excluded: bool,
}

impl Judged {
    pub(super) fn new(input: &PlanInput<'_>, made_up_from: DateTime<Utc>) -> Self {
        Self {
            due: Vec::new(),
            counted: Vec::new(),
            open_from: 0,
            misfire: input.misfire,
            made_up_from,
            most: input.catchup.most(input.misfire),
            waiting: VecDeque::new(),
            candidates: 0,
        }
    }

    /// One that was missed.
    pub(super) fn missed(&mut self, instant: DateTime<Utc>, excluded: bool) {
        if excluded {
            if self.waiting.is_empty() {
                self.exclude(instant);
            } else {
                self.waiting.push_back(Waiting { instant, excluded });
            }
        } else if instant < self.made_up_from && self.misfire != Misfire::Skip {
            self.count(instant, MissedReason::CatchupWindow);
        } else {
            self.waiting.push_back(Waiting { instant, excluded });
            self.candidates += 1;
            if self.candidates > self.most {
                self.count_first();
            }
        }
    }

    /// One that a calendar excludes.
    pub(super) fn exclude(&mut self, instant: DateTime<Utc>) {
        self.count(instant, MissedReason::Calendar);
    }

    /// One that runs.
    pub(super) fn run(&mut self, instant: DateTime<Utc>) {
        self.open_from = self.counted.len();
        self.due.push(instant);
    }

    /// Runs the waiting, as far as there is room. Answers the first that found none.
    pub(super) fn make_up(&mut self, limit: usize) -> Option<DateTime<Utc>> {
        while let Some(Waiting { instant, excluded }) = self.waiting.front().copied() {
            if excluded {
                self.exclude(instant);
            } else if self.due.len() < limit {
                self.run(instant);
                self.candidates -= 1;
            } else {
                return Some(instant);
            }
            self.waiting.pop_front();
        }
        None
    }

    /// There is a later missed one, which is not decided on here: counts the one waiting for which there is no room
    /// beside it. Answers the first of the others.
    pub(super) fn left_over(&mut self) -> Option<DateTime<Utc>> {
        if self.candidates == self.most && self.candidates > 0 {
            self.count_first();
        }
        self.waiting.front().map(|first| first.instant)
    }

    /// Counts the first of the waiting, and the excluded ones up to the next.
    fn count_first(&mut self) {
        let surplus = match self.misfire {
            Misfire::Skip | Misfire::Latest => MissedReason::Misfire,
            Misfire::All => MissedReason::CatchupLimit,
        };
        if let Some(first) = self.waiting.pop_front() {
            self.candidates -= 1;
            self.count(first.instant, surplus);
        }
        while let Some(next) = self.waiting.front().copied().filter(|next| next.excluded) {
            self.waiting.pop_front();
            self.exclude(next.instant);
        }
    }

    fn count(&mut self, instant: DateTime<Utc>, reason: MissedReason) {
        let open = self.counted[self.open_from..].iter_mut().find(|range| range.reason == reason);
        if let Some(range) = open {
            range.to = instant;
            range.count += 1;
        } else {
            self.counted.push(MissedRange { from: instant, to: instant, count: 1, reason });
        }
    }
}
