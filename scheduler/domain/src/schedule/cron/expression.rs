//! The fields of a cron expression.

use super::super::dialect::{Dialect, DomDow};
use super::field::{Field, FieldKind};

/// A cron expression, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expression {
    /// Where the dialect has one.
    second: Option<Field>,
    minute: Field,
    hour: Field,
    day_of_month: Field,
    month: Field,
    day_of_week: Field,
    /// Where the dialect has one.
    year: Option<Field>,
    dom_dow: DomDow,
}

/// What is wrong with an expression, and where: the index of a character, counted from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) position: usize,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(position: usize, message: impl Into<String>) -> Self {
        Self { position, message: message.into() }
    }
}

/// A stretch of text without blanks, and where it begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) position: usize,
    pub(super) text: &'a str,
}

/// The nicknames, and what they stand for.
const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

impl Expression {
    pub(super) fn parse(text: &str, dialect: Dialect, dom_dow: DomDow) -> Result<Self, Fault> {
        let tokens = tokens(text);
        let Some(first) = tokens.first() else {
            let message = format!("empty; expected {} or a nickname such as @daily", dialect.fields());
            return Err(Fault::new(0, message));
        };
        if first.text.starts_with('@') {
            return Self::nickname(*first, tokens.get(1));
        }
        if first.text.contains('=') {
            return Err(Fault::new(
                first.position,
                "a zone is not part of the expression: it has its own field, `zone`",
            ));
        }
        let (second, five, year) = match (dialect, &tokens[..]) {
            (Dialect::Standard, five) if five.len() == 5 => (None, five, None),
            (Dialect::SecondsFirst | Dialect::Quartz, [second, five @ ..]) if five.len() == 5 => {
                (Some(second), five, None)
            }
            (Dialect::YearLast, [five @ .., year]) if five.len() == 5 => (None, five, Some(year)),
            (Dialect::Quartz, [second, five @ .., year]) if five.len() == 5 => {
                (Some(second), five, Some(year))
            }
            _ => return Err(wrong_count(text, &tokens, dialect)),
        };
        let &[minute, hour, day_of_month, month, day_of_week] = five else {
            return Err(wrong_count(text, &tokens, dialect));
        };
        let weekdays = if dialect == Dialect::Quartz {
            check_question_marks(day_of_month, day_of_week)?;
            FieldKind::QuartzDayOfWeek
        } else {
            FieldKind::DayOfWeek
        };
        let optional =
            |kind, token: Option<&Token<'_>>| token.map(|token| Field::parse(kind, *token)).transpose();
        Ok(Self {
            second: optional(FieldKind::Second, second)?,
            minute: Field::parse(FieldKind::Minute, minute)?,
            hour: Field::parse(FieldKind::Hour, hour)?,
            day_of_month: Field::parse(FieldKind::DayOfMonth, day_of_month)?,
            month: Field::parse(FieldKind::Month, month)?,
            day_of_week: Field::parse(weekdays, day_of_week)?,
            year: optional(FieldKind::Year, year)?,
            dom_dow,
        })
    }

    /// Whether the hour field is plain numbers.
    pub(super) fn is_fixed_time(&self) -> bool {
        self.hour.is_plain_numbers()
    }

    /// Whether a day must match both day fields although both are restricted. Vixie cron reads a field that begins
    /// with `*`, such as `*/2`, as one that only narrows the other, and only two fields without a star as "either".
    pub(super) fn needs_both_days(&self) -> bool {
        self.dom_dow == DomDow::And
            || self.day_of_month.begins_with_star()
            || self.day_of_week.begins_with_star()
    }

    /// Whether what is spelled out begins with a second, and whether it ends with a year.
    pub(super) fn extra_fields(&self) -> (bool, bool) {
        (self.second.is_some() || self.year.is_some(), self.year.is_some())
    }

    /// The last year it names, where it does not mean all.
    pub(super) fn last_year(&self) -> Option<u16> {
        self.year.as_ref().and_then(Field::last)
    }

    /// The same with every value listed, in capitals. The engine takes a year only with a second.
    pub(super) fn spelled_out(&self) -> String {
        let Self { second, minute, hour, day_of_month, month, day_of_week, year, .. } = self;
        let five = format!("{minute} {hour} {day_of_month} {month} {day_of_week}");
        match (second, year) {
            (None, None) => five,
            (Some(second), None) => format!("{second} {five}"),
            (None, Some(year)) => format!("0 {five} {year}"),
            (Some(second), Some(year)) => format!("{second} {five} {year}"),
        }
    }

    fn nickname(name: Token<'_>, rest: Option<&Token<'_>>) -> Result<Self, Fault> {
        let lower = name.text.to_lowercase();
        if lower == "@every" {
            return Err(Fault::new(
                name.position,
                "@every is not a cron expression: use an interval, `every: 5m`",
            ));
        }
        if lower == "@reboot" {
            return Err(Fault::new(name.position, "@reboot means nothing here: a job belongs to no machine"));
        }
        let Some((_, meaning)) = NICKNAMES.iter().find(|(nickname, _)| *nickname == lower) else {
            let known: Vec<&str> = NICKNAMES.iter().map(|(nickname, _)| *nickname).collect();
            let message = format!("unknown nickname `{}`; known are {}", name.text, known.join(", "));
            return Err(Fault::new(name.position, message));
        };
        if let Some(extra) = rest {
            return Err(Fault::new(
                extra.position,
                format!("`{}` after a nickname, which stands alone", extra.text),
            ));
        }
        Self::parse(meaning, Dialect::Standard, DomDow::Or)
    }
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut start = None;
    for (position, (index, c)) in text.char_indices().enumerate() {
        match (c.is_whitespace(), start) {
            (false, None) => start = Some((position, index)),
            (true, Some((position, from))) => {
                tokens.push(Token { position, text: &text[from..index] });
                start = None;
            }
            (false, Some(_)) | (true, None) => {}
        }
    }
    if let Some((position, from)) = start {
        tokens.push(Token { position, text: &text[from..] });
    }
    tokens
}

/// Quartz wants exactly one of the day fields to be `?`; reading two that are restricted as either or both would be
/// a guess.
fn check_question_marks(day_of_month: Token<'_>, day_of_week: Token<'_>) -> Result<(), Fault> {
    match (day_of_month.text == "?", day_of_week.text == "?") {
        (true, false) | (false, true) => Ok(()),
        (true, true) => Err(Fault::new(
            day_of_week.position,
            "day of week: in the dialect quartz only one of the day fields is `?`; for every day write `* * ?`",
        )),
        (false, false) => Err(Fault::new(
            day_of_week.position,
            "day of week: in the dialect quartz one of the day fields, this or the day of month, must be `?`",
        )),
    }
}

fn wrong_count(text: &str, tokens: &[Token<'_>], dialect: Dialect) -> Fault {
    let found = tokens.len();
    match (dialect, tokens.get(5)) {
        (Dialect::Standard, Some(sixth)) if found == 6 => Fault::new(
            sixth.position,
            format!(
                "six fields can be read in two ways: Quartz and dkron put seconds first, Temporal and Nomad the year \
                 last; say which with `dialect: seconds_first` or `dialect: year_last`, or write {}",
                dialect.fields()
            ),
        ),
        (Dialect::Standard, Some(sixth)) if found == 7 => Fault::new(
            sixth.position,
            format!(
                "seven fields put seconds first and the year last, as Quartz does; say so with `dialect: quartz`, or \
                 write {}",
                dialect.fields()
            ),
        ),
        _ => {
            let most = match dialect {
                Dialect::Standard => 5,
                Dialect::SecondsFirst | Dialect::YearLast => 6,
                Dialect::Quartz => 7,
            };
            let end = text.trim_end().chars().count();
            let position = tokens.get(most).map_or(end, |extra| extra.position);
            let plural = if found == 1 { "" } else { "s" };
            Fault::new(position, format!("found {found} field{plural}, expected {}", dialect.fields()))
        }
    }
}
