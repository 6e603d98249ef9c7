//! Which messages pass, and what of them.

use bytes::Bytes;
use serde_json::{Map, Value};

/// What of messages that are JSON objects passes. Without any condition, every message does as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Filter {
    /// A field that has to be there.
    pub(super) required: Option<Required>,
    /// Fields that pass, the others do not; all do if it is empty.
    pub(super) fields: Vec<String>,
}

/// A field that has to be there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Required {
    field: String,
    value: Option<RequiredValue>,
}

/// A value it has to have.
#[derive(Debug, Clone, PartialEq)]
struct RequiredValue {
    text: String,
    /// What the text is as a number, if it is one.
    number: Option<f64>,
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This is passed on.
    Pass(Bytes),
    /// It is not asked for.
    Filtered,
    /// It is not a JSON object, or nothing would be left of it.
    Unusable,
}

impl Required {
    /// An empty field requires nothing, an empty value any.
    pub(super) fn new(field: &str, value: &str) -> Option<Self> {
        let value =
            (!value.is_empty()).then(|| RequiredValue { text: value.to_owned(), number: value.parse().ok() });
        (!field.is_empty()).then(|| Self { field: field.to_owned(), value })
    }

    fn is_met(&self, object: &Map<String, Value>) -> bool {
        match (object.get(&self.field), &self.value) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(Value::String(found)), Some(wanted)) => *found == wanted.text,
            (Some(Value::Number(found)), Some(wanted)) => {
                wanted.number.is_some() && wanted.number == found.as_f64()
            }
            (Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)), Some(_)) => false,
        }
    }
}

impl Filter {
    pub(super) fn judge(&self, body: &Bytes) -> Verdict {
        if self.required.is_none() && self.fields.is_empty() {
            return Verdict::Pass(body.clone());
        }
        let Ok(Value::Object(mut object)) = serde_json::from_slice(body) else { return Verdict::Unusable };
        if !self.required.as_ref().is_none_or(|required| required.is_met(&object)) {
            return Verdict::Filtered;
        }
        if self.fields.is_empty() {
            return Verdict::Pass(body.clone());
        }
        object.retain(|field, _| self.fields.contains(field));
        serde_json::to_vec(&object).map_or(Verdict::Unusable, |body| Verdict::Pass(body.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(field: &str, value: &str, fields: &[&str]) -> Filter {
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        Filter { required: Required::new(field, value), fields }
    }

    /// What passes: `None` when it is filtered, `Some("")` when it is unusable.
    #[track_caller]
    fn check(filter: &Filter, body: &str, expect: Option<&str>) {
        let verdict = match expect {
            None => Verdict::Filtered,
            Some("") => Verdict::Unusable,
            Some(text) => Verdict::Pass(Bytes::copy_from_slice(text.as_bytes())),
        };
        assert_eq!(filter.judge(&Bytes::copy_from_slice(body.as_bytes())), verdict, "{body}");
    }

    #[test]
    fn without_a_condition_everything_passes_as_it_is() {
        check(&Filter::default(), "not JSON", Some("not JSON"));
        check(&filter("", "x", &[]), "[1 ]", Some("[1 ]"));
    }

    #[test]
    fn a_field_can_be_required() {
        let filter = filter("a", "", &[]);
        check(&filter, r#"{"a" : null}"#, Some(r#"{"a" : null}"#));
        check(&filter, r#"{"b":1}"#, None);
        check(&filter, r#"["a"]"#, Some(""));
        check(&filter, r#"{"a":"#, Some(""));
    }

    #[test]
    fn a_value_can_be_required_as_text_or_as_a_number() {
        let text = filter("a", "x", &[]);
        check(&text, r#"{"a":"x"}"#, Some(r#"{"a":"x"}"#));
        check(&text, r#"{"a":"y"}"#, None);
        check(&text, r#"{"a":1}"#, None);
        check(&text, r#"{"b":"x"}"#, None);
        let number = filter("a", "12", &[]);
        check(&number, r#"{"a":12}"#, Some(r#"{"a":12}"#));
        check(&number, r#"{"a":12.0}"#, Some(r#"{"a":12.0}"#));
        check(&number, r#"{"a":"12"}"#, Some(r#"{"a":"12"}"#));
        check(&number, r#"{"a":"12.0"}"#, None);
        check(&number, r#"{"a":13}"#, None);
        check(&filter("a", "true", &[]), r#"{"a":true}"#, None);
    }

    #[test]
    fn only_the_fields_asked_for_pass() {
        let fields = filter("", "", &["b", "a", "a"]);
        let long = r#"{"a":9007199254740993,"b":{"x":[1.5,"<"]}}"#;
        check(&fields, long, Some(long));
        check(&fields, r#"{"c":1, "a":true}"#, Some(r#"{"a":true}"#));
        check(&fields, r#"{"c":1}"#, Some("{}"));
        check(&fields, "7", Some(""));
        let both = filter("kind", "x", &["a"]);
        check(&both, r#"{"kind":"x","a":1}"#, Some(r#"{"a":1}"#));
        check(&both, r#"{"kind":"y","a":1}"#, None);
    }
}
