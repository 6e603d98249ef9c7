//! `punctual job explain`.

use clap::Args;
use comfy_table::Cell;
use punctual_proto::json::{from_value, to_value};
use punctual_proto::v1::{ExplainInstantRequest, ExplainInstantResponse, Job, JobEvent, JobState};
use serde_json::json;

use super::{events, summary};
use crate::client::{Client, audit};
use crate::failure::Failure;
use crate::output::{Style, details, instant};
use crate::run;

/// `punctual job explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Name of the job; deleted ones are known too
    name: String,

    /// Instant to explain, such as 2026-11-25T03:00:00Z or 2026-11-25T04:00:00+01:00
    #[arg(long, value_name = "INSTANT")]
    at: String,
}

impl ExplainArgs {
    pub(super) async fn run(self, client: &Client) -> Result<(), Failure> {
        let asked: ExplainInstantRequest = from_value(json!({ "at": self.at }))
            .map_err(|error| Failure::Usage(format!("--at: {}", error.kind)))?;
        let request = ExplainInstantRequest { namespace: client.namespace.clone(), name: self.name, ..asked };
        let call = async |link| audit(link).explain_instant(request.clone()).await;
        let explained = client.servers.call(call).await?;
        Ok(client.output.print(&[to_value(&explained)], |style| for_people(&explained, style))?)
    }
}

fn for_people(explained: &ExplainInstantResponse, style: Style) -> String {
    let version = explained.version.as_ref();
    let definition = version.and_then(|version| version.definition.as_ref());
    let in_force = version.map(|version| {
        let since = instant(version.created_at.as_ref());
        match version.author.as_str() {
            "" => format!("{} (since {since})", version.version),
            author => format!("{} (since {since}, by {author})", version.version),
        }
    });
    let mut rows = vec![
        ("At", Cell::new(instant(explained.at.as_ref()))),
        ("Answer", Cell::new(&explained.because)),
        ("Version", Cell::new(in_force.unwrap_or_default())),
        ("Job was", Cell::new(standing(explained))),
        ("Rule", Cell::new(definition.map(|job| rules(explained, job)).unwrap_or_default())),
        ("Before", Cell::new(instant(explained.before.as_ref()))),
        ("After", Cell::new(instant(explained.after.as_ref()))),
        ("Overlap", Cell::new(definition.map(|job| word(job, "overlap")).unwrap_or_default())),
        ("Misfire", Cell::new(definition.map(|job| word(job, "misfire")).unwrap_or_default())),
    ];
    rows.retain(|(_, cell)| !cell.content().is_empty());
    let mut text = details(style, rows);
    for run in &explained.runs {
        text.push('\n');
        text.push_str(&run::details(run, style));
    }
    text
}

/// `paused (at 2026-11-25 03:00:00Z, by ann: disk full)`.
fn standing(explained: &ExplainInstantResponse) -> String {
    let Some(event) = &explained.state_by else { return String::new() };
    let state = match JobState::try_from(explained.state) {
        Ok(state) => state.as_str_name().trim_start_matches("JOB_STATE_").to_lowercase(),
        Err(_) => explained.state.to_string(),
    };
    format!("{state} ({})", by(event))
}

fn by(event: &JobEvent) -> String {
    let mut words = format!("{} {}", events::kind(event), instant(event.at.as_ref()));
    if !event.actor.is_empty() {
        words.push_str(&format!(" by {}", event.actor));
    }
    if !event.note.is_empty() {
        words.push_str(&format!(": {}", event.note));
    }
    words
}

/// The rules that give the instant; without one, all there are.
fn rules(explained: &ExplainInstantResponse, definition: &Job) -> String {
    if explained.rules.is_empty() {
        return format!("none of: {}", summary::schedules(definition));
    }
    let given = explained.rules.iter().filter_map(|place| definition.schedule.get(*place as usize));
    let schedule = given.cloned().collect();
    summary::schedules(&Job { schedule, ..Job::default() })
}

fn word(job: &Job, field: &str) -> String {
    let value = to_value(job);
    value
        .get(field)
        .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        .unwrap_or_default()
}
