//! Dates in file names, as strftime writes them.

use std::fmt::Write as _;

use chrono::{DateTime, FixedOffset};

/// What stands for itself in chrono too.
const KNOWN: &str = "aAbBdeFHIjklmMpRsSTyYz";

/// `format` with every conversion replaced. Those that nsq_to_file does not know stay as they are, as there.
pub(super) fn strftime(format: &str, time: &DateTime<FixedOffset>) -> String {
    let mut text = String::with_capacity(format.len() + 16);
    let mut rest = format.chars();
    while let Some(next) = rest.next() {
        if next != '%' {
            text.push(next);
            continue;
        }
        match rest.clone().next() {
            Some('%') => text.push('%'),
            Some('Z') => text.push_str(&zone(time)),
            Some(conversion) if KNOWN.contains(conversion) => {
                // The conversion is one that chrono has, and a String takes all that is written.
                let _never_fails = write!(text, "{}", time.format(&format!("%{conversion}")));
            }
            Some(_) | None => {
                text.push('%');
                continue;
            }
        }
        rest.next();
    }
    text
}

/// The zone's name as far as an offset tells it: `UTC`, `+02`, `+0530`.
fn zone(time: &DateTime<FixedOffset>) -> String {
    let offset = time.format("%z").to_string();
    match offset.as_str() {
        "+0000" => "UTC".to_owned(),
        other => other.strip_suffix("00").unwrap_or(other).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(format: &str, time: &str, expect: &str) {
        let time = DateTime::parse_from_rfc3339(time).unwrap();
        assert_eq!(strftime(format, &time), expect);
    }

    #[test]
    fn the_conversions_of_nsq_to_file_are_replaced() {
        let time = "2026-02-03T15:04:05+02:00";
        check("%Y-%m-%d_%H", time, "2026-02-03_15");
        check("%y %B %b %A %a", time, "26 February Feb Tuesday Tue");
        check("%I:%M:%S %p", time, "03:04:05 PM");
        check("%z %Z", time, "+0200 +02");
        check("%Y/%m/%d/%H%M", time, "2026/02/03/1504");
        check("%F %T %R %j", time, "2026-02-03 15:04:05 15:04 034");
    }

    #[test]
    fn zones_are_named_by_their_offset() {
        check("%Z", "2026-02-03T15:04:05Z", "UTC");
        check("%Z", "2026-02-03T15:04:05+05:30", "+0530");
        check("%Z", "2026-02-03T15:04:05-10:00", "-10");
    }

    #[test]
    fn what_is_no_conversion_stays() {
        let time = "2026-02-03T15:04:05Z";
        check("", time, "");
        check("100%", time, "100%");
        check("%%H", time, "%H");
        check("%Q%é%", time, "%Q%é%");
        check("<REV>-%H", time, "<REV>-15");
    }
}
