//! What is wrong is said clearly, and disturbs nothing else.

use std::time::Duration;

use anyhow::{Context, ensure};
use punctual_proto::v1::job::Task;
use punctual_proto::v1::{
    CreateJobRequest, CreateRunRequest, ExecTask, Job, Overlap, Retry, RunState, Schedule, UpdateJobRequest,
    create_run_request, schedule,
};
use punctual_tests::client::Client;
use punctual_tests::cluster::{Cluster, Shape};
use punctual_tests::database::Database;
use punctual_tests::definition::exec;
use punctual_tests::port::Port;
use punctual_tests::process::{Process, output};
use punctual_tests::programs;
use punctual_tests::topology::{Member, Role};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::{Code, Status};
use tonic_types::StatusExt;

fn good() -> Job {
    exec("good", vec!["/bin/true".to_owned()], Overlap::Skip)
}

fn cron(expression: &str, zone: &str) -> Job {
    let when = Some(schedule::When::Cron(expression.to_owned()));
    Job { schedule: vec![Schedule { when, zone: zone.to_owned(), ..Schedule::default() }], ..good() }
}

fn handled(payload: String) -> Job {
    Job { task: Some(Task::Kind("report".to_owned())), payload, ..good() }
}

/// Each a job, the field that is blamed, and what is said of it.
fn bad_jobs() -> Vec<(Job, &'static str, &'static str)> {
    let argv = |argv: &[&str]| Job {
        task: Some(Task::Exec(ExecTask {
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            ..Default::default()
        })),
        ..good()
    };
    vec![
        (cron("0 24 * * *", ""), "schedule[0].cron", "at character 3"),
        (cron("0 9 * * MON-FRY", ""), "schedule[0].cron", "at character 13"),
        (cron("0 0 9 * * MON", ""), "schedule[0].cron", "seconds"),
        (cron("0 0 31 2 *", ""), "schedule[0].cron", "never fires"),
        (cron("0 9 * * *", "Europe/Berln"), "schedule[0].zone", "Europe/Berlin"),
        (Job { name: "no spaces".to_owned(), ..good() }, "name", ""),
        (Job { name: String::new(), ..good() }, "name", ""),
        (Job { task: None, ..good() }, "", "kind"),
        (Job { task: Some(Task::Kind("exec".to_owned())), ..good() }, "kind", "exec"),
        (Job { task_queue: "with.dots".to_owned(), ..good() }, "task_queue", ""),
        (argv(&[]), "exec.argv", "program"),
        (argv(&["/bin/echo", "a\0b"]), "exec.argv", "NUL"),
        (handled("{not json".to_owned()), "payload", "JSON"),
        (handled(format!("\"{}\"", "x".repeat(1 << 20))), "payload", ""),
        (
            Job { retry: Some(Retry { max_tries: 1_001, ..Retry::default() }), ..good() },
            "retry.max_tries",
            "",
        ),
        (Job { description: "d".repeat(1_001), ..good() }, "description", ""),
    ]
}

async fn create(client: &Client, job: Job) -> Result<Job, Status> {
    let request = CreateJobRequest { job: Some(job), ..CreateJobRequest::default() };
    client.jobs().create_job(request).await.map(tonic::Response::into_inner)
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_request_is_answered_with_what_is_wrong_where_and_disturbs_nothing() -> anyhow::Result<()> {
    let cluster = Cluster::start(Shape { workers: 1, ..Shape::small() }).await?;
    let client = cluster.client()?;
    for (index, (job, field, said)) in bad_jobs().into_iter().enumerate() {
        let status =
            create(&client, job).await.err().with_context(|| format!("bad job {index} was taken"))?;
        ensure!(status.code() == Code::InvalidArgument, "bad job {index}: {status:?}");
        let wrong = status
            .get_details_bad_request()
            .with_context(|| format!("bad job {index}: no fields: {status:?}"))?;
        let named = wrong.field_violations.iter().any(|wrong| {
            wrong.field.trim_start_matches("job.").starts_with(field) && wrong.description.contains(said)
        });
        ensure!(named, "bad job {index} should blame `{field}` and say `{said}`: {wrong:?}");
    }

    let first = create(&client, good()).await?;
    let twice = create(&client, good()).await.expect_err("a name was taken twice");
    ensure!(twice.code() == Code::AlreadyExists && reason(&twice) == "JOB_EXISTS", "{twice:?}");

    let described =
        |text: &str, etag: &str| Job { description: text.to_owned(), etag: etag.to_owned(), ..good() };
    let update = async |job: Job| {
        let request = UpdateJobRequest { job: Some(job), ..UpdateJobRequest::default() };
        client.jobs().update_job(request).await.map(tonic::Response::into_inner)
    };
    update(described("mine", &first.etag)).await?;
    let stale = update(described("theirs", &first.etag)).await.expect_err("a stale etag was taken");
    ensure!(stale.code() == Code::Aborted && reason(&stale) == "STALE_ETAG", "{stale:?}");
    ensure!(client.job("good").await?.description == "mine", "a refused update changed the job");
    let missing = client.job("nobody").await.expect_err("there is no such job");
    ensure!(missing.code() == Code::NotFound && reason(&missing) == "JOB_NOT_FOUND", "{missing:?}");

    // Nobody serves this kind; the run waits, and what others serve goes on.
    let unserved = CreateRunRequest {
        task: Some(create_run_request::Task::Kind("nobody-serves-this".to_owned())),
        ..CreateRunRequest::default()
    };
    let unserved = client.create_run(unserved, false).await?;
    let triggered = client.trigger("good").await?;
    client.run_becomes(&triggered, RunState::Succeeded, Duration::from_secs(10)).await?;
    ensure!(
        client.run(&unserved.id).await?.state() == RunState::Scheduled,
        "a kind that nobody serves was sent out"
    );
    client.cancel_run(&unserved.id).await?;
    cluster.stop().await
}

/// Starts a role that must refuse to, and gives what it says.
async fn refuses(args: &[&str]) -> anyhow::Result<String> {
    let dir = tempfile::tempdir_in(programs::scratch()?)?;
    let mut process = Process::start("refuses", &programs::punctual()?, args, dir.path())?;
    let status = process.ended(Duration::from_secs(40)).await?;
    ensure!(!status.success(), "it ended well");
    Ok(process.printed())
}

#[track_caller]
fn says(said: &str, expected: &[&str]) {
    for word in expected {
        assert!(said.contains(word), "`{word}` is missing in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_cannot_start_says_why_and_what_to_do() -> anyhow::Result<()> {
    let port = Port::claim()?;
    let unreachable = format!("postgres://nobody@127.0.0.1:{}/nothing", port.number());
    says(&refuses(&["migrate", "--database-url", &unreachable]).await?, &["database"]);
    let scheduler = ["scheduler", "--grpc-address", "127.0.0.1:0", "--lookup-http-address", "127.0.0.1:1"];
    says(&refuses(&[&scheduler[..], &["--database-url", &unreachable]].concat()).await?, &["database"]);

    let empty = Database::empty().await?;
    let said = refuses(&[&scheduler[..], &["--database-url", empty.url()]].concat()).await?;
    says(&said, &["schema", "punctual migrate"]);
    empty.remove().await?;

    let taken = std::net::TcpListener::bind(("127.0.0.1", port.number()))?;
    let address = taken.local_addr()?.to_string();
    let dir = tempfile::tempdir_in(programs::scratch()?)?;
    let data = dir.path().to_string_lossy().into_owned();
    let queue = ["queue", "--data-path", &data, "--http-address", "127.0.0.1:0", "--tcp-address", &address];
    says(&refuses(&queue).await?, &[&address, "in use"]);
    let lookup = ["lookup", "--tcp-address", "127.0.0.1:0", "--http-address", &address];
    says(&refuses(&lookup).await?, &[&address, "in use"]);
    let database = Database::migrated().await?;
    let scheduler = ["scheduler", "--database-url", database.url(), "--grpc-address", &address];
    says(
        &refuses(&[&scheduler[..], &["--lookup-http-address", "127.0.0.1:1"]].concat()).await?,
        &[&address, "in use"],
    );
    database.remove().await?;

    says(&refuses(&["lookup", "--tcp-address", "0.0.0.0:0"]).await?, &["--allow-unauthenticated"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_any_port_ends_that_connection_and_no_other() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(Shape { workers: 1, ..Shape::small() }).await?;
    let client = cluster.client()?;
    create(&client, good()).await?;
    let ports = [
        (Role::Queue, "TCP"),
        (Role::Queue, "HTTP"),
        (Role::Lookup, "TCP"),
        (Role::Lookup, "HTTP"),
        (Role::Scheduler, "GRPC"),
    ];
    let garbage: [&[u8]; 4] = [
        &[0xFF; 4_096],
        b"  V2\xFF\xFF\xFF\xFF\n\n\n",
        b"  V2PUB no-such-thing\n\xFF\xFF\xFF\xFF",
        b"GET /\x00\x01 HTTP/9.9\r\n\r\n",
    ];
    for (role, interface) in ports {
        let address = cluster.topology().address(Member { role, number: 1 }, interface)?.to_owned();
        for bytes in garbage {
            let mut connection = TcpStream::connect(&address).await?;
            // It may be closed before all of it is written, which is as good.
            let _cut_short = connection.write_all(bytes).await;
            let _half_closed = connection.shutdown().await;
            let mut answer = Vec::new();
            let read = connection.read_to_end(&mut answer);
            let ended = tokio::time::timeout(Duration::from_secs(30), read).await;
            ensure!(ended.is_ok(), "{} {interface} keeps a connection of garbage open", role.as_str());
        }
    }
    let run = client.trigger("good").await?;
    client.run_becomes(&run, RunState::Succeeded, Duration::from_secs(10)).await?;
    for member in cluster.topology().members() {
        let process = cluster.process(member)?;
        ensure!(process.exited()?.is_none(), "{member} did not survive");
        ensure!(!process.printed().contains("panicked"), "{member} panicked");
    }
    cluster.stop().await
}

#[test]
fn a_wrong_command_line_is_answered_with_its_usage() -> anyhow::Result<()> {
    let punctual = programs::punctual()?;
    for args in [&["no-such-command"][..], &["queue", "--no-such-flag"], &["job", "apply"], &["scheduler"]] {
        let output = output(&punctual, args, &[])?;
        ensure!(output.status.code() == Some(2), "{args:?}: {output:?}");
        ensure!(String::from_utf8_lossy(&output.stderr).contains("--help"), "{args:?}: {output:?}");
    }
    Ok(())
}
