use crate::command::{run, run_with_input};
use crate::fake::Fake;

#[tokio::test]
async fn nothing_is_sent_while_any_file_is_wrong() {
    let fake = Fake::start().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("good.yaml"), "name: a").unwrap();
    std::fs::write(folder.path().join("typo.yaml"), "jobs:\n- { name: b, shedule: { every: 1s } }\n")
        .unwrap();
    let path = folder.path().to_str().unwrap();
    let ended = run(&["job", "apply", "-f", path, "--server", &fake.url]).await;
    assert_eq!(ended.code, 2);
    insta::assert_snapshot!(ended.err.replace(path, "F"), @"error: F/typo.yaml: job b: jobs[0].shedule: unknown field; did you mean `schedule`?");
    assert_eq!(fake.calls("apply_job").len(), 0);

    std::fs::remove_file(folder.path().join("typo.yaml")).unwrap();
    assert_eq!(run(&["job", "apply", "-f", path, "--server", &fake.url]).await.code, 0);
    assert_eq!(fake.calls("apply_job").len(), 1);
}

#[tokio::test]
async fn the_namespace_of_the_command_line_fills_what_files_leave_open() {
    let fake = Fake::start().await;
    let text = "[{ name: a }, { name: b, namespace: mine }]";
    run_with_input(&["job", "-n", "theirs", "apply", "-f", "-", "--server", &fake.url], text).await;
    let state = fake.state.lock().unwrap();
    assert_eq!((state.jobs["a"].namespace.as_str(), state.jobs["b"].namespace.as_str()), ("theirs", "mine"));
}

#[tokio::test]
async fn help_is_for_people_and_wrong_words_are_a_usage_error() {
    let help = run(&["--help"]).await;
    assert_eq!(help.code, 0);
    insta::assert_snapshot!(help.out, @r"
    A distributed task scheduler on an NSQ-style queue, in one binary

    Usage: punctual <COMMAND>

    Commands:
      dev         Run everything in one process, on a Postgres of its own, to develop or to try it out
      scheduler   Run a scheduler: gRPC and HTTP for people and workers, planning, publishing
      queue       Run a queue node: NSQ's protocol on a durable log
      lookup      Run a lookup: tells which queue nodes there are
      worker      Run a worker: executes programs, as far as --allow-exec lets it
      migrate     Bring the database's schema to this release
      job         Define jobs, look at them, and trigger, pause, resume or delete them
      run         Look at runs, follow them, create one-off runs, cancel
      backfill    Look at past instants that are being run again, and stop that
      schedule    Ask when a schedule would run, before anything is saved
      calendar    Keep calendars of days and hours in which schedules do not run
      namespace   Make, list and delete namespaces
      task-queue  Look at task queues, pause and resume them
      help        Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Exit codes:
      0  done
      1  the server refused, or something failed
      2  the command line, or a file named on it, is wrong
      3  there is no such job, run, calendar or namespace
      4  no server could be reached in time
      5  not allowed: the token is missing, wrong or not enough
      6  the run that was watched did not succeed
      7  a queue node's files are damaged
      8  a queue node's files hold what this release does not understand
    ");
    assert_eq!(run(&["frobnicate"]).await.code, 2);
    assert_eq!(run(&["job", "list", "--server", "ftp://x"]).await.code, 2);
}
