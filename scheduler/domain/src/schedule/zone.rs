//! A time zone as a row of spans, each with one offset from UTC.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use chrono::{DateTime, FixedOffset, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::error::ScheduleError;

/// No schedule has instants before this one.
pub(super) const EARLIEST: DateTime<Utc> = DateTime::UNIX_EPOCH;
/// No schedule has instants after this one.
pub(super) const LATEST: DateTime<Utc> =
    DateTime::from_timestamp(253_402_300_799, 0).expect("9999-12-31T23:59:59Z is in chrono's range");

/// Past the last clock change that the zone data know: rules are carried on to 2100.
const LAST_CHANGE: i64 = 4_165_000_000;
/// How far apart a zone's offset is looked at. Two changes closer together than this could go unseen, if the second
/// undid the first; a test holds that there are none.
const STEP: i64 = 5 * 86_400;

/// An IANA time zone. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    tz: Tz,
    spans: Arc<[Start]>,
}

/// Where a span begins, in seconds since the epoch, and its offset in seconds east of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Start {
    at: i64,
    offset: i64,
}

/// A stretch of time without a clock change. Instants are seconds since the epoch, offsets seconds east of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Its first second.
    pub(super) start: i64,
    /// The first second after it.
    pub(super) end: i64,
    /// What is added to an instant to get the civil time.
    pub(super) offset: i64,
    /// The offset until its start.
    pub(super) before: i64,
    /// The offset from its end on.
    pub(super) after: i64,
}

impl Zone {
    /// The zone of this name; `UTC` for the empty name.
    pub(crate) fn named(name: &str) -> Result<Self, ScheduleError> {
        let tz = match name {
            "" => Tz::UTC,
            name => name.parse::<Tz>().map_err(|_| ScheduleError::UnknownZone {
                zone: name.to_owned(),
                suggestion: suggestion(name).map(str::to_owned),
            })?,
        };
        Ok(Self::of(tz))
    }

    pub(super) fn of(tz: Tz) -> Self {
        // Looking for a zone's spans takes about a millisecond, and many jobs share few zones. What is found is a
        // constant, so the cache changes no answer.
        static FOUND: LazyLock<Mutex<HashMap<Tz, Arc<[Start]>>>> = LazyLock::new(Mutex::default);
        let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        let spans = found.entry(tz).or_insert_with(|| find_spans(tz)).clone();
        Self { tz, spans }
    }

    pub(super) fn name(&self) -> &'static str {
        self.tz.name()
    }

    /// The spans from the one that holds `instant` on, to the end of time.
    pub(super) fn spans_from(&self, instant: i64) -> impl Iterator<Item = Span> + '_ {
        let index = self.spans.partition_point(|start| start.at <= instant).saturating_sub(1);
        (index..self.spans.len()).map(|index| self.span(index))
    }

    /// The span that holds `instant`.
    pub(super) fn span_at(&self, instant: i64) -> Span {
        self.span(self.spans.partition_point(|start| start.at <= instant).saturating_sub(1))
    }

    /// The first second that has this civil time, or the first after the gap that swallowed it.
    pub(crate) fn first_instant(&self, civil_time: NaiveDateTime) -> i64 {
        let second = civil_time.and_utc().timestamp();
        for span in self.spans_from(second - 86_400) {
            let instant = span.instant(civil_time).max(span.start);
            if instant < span.end {
                return instant;
            }
        }
        second
    }

    /// `instant` as this zone reads it.
    pub(crate) fn local(&self, instant: DateTime<Utc>) -> DateTime<FixedOffset> {
        let offset = self.tz.offset_from_utc_datetime(&instant.naive_utc()).fix();
        instant.with_timezone(&offset)
    }

    fn span(&self, index: usize) -> Span {
        let Start { at: start, offset } = self.spans[index];
        let before = index.checked_sub(1).map_or(offset, |before| self.spans[before].offset);
        let (end, after) =
            self.spans.get(index + 1).map_or((LATEST.timestamp() + 1, offset), |next| (next.at, next.offset));
        Span { start, end, offset, before, after }
    }
}

impl Span {
    /// The civil times that are skipped at its start, first inclusive and end exclusive; empty if none are.
    pub(super) fn gap(&self) -> (NaiveDateTime, NaiveDateTime) {
        (civil(self.start + self.before), civil(self.start + self.offset))
    }

    /// The civil times that come a second time at its start, first inclusive and end exclusive; empty if none do.
    pub(super) fn fold(&self) -> (NaiveDateTime, NaiveDateTime) {
        (civil(self.start + self.offset), civil(self.start + self.before))
    }

    /// Whether clocks go forward at its start.
    pub(super) fn starts_with_gap(&self) -> bool {
        self.before < self.offset
    }

    /// Whether clocks go back at its start.
    pub(super) fn starts_with_fold(&self) -> bool {
        self.offset < self.before
    }

    /// The civil time of a second in it.
    pub(super) fn civil(&self, instant: i64) -> NaiveDateTime {
        civil(instant + self.offset)
    }

    /// The second in it that has this civil time.
    pub(super) fn instant(&self, civil: NaiveDateTime) -> i64 {
        civil.and_utc().timestamp() - self.offset
    }

    /// Whether this civil time, of a second in it, comes a second time after its end.
    pub(super) fn repeats_later(&self, civil_time: NaiveDateTime) -> bool {
        civil_time >= civil(self.end + self.after)
    }

    /// Whether this civil time, of a second in it, was there once before its start.
    pub(super) fn repeats_earlier(&self, civil_time: NaiveDateTime) -> bool {
        civil_time < civil(self.start + self.before)
    }
}

/// The clock reading that is `seconds` after 1970-01-01 00:00.
pub(super) fn civil(seconds: i64) -> NaiveDateTime {
    DateTime::from_timestamp(seconds, 0)
        .expect("a span lies within the years 1900 to 9999, and offsets are under a day")
        .naive_utc()
}

fn offset_at(tz: Tz, instant: i64) -> i64 {
    i64::from(tz.offset_from_utc_datetime(&civil(instant)).fix().local_minus_utc())
}

fn find_spans(tz: Tz) -> Arc<[Start]> {
    let mut at = EARLIEST.timestamp();
    let mut offset = offset_at(tz, at);
    let mut spans = vec![Start { at, offset }];
    while at < LAST_CHANGE {
        let probe = at + STEP;
        if offset_at(tz, probe) == offset {
            at = probe;
            continue;
        }
        // The change is after `at` and not after `probe`: halve the stretch until they are neighbours.
        let (mut old, mut new) = (at, probe);
        while new - old > 1 {
            let middle = old + (new - old) / 2;
            if offset_at(tz, middle) == offset { old = middle } else { new = middle }
        }
        at = new;
        offset = offset_at(tz, at);
        spans.push(Start { at, offset });
    }
    spans.into()
}

/// The zone whose name looks most like `name`, if it looks like it at all.
fn suggestion(name: &str) -> Option<&'static str> {
    let wanted = name.to_lowercase().replace(' ', "_");
    TZ_VARIANTS
        .iter()
        .map(|tz| tz.name())
        .filter_map(|known| {
            let known_lower = known.to_lowercase();
            // The city alone is what people remember.
            let city = known_lower.rsplit('/').next().unwrap_or(&known_lower);
            let distance = strsim::damerau_levenshtein(&wanted, &known_lower)
                .min(strsim::damerau_levenshtein(&wanted, city) + usize::from(city != known_lower));
            // A third of the letters wrong is another word.
            (distance * 3 <= wanted.chars().count()).then_some((distance, known))
        })
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests;
