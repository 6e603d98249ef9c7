//! `punctual job versions` and `punctual job rollback`.

use clap::Args;
use comfy_table::Cell;
use punctual_proto::json::to_value;
use punctual_proto::v1::{FieldChange, JobVersion, ListJobVersionsRequest, RollbackJobRequest};
use serde_json::Value;

use crate::client::{Client, audit, request_id};
use crate::failure::Failure;
use crate::output::{Style, instant, table};

/// The most characters of a value that are shown in a list of changes.
const VALUE_CHARS: usize = 60;

/// `punctual job versions`.
#[derive(Debug, Args)]
pub(super) struct VersionsArgs {
    /// Name of the job
    name: String,

    /// The most versions to show, newest first
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
}

/// `punctual job rollback`.
#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// Name of the job
    name: String,

    /// Version whose definition is to be in force again
    #[arg(long, value_name = "VERSION")]
    to: u32,
}

impl VersionsArgs {
    pub(super) async fn run(self, client: &Client) -> Result<(), Failure> {
        let request = ListJobVersionsRequest {
            namespace: client.namespace.clone(),
            name: self.name,
            page_size: self.limit,
            ..Default::default()
        };
        let call = async |link| audit(link).list_job_versions(request.clone()).await;
        let versions = client.servers.call(call).await?.versions;
        let objects: Vec<Value> = versions.iter().map(to_value).collect();
        Ok(client.output.print(&objects, |style| list(&versions, style))?)
    }
}

impl RollbackArgs {
    pub(super) async fn run(self, client: &Client) -> Result<(), Failure> {
        let request = RollbackJobRequest {
            namespace: client.namespace.clone(),
            name: self.name,
            version: self.to,
            request_id: request_id(),
            ..Default::default()
        };
        let job = client.servers.call(async |link| audit(link).rollback_job(request.clone()).await).await?;
        let said = format!("{} is as in version {} again: version {}\n", job.name, self.to, job.version);
        Ok(client.output.print(&[to_value(&job)], |_| said)?)
    }
}

fn list(versions: &[JobVersion], style: Style) -> String {
    let rows = versions.iter().map(|version| {
        let changes = match &version.changes[..] {
            [] => "(first)".to_owned(),
            changes => changes.iter().map(change).collect::<Vec<_>>().join("\n"),
        };
        let changes = if version.version > 1 && version.changes.is_empty() { String::new() } else { changes };
        vec![
            Cell::new(version.version),
            Cell::new(instant(version.created_at.as_ref())),
            Cell::new(&version.author),
            Cell::new(changes),
        ]
    });
    table(style, &["VERSION", "SINCE", "BY", "CHANGES"], rows)
}

/// `task_queue: "a" → "b"`.
fn change(change: &FieldChange) -> String {
    let FieldChange { field, from, to } = change;
    match (from.as_str(), to.as_str()) {
        ("", to) => format!("{field}: {} is new", shortened(to)),
        (from, "") => format!("{field}: {} is gone", shortened(from)),
        (from, to) => format!("{field}: {} → {}", shortened(from), shortened(to)),
    }
}

fn shortened(value: &str) -> String {
    match value.char_indices().nth(VALUE_CHARS) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}
