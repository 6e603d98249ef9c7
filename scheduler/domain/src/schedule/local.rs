//! A rule on civil time in a time zone.

use chrono::{DateTime, NaiveDateTime, Utc};

use super::civil_rule::CivilRule;
use super::error::ScheduleError;
use super::spec::{DstFold, DstGap};
use super::zone::{EARLIEST, Span, Zone, civil};

/// A rule in a time zone: its civil times, carried over to instants span by span.
///
/// A rule with a *fixed time* (its hour field is plain numbers, or it recurs by the day or more) runs once for each date it names, whatever the
/// clocks do that day; `gap` and `fold` say how. Any other is a *cadence*: it follows elapsed time, so it has nothing
/// in a gap and runs in both passes of a fold.
#[derive(Debug, Clone)]
pub(super) struct LocalRule {
    rule: CivilRule,
    zone: Zone,
    gap: DstGap,
    fold: DstFold,
}

/// What a clock change does to a fixed time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ClockChange {
    /// Civil times do not exist.
    Missing(Missing),
    /// The civil time comes twice.
    Twice {
        /// It.
        civil: NaiveDateTime,
        /// Whether the instant asked about is the second pass.
        second: bool,
    },
}

/// The civil times of one gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    /// The first of them.
    pub(super) first: NaiveDateTime,
    /// How many more there are.
    pub(super) more: usize,
    /// The civil time of the first instant after the gap.
    pub(super) resumes: NaiveDateTime,
}

impl LocalRule {
    pub(super) fn new(rule: CivilRule, zone: Zone, gap: DstGap, fold: DstFold) -> Self {
        Self { rule, zone, gap, fold }
    }

    /// The first instant at or after `t`; `None` when there is none before the years run out.
    pub(super) fn next_from(&self, t: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, ScheduleError> {
        let t = t.max(EARLIEST);
        // Instants are whole seconds: rounded up, so that the answer is never before `t`.
        let mut from = t.timestamp() + i64::from(t.timestamp_subsec_nanos() > 0);
        let mut ahead = Ahead { rule: &self.rule, known: None };
        for span in self.zone.spans_from(from) {
            if let Some(instant) = self.first_in(&span, from, &mut ahead)? {
                return Ok(DateTime::from_timestamp(instant, 0));
            }
            if ahead.is_exhausted() {
                return Ok(None);
            }
            from = span.end;
        }
        Ok(None)
    }

    /// The first instant in `span` at or after `from`, which lies in it.
    fn first_in(&self, span: &Span, from: i64, ahead: &mut Ahead<'_>) -> Result<Option<i64>, ScheduleError> {
        let mut earliest = span.civil(from);
        let mut end = civil(span.end + span.offset);
        if self.rule.is_fixed_time() {
            if from == span.start && self.gap == DstGap::Shift && span.starts_with_gap() {
                let (gap_start, gap_end) = span.gap();
                if ahead.next_from(gap_start)?.is_some_and(|missing| missing < gap_end) {
                    return Ok(Some(from));
                }
            }
            match self.fold {
                // What was there once before this span's start has had its run then.
                DstFold::First => earliest = earliest.max(civil(span.start + span.before)),
                // What comes again after this span's end has its run then.
                DstFold::Last => end = end.min(civil(span.end + span.after)),
                DstFold::Both => {}
            }
        }
        Ok(ahead.next_from(earliest)?.filter(|next| *next < end).map(|next| span.instant(next)))
    }

    /// What a clock change did to the occurrence at `instant`, which is one of this schedule's.
    pub(super) fn clock_change(&self, instant: DateTime<Utc>) -> Result<Option<ClockChange>, ScheduleError> {
        let second = instant.timestamp();
        let span = self.zone.span_at(second);
        if second == span.start
            && self.gap == DstGap::Shift
            && let Some(missing) = self.missing(&span)?
        {
            return Ok(Some(ClockChange::Missing(missing)));
        }
        let civil = span.civil(second);
        Ok(if span.repeats_earlier(civil) {
            Some(ClockChange::Twice { civil, second: true })
        } else if span.repeats_later(civil) {
            Some(ClockChange::Twice { civil, second: false })
        } else {
            None
        })
    }

    /// What the first gap and the first fold that start after `now` do to a fixed time; nothing to a cadence.
    pub(super) fn coming_changes(&self, now: DateTime<Utc>) -> Result<Vec<ClockChange>, ScheduleError> {
        let mut changes = Vec::new();
        if !self.rule.is_fixed_time() {
            return Ok(changes);
        }
        let now = now.max(EARLIEST).timestamp();
        let later = || self.zone.spans_from(now).skip(1);
        if let Some(span) = later().find(Span::starts_with_gap) {
            changes.extend(self.missing(&span)?.map(ClockChange::Missing));
        }
        if let Some(span) = later().find(Span::starts_with_fold) {
            let (repeat_start, repeat_end) = span.fold();
            if let Some(twice) = self.rule.next_from(repeat_start)?.filter(|civil| *civil < repeat_end) {
                changes.push(ClockChange::Twice { civil: twice, second: false });
            }
        }
        Ok(changes)
    }

    /// The fixed times in the gap at the start of `span`, if there are any.
    fn missing(&self, span: &Span) -> Result<Option<Missing>, ScheduleError> {
        if !self.rule.is_fixed_time() {
            return Ok(None);
        }
        let (gap_start, gap_end) = span.gap();
        let Some(first) = self.rule.next_from(gap_start)?.filter(|first| *first < gap_end) else {
            return Ok(None);
        };
        let mut more = 0;
        let mut last = first;
        while let Some(next) = self.rule.next_after(last)?.filter(|next| *next < gap_end) {
            more += 1;
            last = next;
        }
        Ok(Some(Missing { first, more, resumes: gap_end }))
    }

    pub(super) fn zone(&self) -> &Zone {
        &self.zone
    }

    pub(super) fn is_fixed_time(&self) -> bool {
        self.rule.is_fixed_time()
    }

    pub(super) fn gap(&self) -> DstGap {
        self.gap
    }

    pub(super) fn fold(&self) -> DstFold {
        self.fold
    }
}

/// The next civil match, remembered: a rare expression is asked again in every span up to it.
struct Ahead<'a> {
    rule: &'a CivilRule,
    /// Asked from when, and the answer: the same for every time in between.
    known: Option<(NaiveDateTime, Option<NaiveDateTime>)>,
}

impl Ahead<'_> {
    fn next_from(&mut self, from: NaiveDateTime) -> Result<Option<NaiveDateTime>, ScheduleError> {
        if let Some((asked, next)) = self.known
            && asked <= from
            && next.is_none_or(|next| from <= next)
        {
            return Ok(next);
        }
        let next = self.rule.next_from(from)?;
        self.known = Some((from, next));
        Ok(next)
    }

    fn is_exhausted(&self) -> bool {
        self.known.is_some_and(|(_, next)| next.is_none())
    }
}
