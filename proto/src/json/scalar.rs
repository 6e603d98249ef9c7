//! Values without parts: numbers, texts, enum values, durations and instants.

use prost::Message as _;
use prost_reflect::{
    DynamicMessage, EnumDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value as Field,
};
use prost_types::{Duration, Timestamp};
use serde_json::Value;

use super::error::{JsonError, JsonErrorKind, nearest};
use super::prefix;

/// Reads a scalar of any kind but `bytes` and messages.
pub(super) fn read(kind: &Kind, value: Value) -> Result<Field, JsonError> {
    Ok(match kind {
        Kind::Bool => Field::Bool(value.as_bool().ok_or_else(|| wrong_type("true or false", &value))?),
        Kind::String => match value {
            Value::String(text) => Field::String(text),
            other => return Err(wrong_type("a text", &other)),
        },
        Kind::Uint32 | Kind::Fixed32 => Field::U32(integer(&value)?),
        Kind::Uint64 | Kind::Fixed64 => Field::U64(integer(&value)?),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Field::I32(integer(&value)?),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Field::I64(integer(&value)?),
        Kind::Double => Field::F64(real(&value)?),
        #[expect(clippy::cast_possible_truncation, reason = "a float field holds what a float can")]
        Kind::Float => Field::F32(real(&value)? as f32),
        Kind::Enum(kind) => Field::EnumNumber(enum_number(kind, &value)?),
        Kind::Bytes | Kind::Message(_) => unreachable!("bytes are used nowhere, and messages are read apart"),
    })
}

fn integer<N: TryFrom<i128>>(value: &Value) -> Result<N, JsonError> {
    let wrong = || wrong_type("a whole number", value);
    let number = match value {
        Value::Number(number) => match number.as_i128() {
            Some(number) => number,
            // 1.0 and 1e3 are whole numbers too.
            None => whole(number.as_f64().ok_or_else(wrong)?).ok_or_else(wrong)?,
        },
        Value::String(text) => text.parse::<i128>().map_err(|_| wrong())?,
        _ => return Err(wrong()),
    };
    N::try_from(number).map_err(|_| JsonErrorKind::OutOfRange(number.to_string()).into())
}

#[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and what saturates is out of range")]
fn whole(number: f64) -> Option<i128> {
    (number.fract() == 0.0).then_some(number as i128)
}

fn real(value: &Value) -> Result<f64, JsonError> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    };
    number.ok_or_else(|| wrong_type("a number", value))
}

fn enum_number(kind: &EnumDescriptor, value: &Value) -> Result<i32, JsonError> {
    let text = match value {
        Value::String(text) => text,
        Value::Number(_) => return integer(value),
        _ => return Err(mismatch("a text", value, false).into()),
    };
    let prefix = prefix(kind);
    let short = |name: &str| name.strip_prefix(&prefix).unwrap_or(name).to_lowercase();
    if let Some(found) =
        kind.values().find(|known| known.name() == text || short(known.name()) == text.to_lowercase())
    {
        return Ok(found.number());
    }
    let known: Vec<String> =
        kind.values().filter(|known| known.number() != 0).map(|known| short(known.name())).collect();
    let suggestion = nearest(text, known.iter().map(String::as_str));
    Err(JsonErrorKind::UnknownValue { value: text.clone(), known, suggestion }.into())
}

/// Writes an enum value: its short name, or its number where this build does not know it.
pub(super) fn write_enum(kind: &EnumDescriptor, number: i32) -> Value {
    match kind.get_value(number) {
        Some(known) => {
            Value::String(known.name().strip_prefix(&prefix(kind)).unwrap_or(known.name()).to_lowercase())
        }
        None => number.into(),
    }
}

/// Reads one of Google's own types that has a text form, given the kind of the field; `None` for other messages.
pub(super) fn read_well_known(kind: &MessageDescriptor, value: &Value) -> Option<Result<Field, JsonError>> {
    let encoded = match kind.full_name() {
        "google.protobuf.Duration" => text("a duration such as 90s", value)
            .and_then(|text| duration(text).ok_or_else(|| JsonErrorKind::Duration(text.to_owned()).into()))
            .map(|duration| duration.encode_to_vec()),
        "google.protobuf.Timestamp" => text("an instant such as 2026-12-01T09:00:00Z", value)
            .and_then(|text| instant(text).ok_or_else(|| JsonErrorKind::Instant(text.to_owned()).into()))
            .map(|instant| instant.encode_to_vec()),
        _ => return None,
    };
    Some(encoded.map(|bytes| {
        let message = DynamicMessage::decode(kind.clone(), bytes.as_slice());
        Field::Message(message.expect("both sides are made from one descriptor"))
    }))
}

/// Writes one of Google's own types that has a text form; `None` for other messages.
pub(super) fn write_well_known(message: &DynamicMessage) -> Option<Value> {
    const SAME: &str = "both sides are made from one descriptor";
    match message.descriptor().full_name() {
        "google.protobuf.Duration" => {
            Some(Value::String(message.transcode_to::<Duration>().expect(SAME).to_string()))
        }
        "google.protobuf.Timestamp" => {
            Some(Value::String(message.transcode_to::<Timestamp>().expect(SAME).to_string()))
        }
        _ => None,
    }
}

fn text<'v>(expected: &'static str, value: &'v Value) -> Result<&'v str, JsonError> {
    value.as_str().ok_or_else(|| JsonError::from(mismatch(expected, value, false)))
}

/// proto3's form first (`1.5s`), then what people write (`1h 30m`).
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    // A bare number has no unit; humantime takes `0` for a duration all the same.
    if text.ends_with(|last: char| last.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().or_else(|| humantime::parse_duration(text).ok()?.try_into().ok())
}

/// Only with its offset: without one the same text would mean another instant elsewhere.
fn instant(text: &str) -> Option<Timestamp> {
    let (_, time) = text.split_once(['T', 't', ' '])?;
    time.contains(['Z', 'z', '+', '-']).then(|| text.parse().ok()).flatten()
}

/// The error for a value of another type.
pub(super) fn wrong_type(expected: &'static str, value: &Value) -> JsonError {
    let quote = expected == "a text" && (value.is_number() || value.is_boolean());
    mismatch(expected, value, quote).into()
}

fn mismatch(expected: &'static str, value: &Value, quote: bool) -> JsonErrorKind {
    let found = match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(truth) => format!("{truth}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) if text.chars().count() <= 40 => format!("the text `{text}`"),
        Value::String(_) => "a text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    JsonErrorKind::WrongType { expected, found, quote }
}
