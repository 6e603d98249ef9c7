//! From messages to JSON values.

use std::collections::BTreeMap;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage as _, Value as Field};
use serde_json::{Map, Value};

use super::{is_json_text, scalar};

/// Fields that are written even when empty, because people and scripts look for them.
const ALWAYS: [(&str, &[&str]); 3] = [
    ("punctual.v1.Job", &["name"]),
    ("punctual.v1.Run", &["id", "job", "state", "attempts"]),
    ("punctual.v1.PreviewScheduleResponse.Occurrence", &["at", "local", "note"]),
];

/// Writes a message as an object.
pub(super) fn message(message: &DynamicMessage) -> Value {
    let kind = message.descriptor();
    let always =
        ALWAYS.iter().find(|(name, _)| *name == kind.full_name()).map_or(&[][..], |(_, names)| names);
    let mut fields = Map::new();
    for field in kind.fields() {
        if message.has_field(&field) || (always.contains(&field.name()) && !field.supports_presence()) {
            fields.insert(field.name().to_owned(), write_field(&field, &message.get_field(&field)));
        }
    }
    Value::Object(fields)
}

fn write_field(field: &FieldDescriptor, value: &Field) -> Value {
    let kind = field.kind();
    match value {
        Field::List(values) => values.iter().map(|value| one(&kind, value)).collect(),
        Field::Map(entries) => {
            let kind =
                kind.as_message().expect("a map's entries are messages").map_entry_value_field().kind();
            // In key order, so that equal messages are written alike.
            let entries: BTreeMap<&str, &Field> =
                entries.iter().map(|(key, value)| (key.as_str().unwrap_or_default(), value)).collect();
            entries.into_iter().map(|(key, value)| (key.to_owned(), one(&kind, value))).collect()
        }
        Field::String(text) if is_json_text(field) => {
            // Texts that are no JSON were never accepted by a server; they are still shown.
            serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()))
        }
        value => one(&kind, value),
    }
}

fn one(kind: &Kind, value: &Field) -> Value {
    match (kind, value) {
        (Kind::Enum(kind), Field::EnumNumber(number)) => scalar::write_enum(kind, *number),
        (_, Field::Message(inner)) => scalar::write_well_known(inner).unwrap_or_else(|| message(inner)),
        (_, Field::Bool(truth)) => (*truth).into(),
        (_, Field::I32(number)) => (*number).into(),
        (_, Field::I64(number)) => (*number).into(),
        (_, Field::U32(number)) => (*number).into(),
        (_, Field::U64(number)) => (*number).into(),
        (_, Field::F32(number)) => (*number).into(),
        (_, Field::F64(number)) => real(*number),
        (_, Field::String(text)) => text.as_str().into(),
        (_, Field::Bytes(_) | Field::EnumNumber(_) | Field::List(_) | Field::Map(_)) => {
            unreachable!("bytes are used nowhere, and lists and maps have been taken apart")
        }
    }
}

/// 2.0 is written 2, as people write it in a job file.
#[expect(clippy::cast_possible_truncation, reason = "only whole numbers well within range are cast")]
fn real(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 1e15 { (number as i64).into() } else { number.into() }
}
