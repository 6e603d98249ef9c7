//! One field of a cron expression.

use std::collections::BTreeSet;
use std::fmt;

use super::expression::{Fault, Token};

/// Which field it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldKind {
    Second,
    Minute,
    Hour,
    DayOfMonth,
    Month,
    DayOfWeek,
    /// Quartz counts from Sunday, which is 1.
    QuartzDayOfWeek,
    Year,
}

/// The values of one field, spelled out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    /// It is `*` or `?`: every value.
    any: bool,
    /// It begins with `*` and is more than that.
    starred_step: bool,
    /// It is numbers or names only, without ranges or steps.
    plain: bool,
    values: BTreeSet<u16>,
    /// `L`, `LW`, `15W`, `5L`, `5#2`, as the engine spells them.
    specials: BTreeSet<String>,
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl FieldKind {
    fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek | Self::QuartzDayOfWeek => "day of week",
            Self::Year => "year",
        }
    }

    /// The least and the greatest number. Sunday is 0; it may be written as 7 too.
    fn bounds(self) -> (u16, u16) {
        match self {
            Self::Second | Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::DayOfMonth => (1, 31),
            Self::Month => (1, 12),
            Self::DayOfWeek => (0, 6),
            Self::QuartzDayOfWeek => (1, 7),
            Self::Year => (1970, 2099),
        }
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Second | Self::Minute | Self::Hour | Self::DayOfMonth | Self::Year => &[],
            Self::Month => &MONTHS,
            Self::DayOfWeek | Self::QuartzDayOfWeek => &WEEKDAYS,
        }
    }

    fn allowed(self) -> &'static str {
        match self {
            Self::Second | Self::Minute => "0-59",
            Self::Hour => "0-23",
            Self::DayOfMonth => "1-31, L, LW, or a day such as 15W",
            Self::Month => "1-12 or JAN-DEC",
            Self::DayOfWeek => "0-7 (0 and 7 are Sunday), SUN-SAT, or one such as 5L or FRI#2",
            Self::QuartzDayOfWeek => "1-7 (1 is Sunday), SUN-SAT, L, or one such as 6L or FRI#2",
            Self::Year => "1970-2099",
        }
    }

    /// The number as the engine counts it: Sunday is 0.
    fn engine_number(self, value: u16) -> u16 {
        match self {
            Self::DayOfWeek => value % 7,
            Self::QuartzDayOfWeek => value - 1,
            Self::Second | Self::Minute | Self::Hour | Self::DayOfMonth | Self::Month | Self::Year => value,
        }
    }

    fn is_day(self) -> bool {
        matches!(self, Self::DayOfMonth | Self::DayOfWeek | Self::QuartzDayOfWeek)
    }
}

impl Field {
    pub(super) fn parse(kind: FieldKind, token: Token<'_>) -> Result<Self, Fault> {
        let mut field = Self {
            any: token.text == "*" || kind.is_day() && token.text == "?",
            starred_step: token.text.starts_with('*') && token.text != "*",
            plain: true,
            values: BTreeSet::new(),
            specials: BTreeSet::new(),
        };
        if field.any {
            field.plain = false;
            return Ok(field);
        }
        let mut position = token.position;
        for text in token.text.split(',') {
            field.add(kind, Token { position, text })?;
            position += text.chars().count() + 1;
        }
        // The engine would read the two together as the last alone.
        if field.specials.contains("L") && field.specials.contains("LW") {
            return Err(Fault::new(token.position, "day of month: L and LW cannot be combined"));
        }
        Ok(field)
    }

    pub(super) fn is_plain_numbers(&self) -> bool {
        self.plain
    }

    /// The greatest of its values, where it does not take every value.
    pub(super) fn last(&self) -> Option<u16> {
        self.values.last().copied()
    }

    pub(super) fn begins_with_star(&self) -> bool {
        self.starred_step
    }

    /// Adds one item of the list.
    fn add(&mut self, kind: FieldKind, item: Token<'_>) -> Result<(), Fault> {
        let name = kind.name();
        if item.text.is_empty() {
            let message = format!("{name}: a value is missing; allowed are {}", kind.allowed());
            return Err(Fault::new(item.position, message));
        }
        if let Some(special) = special(kind, item)? {
            self.plain = false;
            self.specials.insert(special);
            return Ok(());
        }
        let (base, step) = match item.text.split_once('/') {
            Some((base, step)) => {
                let position = item.position + base.chars().count() + 1;
                (Token { text: base, ..item }, Some(parse_step(kind, Token { position, text: step })?))
            }
            None => (item, None),
        };
        let (least, greatest) = kind.bounds();
        let (first, last) = if base.text == "*" {
            if step.is_none() {
                return Err(Fault::new(
                    base.position,
                    format!("{name}: `*` in a list; it stands alone or has a step"),
                ));
            }
            (least, greatest)
        } else if let Some((first, last)) = base.text.split_once('-') {
            self.plain = false;
            range(kind, base, first, last)?
        } else {
            let value = value(kind, base)?;
            // `5/15` means from 5 on.
            (value, if step.is_some() { greatest.max(value) } else { value })
        };
        self.plain &= step.is_none();
        for value in (first..=last).step_by(step.unwrap_or(1)) {
            self.values.insert(kind.engine_number(value));
        }
        Ok(())
    }
}

/// As the engine reads it: values listed one by one.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.any {
            return f.write_str("*");
        }
        let values = self.values.iter().map(u16::to_string);
        let all: Vec<String> = values.chain(self.specials.iter().cloned()).collect();
        f.write_str(&all.join(","))
    }
}

fn range(kind: FieldKind, whole: Token<'_>, first: &str, last: &str) -> Result<(u16, u16), Fault> {
    let from = value(kind, Token { text: first, ..whole })?;
    let position = whole.position + first.chars().count() + 1;
    let to = value(kind, Token { position, text: last })?;
    // At the end of a range Sunday is 7: FRI-SUN.
    let to = if kind == FieldKind::DayOfWeek && to == 0 && from > 0 { 7 } else { to };
    if from > to {
        let (least, greatest) = kind.bounds();
        let message = format!(
            "{}: `{}` runs backwards; write it as two, `{from}-{greatest},{least}-{to}`",
            kind.name(),
            whole.text
        );
        return Err(Fault::new(whole.position, message));
    }
    Ok((from, to))
}

fn value(kind: FieldKind, token: Token<'_>) -> Result<u16, Fault> {
    let fault = |what: String| {
        Err(Fault::new(token.position, format!("{}: {what}; allowed are {}", kind.name(), kind.allowed())))
    };
    let (least, greatest) = kind.bounds();
    if let Some(index) = kind.names().iter().position(|name| name.eq_ignore_ascii_case(token.text)) {
        return u16::try_from(index)
            .map_or_else(|_| fault("out of range".to_owned()), |index| Ok(index + least));
    }
    if token.text.is_empty() {
        return fault("a value is missing".to_owned());
    }
    if !token.text.bytes().all(|byte| byte.is_ascii_digit()) {
        return fault(format!("`{}` is not understood", token.text));
    }
    // 7 is Sunday as well.
    let greatest = if kind == FieldKind::DayOfWeek { 7 } else { greatest };
    match token.text.parse::<u16>() {
        Ok(value) if (least..=greatest).contains(&value) => Ok(value),
        Ok(_) | Err(_) => fault(format!("{} is out of range", token.text)),
    }
}

fn parse_step(kind: FieldKind, token: Token<'_>) -> Result<usize, Fault> {
    let (least, greatest) = kind.bounds();
    let most = usize::from(greatest - least) + 1;
    match token.text.parse::<usize>() {
        Ok(step) if (1..=most).contains(&step) && !token.text.starts_with('+') => Ok(step),
        Ok(_) | Err(_) => {
            let message =
                format!("{}: the step `{}` is not a number from 1 to {most}", kind.name(), token.text);
            Err(Fault::new(token.position, message))
        }
    }
}

/// `L`, `LW` and `15W` of a day of month, `5L` and `5#2` of a day of week, as the engine spells them.
fn special(kind: FieldKind, item: Token<'_>) -> Result<Option<String>, Fault> {
    let text = item.text.to_uppercase();
    match kind {
        FieldKind::Second | FieldKind::Minute | FieldKind::Hour | FieldKind::Month | FieldKind::Year => {
            Ok(None)
        }
        FieldKind::DayOfMonth => match text.as_str() {
            "L" | "LW" => Ok(Some(text)),
            "WL" => Err(Fault::new(item.position, "day of month: the last weekday is written LW")),
            _ => match text.strip_suffix('W') {
                Some(day) => Ok(Some(format!("{}W", value(kind, Token { text: day, ..item })?))),
                None => Ok(None),
            },
        },
        // The last day of a week.
        FieldKind::QuartzDayOfWeek if text == "L" => Ok(Some("6".to_owned())),
        FieldKind::DayOfWeek if text == "L" => {
            let message = "day of week: `L` needs a day: the last Friday of a month is 5L or FRIL";
            Err(Fault::new(item.position, message))
        }
        FieldKind::DayOfWeek | FieldKind::QuartzDayOfWeek => {
            if let Some((day, nth)) = text.split_once('#') {
                let weekday = kind.engine_number(value(kind, Token { text: day, ..item })?);
                let position = item.position + day.chars().count() + 1;
                return match nth {
                    "1" | "2" | "3" | "4" | "5" => Ok(Some(format!("{weekday}#{nth}"))),
                    "L" => Ok(Some(format!("{weekday}L"))),
                    _ => {
                        let message = format!("day of week: `#{nth}` is not one of #1 to #5");
                        Err(Fault::new(position, message))
                    }
                };
            }
            match text.strip_suffix('L') {
                Some(day) => {
                    let weekday = kind.engine_number(value(kind, Token { text: day, ..item })?);
                    Ok(Some(format!("{weekday}L")))
                }
                None => Ok(None),
            }
        }
    }
}
