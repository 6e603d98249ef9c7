//! The five fields of a cron expression.

use super::field::{Field, FieldKind};

/// A cron expression, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expression {
    minute: Field,
    hour: Field,
    day_of_month: Field,
    month: Field,
    day_of_week: Field,
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

const FIELDS: &str = "minute, hour, day of month, month, day of week";

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
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let tokens = tokens(text);
        let Some(first) = tokens.first() else {
            return Err(Fault::new(
                0,
                format!("empty; expected five fields ({FIELDS}) or a nickname such as @daily"),
            ));
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
        let [minute, hour, day_of_month, month, day_of_week] = tokens[..] else {
            return Err(wrong_count(text, &tokens));
        };
        Ok(Self {
            minute: Field::parse(FieldKind::Minute, minute)?,
            hour: Field::parse(FieldKind::Hour, hour)?,
            day_of_month: Field::parse(FieldKind::DayOfMonth, day_of_month)?,
            month: Field::parse(FieldKind::Month, month)?,
            day_of_week: Field::parse(FieldKind::DayOfWeek, day_of_week)?,
        })
    }

    /// Whether the hour field is plain numbers.
    pub(super) fn is_fixed_time(&self) -> bool {
        self.hour.is_plain_numbers()
    }

    /// Whether a day must match both day fields although both are restricted. Vixie cron reads a field that begins
    /// with `*`, such as `*/2`, as one that only narrows the other, and only two fields without a star as "either".
    pub(super) fn needs_both_days(&self) -> bool {
        self.day_of_month.begins_with_star() || self.day_of_week.begins_with_star()
    }

    /// The same with every value listed, in capitals.
    pub(super) fn spelled_out(&self) -> String {
        let Self { minute, hour, day_of_month, month, day_of_week } = self;
        format!("{minute} {hour} {day_of_month} {month} {day_of_week}")
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
        Self::parse(meaning)
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

fn wrong_count(text: &str, tokens: &[Token<'_>]) -> Fault {
    match tokens {
        [_, _, _, _, _, sixth] => Fault::new(
            sixth.position,
            format!(
                "six fields can be read in two ways: Quartz and dkron put seconds first, Temporal and Nomad the year \
                 last; write five ({FIELDS})"
            ),
        ),
        [_, _, _, _, _, sixth, _] => Fault::new(
            sixth.position,
            format!(
                "seven fields put seconds first and the year last, as Quartz does; write five ({FIELDS})"
            ),
        ),
        [_, _, _, _, _, sixth, ..] => {
            Fault::new(sixth.position, format!("found {} fields, expected five: {FIELDS}", tokens.len()))
        }
        _ => {
            let end = text.trim_end().chars().count();
            let plural = if tokens.len() == 1 { "" } else { "s" };
            Fault::new(end, format!("found {} field{plural}, expected five: {FIELDS}", tokens.len()))
        }
    }
}
