use chrono::{DateTime, SecondsFormat, Utc};
use prost_types::Timestamp;

/// An instant in UTC, to the millisecond where it has any: `2026-12-01 09:00:00Z`. Empty for none.
pub(crate) fn instant(at: Option<&Timestamp>) -> String {
    let Some(at) = at.and_then(utc) else { return String::new() };
    let precision =
        if at.timestamp_subsec_millis() == 0 { SecondsFormat::Secs } else { SecondsFormat::Millis };
    at.to_rfc3339_opts(precision, true).replacen('T', " ", 1)
}

/// The time from one instant to another: `12ms`, `1.5s`, `2m 5s`. Empty unless both are known.
pub(crate) fn between(from: Option<&Timestamp>, to: Option<&Timestamp>) -> String {
    match (from.and_then(utc), to.and_then(utc)) {
        (Some(from), Some(to)) => span((to - from).num_milliseconds()),
        _ => String::new(),
    }
}

/// A length of time in milliseconds, to a precision people want.
fn span(millis: i64) -> String {
    let (sign, size) = (if millis < 0 { "-" } else { "" }, millis.unsigned_abs());
    match size {
        0..1_000 => format!("{sign}{size}ms"),
        1_000..60_000 => format!("{sign}{}.{}s", size / 1_000, size % 1_000 / 100),
        _ => format!("{sign}{}", humantime::format_duration(std::time::Duration::from_secs(size / 1_000))),
    }
}

fn utc(at: &Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_utc_with_milliseconds_only_where_there_are_any() {
        let at = |seconds, nanos| instant(Some(&Timestamp { seconds, nanos }));
        assert_eq!(at(1_796_115_600, 0), "2026-12-01 09:00:00Z");
        assert_eq!(at(1_796_115_600, 4_000_000), "2026-12-01 09:00:00.004Z");
        assert_eq!(at(i64::MAX, 0), "");
        assert_eq!(instant(None), "");
    }

    #[test]
    fn lengths_have_the_precision_people_want() {
        for (millis, expect) in
            [(0, "0ms"), (999, "999ms"), (1_050, "1.0s"), (59_999, "59.9s"), (125_000, "2m 5s"), (-7, "-7ms")]
        {
            assert_eq!(span(millis), expect);
        }
    }
}
