use crate::client::Client;
use crate::failure::Failure;
use crate::job::{JobFile, apply};
use crate::run::{Watch, watch};

/// The sample jobs, as they stand in the repository for people to copy.
const SAMPLES: &str = include_str!("../../../examples/jobs.yaml");

/// Defines the sample jobs at the scheduler `server`, as any client would.
pub(super) async fn define(server: &str) -> Result<Client, Failure> {
    let client = Client::local(server)?;
    for job in JobFile::parse("the sample jobs", SAMPLES, &client.namespace)?.jobs {
        apply(&client, job).await?;
    }
    Ok(client)
}

/// Shows the runs of all jobs as they change, until dropped.
pub(super) async fn show(client: &Client) -> anyhow::Result<()> {
    watch(client, Watch { brief: true, ..Watch::default() }).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_jobs_are_jobs() {
        let file = JobFile::parse("examples/jobs.yaml", SAMPLES, "").unwrap();
        assert!(file.jobs.iter().any(|job| job.name == "tick"));
        assert!(file.jobs.iter().all(|job| !job.description.is_empty()), "a sample teaches something");
    }
}
