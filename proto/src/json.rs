//! JSON of the generated types, in the one form that job files, the HTTP API and `-o json` share.
//!
//! It is proto3 JSON made friendlier, and any proto3 JSON of these types is read too:
//!
//! - Names are written `snake_case` and read in either spelling; an unknown one is an error that names its path.
//! - Enum values are written without their prefix, in lower case (`skip`), and read so or by full name.
//! - Durations are written `90s` and read so or as people write them (`5m`, `1h 30m`).
//! - Where a list of objects is expected, one object is a list of one.
//! - `payload` and `result`, which hold JSON text, appear as the JSON value itself.
//! - 64-bit integers are numbers. Fields that are empty are left out, save the few that people look for.

mod error;
mod read;
mod scalar;
mod write;

use std::sync::LazyLock;

use prost::{Message, Name};
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor,
};
use serde_json::Value;

pub use self::error::{JsonError, JsonErrorKind};

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(crate::FILE_DESCRIPTOR_SET).expect("the build wrote a valid descriptor set")
});

/// A message that has this JSON form: any of `punctual.v1`.
pub trait JsonMessage: Message + Name + Default {}

impl<M: Message + Name + Default> JsonMessage for M {}

/// Reads a message from its JSON value.
///
/// # Errors
/// With the path and the reason of the first thing that does not fit.
///
/// # Panics
/// When `M` is not a message of this crate.
pub fn from_value<M: JsonMessage>(value: Value) -> Result<M, JsonError> {
    let message = read::message(descriptor::<M>(), value)?;
    Ok(message.transcode_to().expect("both sides are made from one descriptor"))
}

/// Writes a message as a JSON value, its fields in the order of the `.proto` file.
///
/// # Panics
/// When `M` is not a message of this crate.
pub fn to_value<M: JsonMessage>(message: &M) -> Value {
    let mut dynamic = DynamicMessage::new(descriptor::<M>());
    dynamic.transcode_from(message).expect("both sides are made from one descriptor");
    write::message(&dynamic)
}

fn descriptor<M: Name>() -> MessageDescriptor {
    POOL.get_message_by_name(&M::full_name()).expect("only messages of this crate have this JSON form")
}

/// Whether the field holds JSON text, which stands for the value itself.
fn is_json_text(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Kind::String) && matches!(field.name(), "payload" | "result")
}

/// What the names of an enum's values start with: `OVERLAP_`. Every enum here has a value `…_UNSPECIFIED` at 0.
fn prefix(kind: &EnumDescriptor) -> String {
    let first = kind.default_value();
    first.name().strip_suffix("UNSPECIFIED").unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
