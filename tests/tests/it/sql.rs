//! What people read in SQL.

use std::time::Duration;

use anyhow::ensure;
use punctual_proto::v1::{Overlap, RunState};
use punctual_tests::cluster::{Cluster, Shape};
use punctual_tests::database::Database;
use punctual_tests::definition::exec;
use punctual_tests::process::output;
use punctual_tests::programs;

#[tokio::test(flavor = "multi_thread")]
async fn migrating_twice_or_twice_at_once_changes_nothing() -> anyhow::Result<()> {
    let database = Database::empty().await?;
    let migrate = || {
        let url = database.direct_url();
        move || output(&programs::punctual()?, &["migrate", "--database-url", &url?], &[])
    };
    let (one, two) =
        tokio::join!(tokio::task::spawn_blocking(migrate()), tokio::task::spawn_blocking(migrate()));
    for outcome in [one??, two??, migrate()()?] {
        ensure!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
    }
    database.remove().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cron_job_over_grpc_becomes_a_row_of_history() -> anyhow::Result<()> {
    let cluster = Cluster::start(Shape { workers: 1, ..Shape::small() }).await?;
    let client = cluster.client()?;
    let argv = vec!["/bin/echo".to_owned(), "the backup is done".to_owned()];
    client.apply(exec("backup", argv, Overlap::Skip), false).await?;
    let run = client.trigger("backup").await?;
    let shown = client.run_becomes(&run, RunState::Succeeded, Duration::from_secs(10)).await?;
    let row: (String, String, String, i32, String, bool) = sqlx::query_as(
        "select job, origin, state, attempts, output_tail, due_at <= started_at and started_at <= ended_at
         from punctual.job_history where run_id = $1::uuid",
    )
    .bind(&run)
    .fetch_one(cluster.database().pool())
    .await?;
    ensure!(row.0 == "backup" && row.1 == "trigger" && row.2 == "succeeded" && row.3 == 1, "{row:?}");
    ensure!(row.4 == "the backup is done\n" && row.5, "{row:?}");
    ensure!(
        shown.attempts == 1 && shown.attempt_history[0].output_tail == row.4,
        "SQL and gRPC differ: {shown:?}"
    );
    cluster.stop().await
}
