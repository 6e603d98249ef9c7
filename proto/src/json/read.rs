//! From JSON values to messages.

use std::collections::BTreeMap;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value as Field};
use serde_json::Value;

use super::error::{JsonError, JsonErrorKind, nearest};
use super::{is_json_text, scalar};

/// Reads a message from an object.
pub(super) fn message(kind: MessageDescriptor, value: Value) -> Result<DynamicMessage, JsonError> {
    let Value::Object(fields) = value else {
        return Err(scalar::wrong_type("an object", &value));
    };
    let mut message = DynamicMessage::new(kind.clone());
    // The spelling each field was given in, to tell when one is given in both.
    let mut spelt = BTreeMap::new();
    for (name, value) in fields {
        let Some(field) = kind.get_field_by_name(&name).or_else(|| kind.get_field_by_json_name(&name)) else {
            let known: Vec<FieldDescriptor> = kind.fields().collect();
            let suggestion = nearest(&name, known.iter().map(FieldDescriptor::name));
            return Err(JsonError::from(JsonErrorKind::UnknownField { suggestion }).within(&name));
        };
        // As in proto3 JSON, null is the same as leaving the field out, except where null is itself a value.
        if value.is_null() && !is_json_text(&field) {
            continue;
        }
        if let Some(earlier) = spelt.insert(field.number(), name.clone()) {
            return Err(JsonErrorKind::Twice(earlier, name).into());
        }
        if let Some(oneof) = field.containing_oneof()
            && let Some(other) = oneof.fields().find(|other| *other != field && message.has_field(other))
        {
            return Err(JsonErrorKind::Exclusive(other.name().to_owned(), field.name().to_owned()).into());
        }
        let value = read_field(&field, value).map_err(|error| error.within(&name))?;
        message.set_field(&field, value);
    }
    Ok(message)
}

fn read_field(field: &FieldDescriptor, value: Value) -> Result<Field, JsonError> {
    if field.is_map() {
        map(field, value)
    } else if field.is_list() {
        list(&field.kind(), value)
    } else if is_json_text(field) {
        Ok(Field::String(value.to_string()))
    } else {
        one(&field.kind(), value)
    }
}

fn one(kind: &Kind, value: Value) -> Result<Field, JsonError> {
    match kind {
        Kind::Message(kind) => match scalar::read_well_known(kind, &value) {
            Some(read) => read,
            None => message(kind.clone(), value).map(Field::Message),
        },
        kind => scalar::read(kind, value),
    }
}

/// A list; or, where its elements are messages, an object alone.
fn list(kind: &Kind, value: Value) -> Result<Field, JsonError> {
    match value {
        Value::Array(values) => {
            let elements = values
                .into_iter()
                .enumerate()
                .map(|(index, value)| one(kind, value).map_err(|error| error.within(&format!("[{index}]"))));
            Ok(Field::List(elements.collect::<Result<_, _>>()?))
        }
        value @ Value::Object(_) if kind.as_message().is_some() => Ok(Field::List(vec![one(kind, value)?])),
        other => Err(scalar::wrong_type("a list", &other)),
    }
}

/// A map from texts; no other keys are used.
fn map(field: &FieldDescriptor, value: Value) -> Result<Field, JsonError> {
    let Value::Object(entries) = value else {
        return Err(scalar::wrong_type("an object", &value));
    };
    let entry = field.kind();
    let kind = entry.as_message().expect("a map's entries are messages").map_entry_value_field().kind();
    let entries = entries.into_iter().map(|(key, value)| {
        let value = one(&kind, value).map_err(|error| error.within(&key))?;
        Ok((MapKey::String(key), value))
    });
    Ok(Field::Map(entries.collect::<Result<_, JsonError>>()?))
}
