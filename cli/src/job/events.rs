//! `punctual job audit`.

use clap::Args;
use comfy_table::Cell;
use punctual_proto::json::to_value;
use punctual_proto::v1::{JobEvent, JobEventKind, ListJobEventsRequest};
use serde_json::Value;

use crate::client::{Client, audit};
use crate::failure::Failure;
use crate::output::{Style, instant, table};

/// `punctual job audit`.
#[derive(Debug, Args)]
pub(super) struct EventsArgs {
    /// Name of the job; deleted ones are known too
    name: String,

    /// The most events to show, newest first
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
}

impl EventsArgs {
    pub(super) async fn run(self, client: &Client) -> Result<(), Failure> {
        let request = ListJobEventsRequest {
            namespace: client.namespace.clone(),
            name: self.name,
            page_size: self.limit,
            ..Default::default()
        };
        let call = async |link| audit(link).list_job_events(request.clone()).await;
        let events = client.servers.call(call).await?.events;
        let objects: Vec<Value> = events.iter().map(to_value).collect();
        Ok(client.output.print(&objects, |style| list(&events, style))?)
    }
}

fn list(events: &[JobEvent], style: Style) -> String {
    let rows = events.iter().map(|event| {
        vec![
            Cell::new(instant(event.at.as_ref())),
            style.state(&kind(event)),
            Cell::new(event.version),
            Cell::new(&event.actor),
            Cell::new(&event.note),
        ]
    });
    table(style, &["AT", "EVENT", "VERSION", "BY", "NOTE"], rows)
}

/// What was done, as people write it.
pub(super) fn kind(event: &JobEvent) -> String {
    match JobEventKind::try_from(event.kind) {
        Ok(kind) => kind.as_str_name().trim_start_matches("JOB_EVENT_KIND_").to_lowercase().replace('_', " "),
        Err(_) => event.kind.to_string(),
    }
}
