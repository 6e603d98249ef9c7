use punctual_proto::json::from_value;
use punctual_proto::v1::Job;
use serde::Deserialize as _;
use serde_json::Value;

use super::{FileError, FileErrors};

/// Reads the jobs of one file: `jobs:` and a list, a list, or one job; in YAML, any number of documents of these.
pub(super) fn parse(file: &str, text: &str) -> Result<Vec<Job>, FileErrors> {
    let mut jobs = Vec::new();
    let mut errors = Vec::new();
    for document in documents(file, text)? {
        for (path, value) in values(file, document)? {
            let name = value.get("name").and_then(Value::as_str).map(str::to_owned);
            match from_value(value) {
                Ok(job) => jobs.push(job),
                Err(problem) => errors.push(FileError::Job {
                    file: file.to_owned(),
                    problem: Box::new(problem.within(&path)),
                    job: name,
                }),
            }
        }
    }
    if errors.is_empty() { Ok(jobs) } else { Err(FileErrors(errors)) }
}

fn documents(file: &str, text: &str) -> Result<Vec<Value>, FileError> {
    let json_error = |source| FileError::Json { file: file.to_owned(), source };
    if file.ends_with(".json") {
        return Ok(vec![serde_json::from_str(text).map_err(json_error)?]);
    }
    let yaml_error = |source| FileError::Yaml { file: file.to_owned(), source };
    let mut documents = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(text) {
        // By way of YAML's own value, which refuses a key that is there twice.
        let mut value = serde_yaml_ng::Value::deserialize(document).map_err(yaml_error)?;
        value.apply_merge().map_err(yaml_error)?;
        documents.push(serde_json::to_value(value).map_err(json_error)?);
    }
    Ok(documents)
}

/// The jobs of one document, each with its path in it.
fn values(file: &str, document: Value) -> Result<Vec<(String, Value)>, FileError> {
    let mut fields = match document {
        // An empty document, such as one of comments only.
        Value::Null => return Ok(Vec::new()),
        Value::Array(jobs) => return Ok(list("", jobs)),
        Value::Object(fields) => fields,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return Err(FileError::NoJobs { file: file.to_owned(), found: document.to_string() });
        }
    };
    let Some(jobs) = fields.remove("jobs") else {
        return Ok(vec![(String::new(), Value::Object(fields))]);
    };
    if let Some(field) = fields.keys().next() {
        return Err(FileError::Beside { file: file.to_owned(), field: field.clone() });
    }
    Ok(match jobs {
        Value::Array(jobs) => list("jobs", jobs),
        Value::Null => Vec::new(),
        job => vec![("jobs".to_owned(), job)],
    })
}

fn list(path: &str, jobs: Vec<Value>) -> Vec<(String, Value)> {
    jobs.into_iter().enumerate().map(|(index, job)| (format!("{path}[{index}]"), job)).collect()
}
