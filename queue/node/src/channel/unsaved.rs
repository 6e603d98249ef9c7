//! What a channel did that the log does not know yet.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::ranges_of;
use crate::message::Sequence;

/// How long a finished message may be known in memory only: this is what comes back after a kill.
const FINISHED_WITHIN: Duration = Duration::from_millis(2);

/// The same for the fact that a message was delivered. Most are finished before, and need no record.
const DELIVERED_WITHIN: Duration = Duration::from_millis(100);

/// Numbers collected since the log was last told.
#[derive(Debug, Default)]
pub(crate) struct Unsaved {
    finished: Vec<u64>,
    finished_due: Option<Instant>,
    delivered: Vec<Sequence>,
    delivered_due: Option<Instant>,
    put_off: Vec<(Sequence, Instant)>,
    put_off_due: Option<Instant>,
}

/// What the log should be told about one channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Unwritten {
    /// In order and apart.
    pub(crate) finished: Vec<Range<Sequence>>,
    pub(crate) attempts: Vec<(Sequence, u16)>,
    /// Messages that a consumer put off, and for how much longer.
    pub(crate) put_off: Vec<(Sequence, Duration)>,
}

impl Unsaved {
    pub(crate) fn finished(&mut self, sequence: Sequence, now: Instant) {
        self.finished.push(sequence.0);
        self.finished_due.get_or_insert(now + FINISHED_WITHIN);
    }

    pub(crate) fn delivered(&mut self, sequence: Sequence, now: Instant) {
        self.delivered.push(sequence);
        self.delivered_due.get_or_insert(now + DELIVERED_WITHIN);
    }

    /// A consumer wants it again, but not before `until`.
    pub(crate) fn put_off(&mut self, sequence: Sequence, until: Instant, now: Instant) {
        self.put_off.push((sequence, until));
        self.put_off_due.get_or_insert(now + FINISHED_WITHIN);
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        [self.finished_due, self.delivered_due, self.put_off_due].into_iter().flatten().min()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Nothing is to be told of messages from `from` on.
    pub(crate) fn forget_from(&mut self, from: Sequence) {
        self.finished.retain(|number| *number < from.0);
        self.delivered.retain(|sequence| *sequence < from);
        self.put_off.retain(|(sequence, _)| *sequence < from);
    }

    /// What is due. `attempts` says how often a message was delivered, if it still matters; `waits` whether one is
    /// still put off until then.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        attempts: impl Fn(Sequence) -> Option<u16>,
        waits: impl Fn(Sequence, Instant) -> bool,
    ) -> Option<Unwritten> {
        let mut unwritten = Unwritten::default();
        if self.finished_due.is_some_and(|due| due <= now) {
            self.finished_due = None;
            let mut numbers = std::mem::take(&mut self.finished);
            numbers.sort_unstable();
            unwritten.finished = ranges_of(numbers.into_iter());
        }
        if self.delivered_due.is_some_and(|due| due <= now) {
            self.delivered_due = None;
            // Most are finished by now and need no words.
            let delivered = std::mem::take(&mut self.delivered).into_iter();
            let counted = delivered.filter_map(|sequence| Some((sequence, attempts(sequence)?)));
            unwritten.attempts = counted.collect();
            unwritten.attempts.sort_unstable();
            unwritten.attempts.dedup();
        }
        if self.put_off_due.is_some_and(|due| due <= now) {
            self.put_off_due = None;
            let mut put_off = std::mem::take(&mut self.put_off);
            put_off.retain(|(sequence, until)| waits(*sequence, *until));
            put_off.sort_unstable();
            unwritten.put_off =
                put_off.into_iter().map(|(sequence, until)| (sequence, until.duration_since(now))).collect();
        }
        (unwritten != Unwritten::default()).then_some(unwritten)
    }
}
