//! The lines of a recurrence, with civil times in all of them.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

/// What the lines say.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) start: Option<NaiveDateTime>,
    /// As the engine reads it.
    pub(super) rule: Option<String>,
    pub(super) added: Vec<NaiveDateTime>,
    pub(super) removed: Vec<NaiveDateTime>,
}

/// The most dates that may be added or removed.
const MOST_DATES: usize = 1_000;

impl Lines {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut lines = Self::default();
        // White space separates as a line break does, so that a rule fits one line of YAML.
        for line in text.split_whitespace() {
            let (name, value) = match line.split_once(':') {
                Some((name, value)) => (name, value),
                None if line.to_uppercase().starts_with("FREQ=") => ("RRULE", line),
                None => {
                    return Err(format!(
                        "`{line}` is none of the lines DTSTART:, RRULE:, RDATE: and EXDATE:"
                    ));
                }
            };
            let mut name = name.split(';');
            let property = name.next().unwrap_or_default().to_uppercase();
            if let Some(zone) = name.find(|parameter| parameter.to_uppercase().starts_with("TZID=")) {
                return Err(format!("`{zone}`: the zone has its own field, `zone`; write local times"));
            }
            match property.as_str() {
                "DTSTART" if lines.start.is_some() => return Err("has two DTSTART".to_owned()),
                "DTSTART" => lines.start = Some(civil(value)?),
                "RRULE" if lines.rule.is_some() => {
                    return Err("has two RRULE; give each a schedule of its own".to_owned());
                }
                "RRULE" => lines.rule = Some(rule(value)?),
                "RDATE" => lines.added.extend(dates(value)?),
                "EXDATE" => lines.removed.extend(dates(value)?),
                _ => {
                    return Err(format!("`{property}` is none of DTSTART, RRULE, RDATE and EXDATE"));
                }
            }
        }
        if lines.added.len().max(lines.removed.len()) > MOST_DATES {
            return Err(format!("has more than {MOST_DATES} dates; put those to be left out in a calendar"));
        }
        Ok(lines)
    }
}

/// The rule with its UNTIL as the engine wants it.
fn rule(value: &str) -> Result<String, String> {
    let parts = value.trim_end_matches(';').split(';').map(|part| match part.split_once('=') {
        Some((name, until)) if name.eq_ignore_ascii_case("UNTIL") => {
            // A date alone includes its whole day.
            let end = if until.contains(['T', 't']) {
                civil(until)?
            } else {
                civil(until)?.date().and_hms_opt(23, 59, 59).unwrap_or_default()
            };
            Ok(format!("UNTIL={}Z", end.format("%Y%m%dT%H%M%S")))
        }
        Some(_) => Ok(part.to_uppercase()),
        None => Err(format!("`{part}` in the RRULE is no NAME=VALUE")),
    });
    Ok(parts.collect::<Result<Vec<_>, String>>()?.join(";"))
}

fn dates(value: &str) -> Result<Vec<NaiveDateTime>, String> {
    value.split(',').map(civil).collect()
}

/// `20260105T090000` or `20260105`, which begins the day.
fn civil(value: &str) -> Result<NaiveDateTime, String> {
    if value.ends_with(['Z', 'z']) {
        return Err(format!(
            "`{value}` is a time of UTC: write it in the zone of the schedule, without the Z"
        ));
    }
    let upper = value.to_uppercase();
    NaiveDateTime::parse_from_str(&upper, "%Y%m%dT%H%M%S")
        .ok()
        .or_else(|| Some(NaiveDate::parse_from_str(&upper, "%Y%m%d").ok()?.and_time(NaiveTime::MIN)))
        .ok_or_else(|| format!("`{value}` is no date such as 20260105T090000 or 20260105"))
}
