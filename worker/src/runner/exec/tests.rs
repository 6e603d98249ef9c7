//! With real processes: everything here ends within a second or so, or hangs until the test's time-out.

use std::path::PathBuf;

use punctual_proto::v1::Granted;
use tokio::time::Instant;

use super::*;
use crate::attempt::{self, Verdict};
use crate::cancellation::CancelReason;

const LONG: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_millis(300);

/// An attempt at one program, run by the whole of what runs programs.
struct Case {
    payload: serde_json::Value,
    allowed: Vec<String>,
    start_to_close: Duration,
    cancel_grace: Duration,
}

impl Case {
    fn new(argv: &[&str]) -> Self {
        Self::of(json!({ "argv": argv }))
    }

    fn sh(script: &str) -> Self {
        Self::new(&["sh", "-c", script])
    }

    fn of(payload: serde_json::Value) -> Self {
        Self { payload, allowed: vec!["*".into()], start_to_close: LONG, cancel_grace: LONG }
    }

    fn context(&self) -> Context {
        let granted = Granted {
            run_id: "run-1".into(),
            attempt: 2,
            job: "backup".into(),
            kind: "exec".into(),
            payload: self.payload.to_string(),
            due_at: Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 }),
            ..Default::default()
        };
        Context::new(granted, Instant::now(), self.start_to_close)
    }

    /// Runs it; `meanwhile` is told the context, and when it has ended nothing is waited for but the program.
    async fn run_while<F: Future<Output = ()>>(self, meanwhile: impl FnOnce(Context) -> F) -> Verdict {
        let handler = Exec::start(AllowedPrograms::new(&self.allowed)).unwrap().into_handler();
        let context = self.context();
        let attempt = attempt::execute(handler(context.clone()), &context, self.cancel_grace);
        let both = async { tokio::join!(attempt, meanwhile(context.clone())).0 };
        tokio::time::timeout(Duration::from_secs(20), both).await.expect("the attempt ends")
    }

    async fn run(self) -> Verdict {
        self.run_while(|_| std::future::ready(())).await
    }
}

fn tail_of(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Succeeded { tail, .. } | Verdict::Cancelled { tail } => tail,
        Verdict::Failed(failure) => &failure.tail,
        Verdict::Released | Verdict::Dropped => "",
    }
}

/// What `/proc` says about a process: gone, or dead and not collected by whoever should.
fn is_dead(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')))
}

async fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < limit, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn assert_dies(pid: &str) {
    assert!(pid.parse::<u32>().is_ok(), "{pid:?} is a process id");
    wait_until(&format!("{pid} is dead"), || is_dead(pid)).await;
}

#[track_caller]
fn check_failure(verdict: Verdict, error: &str, kind: &str, tail: &str) {
    let Verdict::Failed(failure) = verdict else { panic!("{verdict:?}") };
    assert_eq!((failure.error.as_str(), failure.kind.as_str(), failure.tail.as_str()), (error, kind, tail));
}

#[tokio::test]
async fn a_program_that_exits_with_zero_has_succeeded() {
    let verdict = Case::sh("echo out; echo err >&2").run().await;
    let Verdict::Succeeded { result, tail } = verdict else { panic!("{verdict:?}") };
    assert_eq!(result, r#"{"exit_code":0,"output_bytes":8}"#);
    let mut lines: Vec<_> = tail.lines().collect();
    lines.sort_unstable(); // two pipes have no order between them
    assert_eq!(lines, ["err", "out"]);
}

#[tokio::test]
async fn a_failure_says_how_and_keeps_what_was_printed() {
    check_failure(Case::sh("echo no disk; exit 3").run().await, "exit status: 3", "exit_3", "no disk\n");
    check_failure(Case::sh("kill -KILL $$").run().await, "signal: 9 (SIGKILL)", "signal_9", "");
    check_failure(Case::new(&["false"]).run().await, "exit status: 1", "exit_1", "");
}

#[tokio::test]
async fn arguments_go_through_no_shell() {
    let verdict = Case::new(&["printf", "%s|", "a b", "$HOME", "*", "'"]).run().await;
    assert_eq!(tail_of(&verdict), "a b|$HOME|*|'|");
}

#[tokio::test]
async fn the_environment_is_small_and_tells_about_the_attempt() {
    let env = json!({ "MODE": "full", "PUNCTUAL_ATTEMPT": "99", "HOME": "/elsewhere" });
    let verdict = Case::of(json!({ "argv": ["env"], "env": env })).run().await;
    let seen = tail_of(&verdict);
    let names: Vec<_> = seen.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    for name in &names {
        let expected = [
            "PATH",
            "HOME",
            "LANG",
            "MODE",
            "PUNCTUAL_RUN_ID",
            "PUNCTUAL_ATTEMPT",
            "PUNCTUAL_JOB",
            "PUNCTUAL_DUE_AT",
        ];
        assert!(expected.contains(name), "{name} in {seen}");
    }
    for line in [
        "MODE=full",
        "HOME=/elsewhere",
        "PUNCTUAL_RUN_ID=run-1",
        "PUNCTUAL_ATTEMPT=2",
        "PUNCTUAL_JOB=backup",
        "PUNCTUAL_DUE_AT=2027-01-15T08:00:00Z",
    ] {
        assert!(seen.lines().any(|seen| seen == line), "{line} in {seen}");
    }
}

#[tokio::test]
async fn a_program_runs_where_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    let verdict = Case::of(json!({ "argv": ["pwd"], "working_dir": dir })).run().await;
    assert_eq!(PathBuf::from(tail_of(&verdict).trim_end()), dir);
}

#[tokio::test]
async fn a_flood_of_output_neither_blocks_the_program_nor_fills_the_memory() {
    let verdict =
        Case::sh("echo first; head -c 30000000 /dev/zero | tr '\\0' x; echo; echo last").run().await;
    let Verdict::Succeeded { result, tail } = verdict else { panic!("{verdict:?}") };
    assert_eq!(result, r#"{"exit_code":0,"output_bytes":30000012}"#);
    assert!(tail.starts_with("first\nxxx") && tail.ends_with("xxx\nlast\n"), "{tail}");
    assert!(tail.len() <= 4 * 1024);
}

#[tokio::test]
async fn a_time_out_stops_the_program_with_all_it_has_started() {
    let case = Case { start_to_close: SOON, ..Case::sh("sleep 1000 & echo $!; sleep 1000") };
    let verdict = case.run().await;
    let Verdict::Failed(failure) = verdict else { panic!("{verdict:?}") };
    assert!(failure.timed_out);
    assert_eq!(failure.error, "start_to_close passed: signal: 15 (SIGTERM)");
    assert_dies(failure.tail.trim_end()).await;
}

#[tokio::test]
async fn a_program_may_use_its_grace() {
    let script = "trap 'echo bye; exit 0' TERM; sleep 1000 & wait";
    let verdict = Case { start_to_close: SOON, ..Case::sh(script) }.run().await;
    let Verdict::Failed(failure) = verdict else { panic!("{verdict:?}") };
    assert!(failure.timed_out, "a time-out it is all the same");
    assert_eq!(failure.tail, "bye\n");
}

#[tokio::test]
async fn a_program_that_ignores_the_request_is_killed_after_its_grace() {
    let script = "trap '' TERM; sh -c 'echo $$; exec sleep 1000'";
    let start = Instant::now();
    let verdict = Case { start_to_close: SOON, cancel_grace: SOON, ..Case::sh(script) }.run().await;
    assert!(start.elapsed() >= SOON * 2);
    let Verdict::Failed(failure) = verdict else { panic!("{verdict:?}") };
    assert_eq!(failure.error, "start_to_close passed: signal: 9 (SIGKILL)");
    assert_dies(failure.tail.trim_end()).await;
}

/// A script that writes its process id to a file and would go on for ever, whatever it is asked.
fn stubborn(pid_file: &std::path::Path) -> Case {
    Case::sh(&format!(
        "trap '' TERM; echo $$ > {0}.new; mv {0}.new {0}; sleep 1000; sleep 1000",
        pid_file.display()
    ))
}

async fn cancel_when_started(pid_file: &std::path::Path, context: Context, reason: CancelReason) {
    wait_until("the program has started", || pid_file.exists()).await;
    context.cancellation().cancel(reason);
}

#[tokio::test]
async fn a_lost_lease_kills_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let case = stubborn(&pid_file);
    let start = Instant::now();
    let verdict =
        case.run_while(|context| cancel_when_started(&pid_file, context, CancelReason::LeaseLost)).await;
    assert_eq!(verdict, Verdict::Dropped);
    assert!(start.elapsed() < LONG / 2, "no grace was given");
    assert_dies(std::fs::read_to_string(&pid_file).unwrap().trim_end()).await;
}

#[tokio::test]
async fn a_cancelled_program_is_cancelled_and_keeps_its_output() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let script = format!("echo half way; touch {}; exec sleep 1000", pid_file.display());
    let verdict = Case::sh(&script)
        .run_while(|context| cancel_when_started(&pid_file, context, CancelReason::Requested))
        .await;
    assert_eq!(verdict, Verdict::Cancelled { tail: "half way\n".into() });
}

#[tokio::test]
async fn dropping_the_attempt_kills_the_program() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let attempt = stubborn(&pid_file).run();
    tokio::select! {
        verdict = attempt => panic!("{verdict:?}"),
        () = wait_until("the program has started", || pid_file.exists()) => {}
    }
    assert_dies(std::fs::read_to_string(&pid_file).unwrap().trim_end()).await;
}

#[tokio::test]
async fn what_a_program_leaves_behind_ends_with_it() {
    let verdict = Case::sh("sleep 1000 & echo $!").run().await;
    assert_eq!(verdict.name(), "succeeded");
    assert_dies(tail_of(&verdict).trim_end()).await;
}

#[tokio::test]
async fn a_process_that_left_the_group_does_not_hold_up_the_end() {
    // `setsid` takes the sleeper, which holds the pipes, out of the group.
    let verdict = Case::sh("setsid sleep 1000 & echo $!; sleep 0.2").run().await;
    assert_eq!(verdict.name(), "succeeded");
    let pid = tail_of(&verdict).trim_end().parse().unwrap();
    // Nobody else will.
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[track_caller]
fn check_refused(verdict: Verdict, error: &str, kind: &str) {
    let Verdict::Failed(failure) = verdict else { panic!("{verdict:?}") };
    assert_eq!((failure.error.as_str(), failure.kind.as_str()), (error, kind));
    assert!(failure.non_retryable);
}

#[tokio::test]
async fn what_cannot_be_started_fails_for_good() {
    let of = async |payload| Case::of(payload).run().await;
    let missing = "the program \"no-such-program\" was not found on this worker";
    check_refused(of(json!({ "argv": ["no-such-program"] })).await, missing, "program_not_found");
    let gone = "could not start the program: No such file or directory (os error 2)";
    check_refused(of(json!({ "argv": ["/no/such"] })).await, gone, "program_not_found");
    let plain = "could not start the program: Permission denied (os error 13)";
    check_refused(of(json!({ "argv": ["/etc/passwd"] })).await, plain, "program_not_executable");
    let dir = "working_dir \"/no/such\" is not a directory on this worker";
    check_refused(of(json!({ "argv": ["true"], "working_dir": "/no/such" })).await, dir, "no_working_dir");
    check_refused(of(json!({ "argv": [] })).await, "argv is empty: it needs a program", "invalid_payload");
    let nul = "argv, env and working_dir cannot hold the character NUL";
    check_refused(of(json!({ "argv": ["echo", "a\0b"] })).await, nul, "invalid_payload");
    let name = "\"A=B\" is not the name of an environment variable";
    check_refused(of(json!({ "argv": ["true"], "env": { "A=B": "1" } })).await, name, "invalid_payload");
    let shape = "the payload is not what exec takes: missing field `argv` at line 1 column 2";
    check_refused(of(json!({})).await, shape, "invalid_payload");
}

#[tokio::test]
async fn only_allowed_programs_are_started_and_with_harmless_variables() {
    let only_true = |payload| Case { allowed: vec!["true".into()], ..Case::of(payload) };
    assert_eq!(only_true(json!({ "argv": ["true"] })).run().await.name(), "succeeded");
    let error = "the program \"sh\" is not among those that this worker may start (--allow-exec)";
    check_refused(
        only_true(json!({ "argv": ["sh", "-c", "true"] })).run().await,
        error,
        "program_not_allowed",
    );
    let preload = json!({ "argv": ["true"], "env": { "LD_PRELOAD": "/tmp/x.so" } });
    let error =
        "the variable LD_PRELOAD could make an allowed program run anything: it needs --allow-exec '*'";
    check_refused(only_true(preload).run().await, error, "variable_not_allowed");
}

#[tokio::test]
async fn a_program_dies_with_the_thread_that_started_it() {
    // As it does when the worker is killed, and nobody is left to kill it.
    let spawner = Spawner::start().unwrap();
    let context = Case::new(&["sleep", "1000"]).context();
    let task = ExecTask::of(&context).unwrap();
    let mut process = spawner.spawn(move || task.command(&AllowedPrograms::Any, &context)).await.unwrap();
    drop(spawner);
    let ended = tokio::time::timeout(Duration::from_secs(10), process.exited()).await;
    ended.expect("the program is killed");
    assert_eq!(process.reap().await.unwrap().signal(), Some(Signal::KILL.as_raw()));
}
