//! Durations as Go writes them.

use std::{fmt, time::Duration};

/// Nanoseconds of each unit; the longer name of two that begin alike comes first.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Digits after the point that a nanosecond has room for.
const MOST_FRACTION_DIGITS: usize = 9;

/// Why a text is no duration, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GoDurationError {
    /// No number where one should be.
    #[error("time: invalid duration {0:?}")]
    Invalid(String),
    /// A number without a unit.
    #[error("time: missing unit in duration {0:?}")]
    MissingUnit(String),
    /// A unit that there is not.
    #[error("time: unknown unit in duration {0:?}")]
    UnknownUnit(String),
    /// Less than nothing, which nothing here can take.
    #[error("duration {0:?} is negative")]
    Negative(String),
    /// More than Go can hold, 292 years.
    #[error("time: invalid duration {0:?}")]
    TooLong(String),
}

/// Reads a duration such as `1h2m3s`, `250ms`, `1.5s` or `0`.
///
/// # Errors
/// It is none, or below zero.
pub fn parse(text: &str) -> Result<Duration, GoDurationError> {
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if unsigned.starts_with('-') {
        return Err(GoDurationError::Negative(text.to_owned()));
    }
    if unsigned == "0" {
        return Ok(Duration::ZERO);
    }
    if unsigned.is_empty() {
        return Err(GoDurationError::Invalid(text.to_owned()));
    }
    let mut nanos = 0_u128;
    let mut rest = unsigned;
    while !rest.is_empty() {
        let (part, after) = leading_part(rest, text)?;
        nanos = nanos.saturating_add(part);
        rest = after;
    }
    let nanos = u64::try_from(nanos).ok().filter(|nanos| i64::try_from(*nanos).is_ok());
    nanos.map(Duration::from_nanos).ok_or_else(|| GoDurationError::TooLong(text.to_owned()))
}

/// A duration of whole milliseconds, or one as Go writes it: what NSQ takes where a flag used to be a number.
///
/// # Errors
/// As [`parse`].
pub fn parse_or_millis(text: &str) -> Result<Duration, GoDurationError> {
    match text.parse() {
        Ok(millis) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Duration::from_millis(millis)),
        _ => parse(text),
    }
}

/// The nanoseconds of the number and unit in front, and what comes after.
fn leading_part<'a>(rest: &'a str, whole: &str) -> Result<(u128, &'a str), GoDurationError> {
    let number =
        |text: &'a str| text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let invalid = || GoDurationError::Invalid(whole.to_owned());
    let (digits, rest) = number(rest);
    let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), number);
    if digits.is_empty() && fraction.is_empty() {
        return Err(invalid());
    }
    let unit_end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    let unit_nanos = match UNITS.iter().find(|(name, _)| *name == unit) {
        Some((_, nanos)) => *nanos,
        None if unit.is_empty() => return Err(GoDurationError::MissingUnit(whole.to_owned())),
        None => return Err(GoDurationError::UnknownUnit(whole.to_owned())),
    };
    let units: u64 = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| invalid())? };
    let fraction = &fraction[..fraction.len().min(MOST_FRACTION_DIGITS)];
    let parts: u64 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| invalid())? };
    let part_nanos = u128::from(parts) * unit_nanos / 10_u128.pow(fraction.len() as u32);
    Ok((u128::from(units) * unit_nanos + part_nanos, rest))
}

/// Writes a duration as Go prints it: `1h0m0s`, `1.5s`, `250ms`, `0s`.
#[derive(Debug, Clone, Copy)]
pub struct GoDuration(pub Duration);

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        if let Some((unit, name)) = [(1_000, "ns"), (1_000_000, "\u{b5}s"), (1_000_000_000, "ms")]
            .into_iter()
            .find(|(limit, _)| nanos < *limit)
        {
            return write!(f, "{}{name}", decimal(nanos, unit / 1_000));
        }
        let seconds = self.0.as_secs();
        if seconds >= 3_600 {
            write!(f, "{}h", seconds / 3_600)?;
        }
        if seconds >= 60 {
            write!(f, "{}m", seconds / 60 % 60)?;
        }
        write!(f, "{}s", decimal(nanos % 60_000_000_000, 1_000_000_000))
    }
}

/// `nanos` in a unit, without zeros behind the point.
fn decimal(nanos: u128, unit: u128) -> String {
    let digits = unit.ilog10() as usize;
    let whole = nanos / unit;
    let fraction = format!("{:0digits$}", nanos % unit);
    match fraction.trim_end_matches('0') {
        _ if digits == 0 => whole.to_string(),
        "" => whole.to_string(),
        fraction => format!("{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, nanos: u64) {
        assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)));
    }

    #[test]
    fn what_go_takes_for_a_duration_is_taken() {
        check("0", 0);
        check("0s", 0);
        check("250ms", 250_000_000);
        check("1.5s", 1_500_000_000);
        check(".5s", 500_000_000);
        check("5.s", 5_000_000_000);
        check("+3us", 3_000);
        check("3\u{b5}s", 3_000);
        check("3\u{3bc}s", 3_000);
        check("1h2m3s", 3_723_000_000_000);
        check("1h2m3.000000004s", 3_723_000_000_004);
        check("0.100000000000000000000h", 360_000_000_000);
        check("2562047h", 9_223_369_200_000_000_000);
    }

    #[test]
    fn what_is_no_duration_is_refused_in_go_s_words() {
        let error = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(error("60"), "time: missing unit in duration \"60\"");
        assert_eq!(error("3d"), "time: unknown unit in duration \"3d\"");
        assert_eq!(error(""), "time: invalid duration \"\"");
        assert_eq!(error("s"), "time: invalid duration \"s\"");
        assert_eq!(error("1s "), "time: unknown unit in duration \"1s \"");
        assert_eq!(error("9999999h"), "time: invalid duration \"9999999h\"");
        assert_eq!(error("99999999999999999999999s"), "time: invalid duration \"99999999999999999999999s\"");
        assert_eq!(error("-1s"), "duration \"-1s\" is negative");
    }

    #[test]
    fn a_bare_number_is_milliseconds_where_it_used_to_be() {
        assert_eq!(parse_or_millis("1500"), Ok(Duration::from_millis(1_500)));
        assert_eq!(parse_or_millis("2s"), Ok(Duration::from_secs(2)));
        assert!(parse_or_millis("+5").is_err());
    }

    #[test]
    fn a_duration_is_written_as_go_writes_it() {
        let written = |nanos| GoDuration(Duration::from_nanos(nanos)).to_string();
        assert_eq!(written(0), "0s");
        assert_eq!(written(17), "17ns");
        assert_eq!(written(1_500), "1.5\u{b5}s");
        assert_eq!(written(250_000_000), "250ms");
        assert_eq!(written(2_000_000_000), "2s");
        assert_eq!(written(90_500_000_000), "1m30.5s");
        assert_eq!(written(3_600_000_000_000), "1h0m0s");
        assert_eq!(parse(&written(3_723_000_000_004)), Ok(Duration::from_nanos(3_723_000_000_004)));
    }
}
