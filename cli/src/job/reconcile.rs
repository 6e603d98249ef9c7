//! `punctual job reconcile`.

use clap::Args;
use punctual_proto::json::{from_value, to_value};
use punctual_proto::v1::{ReconcileJobRequest, ReconcileJobResponse};
use serde_json::{Map, Value};

use crate::client::{Client, audit};
use crate::failure::{ExitStatus, Failure};
use crate::output::instant;

/// `punctual job reconcile`. Exits with 1 where something differs.
#[derive(Debug, Args)]
pub(super) struct ReconcileArgs {
    /// Name of the job
    name: String,

    /// First instant to look at; an hour before --until when not given
    #[arg(long, value_name = "INSTANT")]
    from: Option<String>,

    /// First instant not to look at; now when not given
    #[arg(long, value_name = "INSTANT")]
    until: Option<String>,
}

impl ReconcileArgs {
    pub(super) async fn run(self, client: &Client) -> Result<(), Failure> {
        let given: Map<String, Value> = [("from", self.from), ("until", self.until)]
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.into())))
            .collect();
        let asked: ReconcileJobRequest = from_value(given.into())
            .map_err(|error| Failure::Usage(format!("--{}: {}", error.path, error.kind)))?;
        let request = ReconcileJobRequest { namespace: client.namespace.clone(), name: self.name, ..asked };
        let found =
            client.servers.call(async |link| audit(link).reconcile_job(request.clone()).await).await?;
        client.output.print(&[to_value(&found)], |_| for_people(&found))?;
        if found.absent.is_empty() && found.unexpected.is_empty() {
            return Ok(());
        }
        Err(Failure::Said(ExitStatus::Failed))
    }
}

fn for_people(found: &ReconcileJobResponse) -> String {
    let (from, until) = (instant(found.from.as_ref()), instant(found.until.as_ref()));
    let mut text = format!("expected {}, found {} from {from} to {until}\n", found.expected, found.found);
    for at in &found.absent {
        text.push_str(&format!("absent: {}\n", instant(Some(at))));
    }
    for at in &found.unexpected {
        text.push_str(&format!("unexpected: {}\n", instant(Some(at))));
    }
    for version in &found.unreadable {
        text.push_str(&format!(
            "nothing is expected of version {version}: its schedule cannot be evaluated\n"
        ));
    }
    if let Some(cut_at) = &found.cut_at {
        text.push_str(&format!(
            "nothing was looked at from {} on: ask for less at a time\n",
            instant(Some(cut_at))
        ));
    }
    text
}
