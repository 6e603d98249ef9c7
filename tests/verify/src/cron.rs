//! The checker's own reading of cron: five fields of numbers, names, lists, ranges and steps. What else the system
//! takes (`L`, `W`, `#`) is not judged by it.

use chrono::{Datelike, NaiveDateTime, Timelike};

/// A set of local times of day on a set of days.
#[derive(Debug, Clone)]
pub(crate) struct Cron {
    minutes: Field,
    hours: Field,
    days: Field,
    months: Field,
    weekdays: Field,
}

#[derive(Debug, Clone)]
struct Field {
    /// Bit `n` for the number `n`.
    bits: u64,
    /// Written as `*` (with or without a step), which matters for how the two day fields join.
    star: bool,
    /// Nothing but numbers: a time of day that was meant, rather than a rhythm.
    plain: bool,
}

impl Cron {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else { return None };
        let mut weekdays =
            Field::parse(weekdays, 0, 7, &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"], 0)?;
        // 7 is Sunday too.
        if weekdays.bits & (1 << 7) != 0 {
            weekdays.bits |= 1;
        }
        const MONTHS: [&str; 12] =
            ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
        Some(Self {
            minutes: Field::parse(minutes, 0, 59, &[], 0)?,
            hours: Field::parse(hours, 0, 23, &[], 0)?,
            days: Field::parse(days, 1, 31, &[], 0)?,
            months: Field::parse(months, 1, 12, &MONTHS, 1)?,
            weekdays,
        })
    }

    /// Whether a local minute is one of its times.
    pub(crate) fn matches(&self, local: NaiveDateTime) -> bool {
        let day = self.days.has(local.day());
        let weekday = self.weekdays.has(local.weekday().num_days_from_sunday());
        let date = if self.days.star || self.weekdays.star { day && weekday } else { day || weekday };
        date && self.months.has(local.month())
            && self.hours.has(local.hour())
            && self.minutes.has(local.minute())
    }

    /// Whether it names times of day (and so runs once a day even when clocks change) rather than a rhythm.
    pub(crate) fn is_fixed(&self) -> bool {
        self.hours.plain
    }
}

impl Field {
    fn parse(text: &str, least: u32, most: u32, names: &[&str], first_name: u32) -> Option<Self> {
        let number = |word: &str| -> Option<u32> {
            let value = match names.iter().position(|name| name.eq_ignore_ascii_case(word)) {
                Some(index) => first_name + index as u32,
                None => word.parse().ok()?,
            };
            (least..=most).contains(&value).then_some(value)
        };
        let mut field = Self { bits: 0, star: text.starts_with('*'), plain: true };
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, Some(step.parse::<u32>().ok().filter(|step| *step > 0)?)),
                None => (part, None),
            };
            let (from, to) = match (range, range.split_once('-'), step) {
                ("*", _, _) => (least, most),
                (_, Some((from, to)), _) => (number(from)?, number(to)?),
                (_, None, Some(_)) => (number(range)?, most),
                (_, None, None) => (number(range)?, number(range)?),
            };
            if from > to {
                return None;
            }
            field.plain &= from == to && step.is_none() && range != "*";
            for value in (from..=to).step_by(step.unwrap_or(1) as usize) {
                field.bits |= 1 << value;
            }
        }
        Some(field)
    }

    fn has(&self, value: u32) -> bool {
        self.bits & (1 << value) != 0
    }
}
