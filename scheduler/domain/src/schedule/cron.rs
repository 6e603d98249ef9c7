//! A cron expression on civil time, where every day has 24 hours.

mod expression;
mod field;

use std::sync::Arc;

use chrono::{Datelike, NaiveDate, NaiveDateTime, TimeDelta};
use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};

use self::expression::Expression;
use super::dialect::{Dialect, DomDow};
use super::error::ScheduleError;

/// A cron expression, which knows nothing of zones.
///
/// Our own grammar reads what people write, says where an error is, and spells every value out; the engine then gets
/// plain lists, so that its own grammar and its extensions never matter.
#[derive(Debug, Clone)]
pub(super) struct CivilCron {
    engine: Arc<Cron>,
    fixed_time: bool,
    /// There is no match after this year.
    last_year: Option<i32>,
}

/// The engine searches to the year 5000; nothing is asked of it from here on.
const LAST_YEAR: i32 = 4_900;

impl CivilCron {
    pub(super) fn compile(
        expression: &str,
        dialect: Dialect,
        dom_dow: DomDow,
    ) -> Result<Self, ScheduleError> {
        let fault =
            |position, message| ScheduleError::Cron { expression: expression.to_owned(), position, message };
        let parsed =
            Expression::parse(expression, dialect, dom_dow).map_err(|at| fault(at.position, at.message))?;
        let (seconds, year) = parsed.extra_fields();
        let engine = CronParser::builder()
            .seconds(if seconds { Seconds::Required } else { Seconds::Disallowed })
            .year(if year { Year::Required } else { Year::Disallowed })
            .dom_and_dow(parsed.needs_both_days())
            .build()
            .parse(&parsed.spelled_out())
            // Our grammar is narrower than the engine's; should that ever be wrong, its words are better than none.
            .map_err(|error| fault(0, error.to_string()))?;
        let cron = Self {
            engine: Arc::new(engine),
            fixed_time: parsed.is_fixed_time(),
            last_year: parsed.last_year().map(i32::from),
        };
        if cron.is_rare()? {
            return Err(ScheduleError::NeverFires { expression: expression.to_owned() });
        }
        Ok(cron)
    }

    /// Whether its hour field is plain numbers, so that it names times of day rather than a cadence.
    pub(super) fn is_fixed_time(&self) -> bool {
        self.fixed_time
    }

    /// The first match at or after `from`, to the second; `None` when the years run out.
    pub(super) fn next_from(&self, from: NaiveDateTime) -> Result<Option<NaiveDateTime>, ScheduleError> {
        if from.year() >= LAST_YEAR || self.last_year.is_some_and(|last| from.year() > last) {
            return Ok(None);
        }
        let found = self.engine.find_next_occurrence(&from, true);
        if self.last_year.is_some() && matches!(found, Err(CronError::TimeSearchLimitExceeded)) {
            return Ok(None);
        }
        found.map(Some).map_err(|error| ScheduleError::Engine {
            expression: self.engine.as_str().to_owned(),
            after: from,
            message: error.to_string(),
        })
    }

    /// Whether more than 8 years can pass between two matches. 29 February comes every 4, and once a century only
    /// after 8, so what is rarer is a mistake, and would make the search for the next match long.
    fn is_rare(&self) -> Result<bool, ScheduleError> {
        if self.last_year.is_some() {
            // Its years are what somebody chose.
            return Ok(self.next_from(NaiveDateTime::default())?.is_none());
        }
        let mut from =
            NaiveDate::from_ymd_opt(2001, 1, 1).and_then(|day| day.and_hms_opt(0, 0, 0)).unwrap_or_default();
        for _ in 0..2 {
            // The engine gives up on a date that never comes, such as 31 February.
            match self.next_from(from) {
                Ok(Some(next)) if next.year() - from.year() <= 8 => from = next + TimeDelta::seconds(1),
                Ok(_) | Err(ScheduleError::Engine { .. }) => return Ok(true),
                Err(other) => return Err(other),
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests;
