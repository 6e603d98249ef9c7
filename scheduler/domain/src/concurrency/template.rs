//! The template of a concurrency key.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Text with places for what a run carries: `customer-{payload.customer}`, `{labels.team}`. `{{` and `}}` are braces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyTemplate {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The path of a field.
    Payload(Vec<String>),
    Label(String),
}

/// Why a text is no template. Positions count characters from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It has no characters.
    #[error("is empty: write a text, `{{payload.FIELD}}` or `{{labels.NAME}}`")]
    Empty,
    /// It has too many.
    #[error("has {length} characters, the most is {most}")]
    TooLong {
        /// How many it has.
        length: usize,
        /// The most.
        most: usize,
    },
    /// A brace without its other.
    #[error(
        "the `{brace}` at character {position} has no other: write `{brace}{brace}` for the character itself"
    )]
    Unpaired {
        /// Which.
        brace: char,
        /// Where.
        position: usize,
    },
    /// Braces around something else.
    #[error("`{{{found}}}` at character {position} is neither `{{payload.FIELD}}` nor `{{labels.NAME}}`")]
    Unknown {
        /// What is between them.
        found: String,
        /// Where they begin.
        position: usize,
    },
    /// It cannot be kept.
    #[error("holds a NUL character")]
    Nul,
}

/// The most characters of a template.
const MOST_CHARS: usize = 500;
/// Keys beyond this many bytes are shortened: an index must hold them.
const MOST_KEY_BYTES: usize = 500;
/// What is kept of them as it is.
const KEPT_BYTES: usize = 400;

impl KeyTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// When it is empty, too long, or has braces around something that a run does not carry.
    pub fn new(text: impl Into<String>) -> Result<Self, TemplateError> {
        let text = text.into();
        let length = text.chars().count();
        if text.is_empty() {
            return Err(TemplateError::Empty);
        }
        if length > MOST_CHARS {
            return Err(TemplateError::TooLong { length, most: MOST_CHARS });
        }
        if text.contains('\0') {
            return Err(TemplateError::Nul);
        }
        let parts = parts(&text)?;
        Ok(Self { text, parts })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The key of a run. What the run does not carry, `null` included, is the empty text; a text stands as it is, and
    /// anything else as JSON. Of a very long key the end is kept as a checksum.
    pub fn render(&self, payload: &str, labels: &BTreeMap<String, String>) -> String {
        let reads_payload = self.parts.iter().any(|part| matches!(part, Part::Payload(_)));
        let payload = if reads_payload { serde_json::from_str(payload).ok() } else { None };
        let mut key = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => key.push_str(text),
                Part::Payload(path) => key.push_str(&field(payload.as_ref(), path)),
                Part::Label(name) => key.push_str(labels.get(name).map_or("", String::as_str)),
            }
        }
        // Postgres keeps no NUL in text.
        shortened(key.replace('\0', "\u{fffd}"))
    }
}

fn parts(text: &str) -> Result<Vec<Part>, TemplateError> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut chars = text.chars().zip(1..).peekable();
    while let Some((char, position)) = chars.next() {
        // A brace written twice is one brace.
        if !matches!(char, '{' | '}') || chars.next_if(|(next, _)| *next == char).is_some() {
            plain.push(char);
        } else if char == '}' {
            return Err(TemplateError::Unpaired { brace: '}', position });
        } else {
            let mut name = String::new();
            loop {
                match chars.next() {
                    Some(('}', _)) => break,
                    Some((char, _)) => name.push(char),
                    None => return Err(TemplateError::Unpaired { brace: '{', position }),
                }
            }
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(part(&name).ok_or(TemplateError::Unknown { found: name, position })?);
        }
    }
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

fn part(name: &str) -> Option<Part> {
    if let Some(label) = name.strip_prefix("labels.") {
        return (!label.is_empty()).then(|| Part::Label(label.to_owned()));
    }
    let path: Vec<_> = name.strip_prefix("payload.")?.split('.').map(str::to_owned).collect();
    path.iter().all(|step| !step.is_empty()).then_some(Part::Payload(path))
}

/// The field at `path`. Entries of a list go by their numbers, from 0.
fn field(payload: Option<&Value>, path: &[String]) -> String {
    let found = path.iter().try_fold(payload, |value, step| match value {
        Some(Value::Object(fields)) => Some(fields.get(step)),
        Some(Value::Array(entries)) => Some(step.parse::<usize>().ok().and_then(|place| entries.get(place))),
        _ => None,
    });
    match found.flatten() {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn shortened(mut key: String) -> String {
    if key.len() > MOST_KEY_BYTES {
        // FNV-1a: the same in every release.
        let checksum = key.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
            (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
        });
        let kept = (0..=KEPT_BYTES).rev().find(|end| key.is_char_boundary(*end)).unwrap_or(0);
        key.truncate(kept);
        key.push_str(&format!("~{checksum:032x}"));
    }
    key
}

impl fmt::Display for KeyTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for KeyTemplate {
    type Error = TemplateError;
    fn try_from(text: String) -> Result<Self, TemplateError> {
        Self::new(text)
    }
}

impl From<KeyTemplate> for String {
    fn from(template: KeyTemplate) -> Self {
        template.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn renders(template: &str, payload: &str, expect: &str) {
        let labels = BTreeMap::from([("team".to_owned(), "blue".to_owned())]);
        assert_eq!(KeyTemplate::new(template).unwrap().render(payload, &labels), expect);
    }

    #[test]
    fn a_key_is_made_of_text_payload_and_labels() {
        renders("customer-{payload.customer}", r#"{"customer": "c7"}"#, "customer-c7");
        renders("{payload.a.b}/{labels.team}", r#"{"a": {"b": 3}}"#, "3/blue");
        renders("{payload.hosts.1}", r#"{"hosts": ["a", "b"]}"#, "b");
        renders("{payload.deep}", r#"{"deep": {"x": [true]}}"#, r#"{"x":[true]}"#);
        renders("{{{labels.team}}}", "", "{blue}");
        renders("plain", "", "plain");
    }

    #[test]
    fn what_a_run_does_not_carry_is_the_empty_text() {
        for payload in ["", "[]", "7", "not json", r#"{"other": 1}"#, r#"{"customer": null}"#] {
            renders("c-{payload.customer}", payload, "c-");
            renders("c-{payload.customer.id}", payload, "c-");
        }
        renders("{labels.nobody}-", "", "-");
    }

    #[test]
    fn long_keys_stay_apart_and_can_be_kept() {
        let key = |last: char| {
            let payload = format!(r#"{{"k": "{}{last}"}}"#, "ä".repeat(600));
            KeyTemplate::new("{payload.k}").unwrap().render(&payload, &BTreeMap::new())
        };
        assert!(key('a').len() <= MOST_KEY_BYTES);
        assert_ne!(key('a'), key('b'));
        renders("{payload.k}", r#"{"k": "a\u0000b"}"#, "a\u{fffd}b");
    }

    #[track_caller]
    fn refused(template: &str, expect: &str) {
        assert_eq!(KeyTemplate::new(template).unwrap_err().to_string(), expect);
    }

    #[test]
    fn a_bad_template_is_refused_and_says_where() {
        refused("", "is empty: write a text, `{payload.FIELD}` or `{labels.NAME}`");
        refused("a{payload.x", "the `{` at character 2 has no other: write `{{` for the character itself");
        refused("ab}", "the `}` at character 3 has no other: write `}}` for the character itself");
        let neither = "is neither `{payload.FIELD}` nor `{labels.NAME}`";
        refused("ü-{job.name}", &format!("`{{job.name}}` at character 3 {neither}"));
        for wrong in ["{}", "{payload}", "{payload.}", "{payload.a..b}", "{labels.}", "{ labels.x }"] {
            refused(wrong, &format!("`{wrong}` at character 1 {neither}"));
        }
        refused(&"x".repeat(501), "has 501 characters, the most is 500");
        refused("a\0", "holds a NUL character");
    }
}
