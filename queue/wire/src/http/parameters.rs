//! What single parameters of a node's endpoints say.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{HttpError, Query};

/// How the messages of `/mpub` stand in its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MpubForm {
    /// One a line.
    Lines,
    /// As in the body of the command.
    Binary,
    /// The same, asked for by a value that NSQ takes and warns of.
    BinaryByAnyValue,
}

impl Query {
    /// `defer`: for how many milliseconds messages are put off; none when it is not there.
    ///
    /// # Errors
    /// `INVALID_DEFER` for what is no number, negative, or longer than `longest`.
    pub fn defer(&self, longest: Duration) -> Result<Duration, HttpError> {
        let Some(given) = self.get("defer") else { return Ok(Duration::ZERO) };
        let delay_ms = given.parse::<i64>().ok().and_then(|delay_ms| u64::try_from(delay_ms).ok());
        delay_ms
            .map(Duration::from_millis)
            .filter(|delay| *delay <= longest)
            .ok_or(HttpError::new(400, "INVALID_DEFER"))
    }

    /// `binary` of `/mpub`.
    pub fn mpub_form(&self) -> MpubForm {
        match self.get("binary") {
            None | Some("false" | "0") => MpubForm::Lines,
            Some("true" | "1") => MpubForm::Binary,
            Some(_) => MpubForm::BinaryByAnyValue,
        }
    }

    /// A number of `range`, or `default` when it is not there.
    ///
    /// # Errors
    /// `invalid`, a code such as `INVALID_ARG_COUNT`, for anything else.
    pub fn number(
        &self,
        name: &str,
        default: usize,
        range: RangeInclusive<usize>,
        invalid: &'static str,
    ) -> Result<usize, HttpError> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or(HttpError::new(400, invalid))
    }

    /// A time such as `2h`, which must be there.
    ///
    /// # Errors
    /// `missing` or `invalid`, codes such as `MISSING_ARG_BACK` and `INVALID_ARG_BACK`.
    pub fn duration(
        &self,
        name: &str,
        missing: &'static str,
        invalid: &'static str,
    ) -> Result<Duration, HttpError> {
        let text = self.require(name, missing)?;
        humantime::parse_duration(text).map_err(|_| HttpError::new(400, invalid))
    }

    /// `for`, in milliseconds; `None` for 0, which is for ever.
    ///
    /// # Errors
    /// `MISSING_ARG_FOR`, or `INVALID_ARG_FOR` for what is no time or less than a millisecond.
    pub fn for_ms(&self) -> Result<Option<u64>, HttpError> {
        const INVALID: &str = "INVALID_ARG_FOR";
        if self.get("for") == Some("0") {
            return Ok(None);
        }
        let duration = self.duration("for", "MISSING_ARG_FOR", INVALID)?;
        let ms = u64::try_from(duration.as_millis()).ok().filter(|ms| *ms > 0);
        ms.map(Some).ok_or(HttpError::new(400, INVALID))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::parse(text).unwrap()
    }

    #[test]
    fn a_delay_is_a_number_of_milliseconds_within_the_limit() {
        let defer = |text| query(text).defer(Duration::from_secs(1)).map_err(|error| error.code);
        assert_eq!(defer(""), Ok(Duration::ZERO));
        assert_eq!(defer("defer=1000"), Ok(Duration::from_secs(1)));
        for bad in ["defer=1001", "defer=-1", "defer=", "defer=1.5", "defer=99999999999999999999"] {
            assert_eq!(defer(bad), Err("INVALID_DEFER".into()), "{bad}");
        }
    }

    #[test]
    fn any_value_but_a_false_one_asks_for_the_binary_form() {
        for (text, expected) in [
            ("", MpubForm::Lines),
            ("binary=false", MpubForm::Lines),
            ("binary=0", MpubForm::Lines),
            ("binary=true", MpubForm::Binary),
            ("binary=1", MpubForm::Binary),
            ("binary", MpubForm::BinaryByAnyValue),
            ("binary=no", MpubForm::BinaryByAnyValue),
        ] {
            assert_eq!(query(text).mpub_form(), expected, "{text}");
        }
    }

    #[test]
    fn times_and_numbers_are_what_they_should_be_or_are_refused() {
        assert_eq!(query("for=0").for_ms(), Ok(None));
        assert_eq!(query("for=1h+30m").for_ms(), Ok(Some(5_400_000)));
        for bad in ["for=", "for=0s", "for=1us", "for=soon", "for=-1s"] {
            assert_eq!(query(bad).for_ms(), Err(HttpError::new(400, "INVALID_ARG_FOR")), "{bad}");
        }
        assert_eq!(query("").for_ms(), Err(HttpError::new(400, "MISSING_ARG_FOR")));
        let count = |text| query(text).number("count", 10, 1..=100, "INVALID_ARG_COUNT").ok();
        assert_eq!(
            ["", "count=100", "count=0", "count=101", "count=x"].map(count),
            [Some(10), Some(100), None, None, None]
        );
    }
}
