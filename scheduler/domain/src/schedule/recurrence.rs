//! A recurrence rule of iCalendar (RFC 5545) on civil time.

mod lines;

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Utc};
use rrule::{Frequency, RRule, RRuleSet, Tz, Unvalidated};

use self::lines::Lines;

/// A recurrence rule with its added and removed dates, which knows nothing of zones.
///
/// The engine gets civil times as if they were of UTC, so that no clock changes while it counts.
#[derive(Debug, Clone)]
pub(crate) struct Recurrence {
    rule: Option<RRule<Unvalidated>>,
    start: NaiveDateTime,
    added: Vec<NaiveDateTime>,
    removed: Vec<NaiveDateTime>,
    /// A stretch of occurrences that was found before: what follows from the rule, so it changes no answer.
    known: Arc<Mutex<Known>>,
}

/// The occurrences from one civil time on.
#[derive(Debug, Default)]
struct Known {
    from: Option<NaiveDateTime>,
    occurrences: Vec<NaiveDateTime>,
    /// There are none after those.
    complete: bool,
}

/// Occurrences found at once.
const AT_ONCE: u16 = 64;
/// With a count the occurrences must be counted from the first on.
const MOST_COUNT: u32 = 10_000;
/// Nothing is asked for from here on.
const LAST_YEAR: i32 = 4_900;

impl Recurrence {
    /// Reads lines such as `DTSTART:20260105T090000` and `RRULE:FREQ=WEEKLY;BYDAY=MO`, also `RDATE` and `EXDATE`.
    /// Without a `DTSTART` it begins at `start`.
    pub(crate) fn parse(text: &str, start: Option<NaiveDateTime>) -> Result<Self, String> {
        let Lines { start: first, rule, added, removed } = Lines::parse(text)?;
        let start =
            first.or(start).ok_or("has no DTSTART, which says when it begins, and no `start` either")?;
        if !(1970..LAST_YEAR).contains(&start.year()) {
            return Err(format!("DTSTART is in the year {}, expected one from 1970 on", start.year()));
        }
        let rule = rule.map(|rule| rule.parse::<RRule<Unvalidated>>().map_err(|error| error.to_string()));
        let rule = rule.transpose()?;
        if let Some(count) = rule.as_ref().and_then(RRule::get_count)
            && count > MOST_COUNT
        {
            return Err(format!("COUNT={count} is more than {MOST_COUNT}; give an UNTIL instead"));
        }
        if rule.is_none() && added.is_empty() {
            return Err("has neither an RRULE nor an RDATE".to_owned());
        }
        let recurrence = Self { rule, start, added, removed, known: Arc::default() };
        // What is wrong with the rule shows when it is used.
        recurrence.find(start)?;
        Ok(recurrence)
    }

    /// A single date and what repeats it.
    pub(crate) fn once(start: NaiveDateTime) -> Self {
        Self { rule: None, start, added: vec![start], removed: Vec::new(), known: Arc::default() }
    }

    /// Whether it names times of day rather than a cadence: it repeats by the day or more.
    pub(crate) fn is_fixed_time(&self) -> bool {
        match self.rule.as_ref().map(RRule::get_freq) {
            Some(Frequency::Hourly | Frequency::Minutely | Frequency::Secondly) => false,
            Some(Frequency::Daily | Frequency::Weekly | Frequency::Monthly | Frequency::Yearly) | None => {
                true
            }
        }
    }

    /// The first occurrence at or after `from`.
    pub(crate) fn next_from(&self, from: NaiveDateTime) -> Result<Option<NaiveDateTime>, String> {
        if from.year() >= LAST_YEAR {
            return Ok(None);
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let covers = known.from.is_some_and(|known_from| known_from <= from)
            && (known.complete || known.occurrences.last().is_some_and(|last| *last >= from));
        if !covers {
            *known = self.find(from)?;
        }
        let place = known.occurrences.partition_point(|occurrence| *occurrence < from);
        Ok(known.occurrences.get(place).copied())
    }

    fn find(&self, from: NaiveDateTime) -> Result<Known, String> {
        let mut set = RRuleSet::new(as_utc(self.start))
            .set_rdates(self.added.iter().copied().map(as_utc).collect())
            .set_exdates(self.removed.iter().copied().map(as_utc).collect());
        if let Some(rule) = &self.rule {
            let start = as_utc(anchor(rule, self.start, from));
            set = RRuleSet::new(start)
                .set_rdates(self.added.iter().copied().map(as_utc).collect())
                .set_exdates(self.removed.iter().copied().map(as_utc).collect())
                .rrule(rule.clone().validate(start).map_err(|error| error.to_string())?);
        }
        let found = set.after(as_utc(from)).all(AT_ONCE);
        let occurrences: Vec<_> = found.dates.iter().map(DateTime::naive_utc).collect();
        if occurrences.is_empty() && found.limited {
            return Err("no date matches it for so long that the search was given up".to_owned());
        }
        Ok(Known { from: Some(from), occurrences, complete: !found.limited })
    }
}

/// A beginning near `from` of the same occurrences, so that those of years are not gone through. Where months or years
/// are counted there are few, and a count must be counted from the first.
fn anchor(rule: &RRule<Unvalidated>, start: NaiveDateTime, from: NaiveDateTime) -> NaiveDateTime {
    let unit = match rule.get_freq() {
        Frequency::Secondly => 1,
        Frequency::Minutely => 60,
        Frequency::Hourly => 3_600,
        Frequency::Daily => 86_400,
        Frequency::Weekly => 7 * 86_400,
        Frequency::Monthly | Frequency::Yearly => return start,
    };
    let step = unit * i64::from(rule.get_interval().max(1));
    // The engine takes no beginning after the end.
    let from = rule.get_until().map_or(from, |until| from.min(until.naive_utc()));
    // One step back, since what a period holds may lie before the time of day at which it began.
    let steps = (from - start).num_seconds().div_euclid(step) - 1;
    if rule.get_count().is_some() || steps <= 0 {
        return start;
    }
    start.checked_add_signed(TimeDelta::seconds(steps * step)).unwrap_or(start)
}

fn as_utc(civil: NaiveDateTime) -> DateTime<Tz> {
    DateTime::<Utc>::from_naive_utc_and_offset(civil, Utc).with_timezone(&Tz::UTC)
}

#[cfg(test)]
mod tests;
