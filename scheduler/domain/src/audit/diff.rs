//! How two definitions differ, field by field.

use serde_json::Value;

/// A field that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    /// Its path, as in a job file: `retry.max_tries`, `schedule[1]`.
    pub field: String,
    /// What it was; `None`: it was not there.
    pub from: Option<Value>,
    /// What it is; `None`: it is gone.
    pub to: Option<Value>,
}

/// The fields by which `new` differs from `old`, in the order of their paths. Lists are compared place by place.
pub fn diff(old: &Value, new: &Value) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    compare("", Some(old), Some(new), &mut changes);
    changes
}

fn compare(path: &str, old: Option<&Value>, new: Option<&Value>, changes: &mut Vec<FieldChange>) {
    match (old, new) {
        (Some(old), Some(new)) if old == new => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let mut names: Vec<_> = old.keys().chain(new.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                compare(&path, old.get(name), new.get(name), changes);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            for place in 0..old.len().max(new.len()) {
                compare(&format!("{path}[{place}]"), old.get(place), new.get(place), changes);
            }
        }
        (old, new) => {
            changes.push(FieldChange { field: path.to_owned(), from: old.cloned(), to: new.cloned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(old: Value, new: Value, expect: &[&str]) {
        let shown: Vec<_> = diff(&old, &new)
            .into_iter()
            .map(|change| {
                let text = |value: Option<Value>| value.map_or("-".to_owned(), |value| value.to_string());
                format!("{} {} {}", change.field, text(change.from), text(change.to))
            })
            .collect();
        assert_eq!(shown, expect);
    }

    #[test]
    fn only_what_differs_is_named_by_its_path() {
        let old = json!({ "task_queue": "a", "retry": { "max_tries": 3, "jitter": true } });
        check(old.clone(), old.clone(), &[]);
        let new = json!({ "task_queue": "b", "retry": { "max_tries": 5, "jitter": true } });
        check(old, new, &["retry.max_tries 3 5", r#"task_queue "a" "b""#]);
    }

    #[test]
    fn what_is_new_or_gone_has_one_side_only() {
        check(
            json!({ "schedule": [{ "cron": "@daily" }], "labels": { "team": "a" } }),
            json!({ "schedule": [{ "cron": "@hourly" }, { "every": "5s" }], "exec": {} }),
            &[
                "exec - {}",
                r#"labels {"team":"a"} -"#,
                r#"schedule[0].cron "@daily" "@hourly""#,
                r#"schedule[1] - {"every":"5s"}"#,
            ],
        );
    }

    #[test]
    fn a_field_that_becomes_of_another_kind_is_one_change() {
        check(json!({ "payload": { "a": 1 } }), json!({ "payload": [1] }), &[r#"payload {"a":1} [1]"#]);
    }
}
