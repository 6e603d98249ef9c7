use clap::Parser;

use super::*;
use crate::runner::Runner;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    worker: WorkerOptions,
}

fn parse(args: &[&str]) -> WorkerOptions {
    Command::try_parse_from(["worker"].iter().chain(args)).unwrap().worker
}

#[test]
fn lists_are_taken_by_comma_and_by_repetition() {
    let options = parse(&[
        "--server=http://a:1,http://b:2",
        "--server=http://c:3",
        "--allow-exec=date,/bin/true",
        "--drain-timeout=1m",
    ]);
    assert_eq!(options.server, ["http://a:1", "http://b:2", "http://c:3"]);
    assert_eq!(options.allow_exec, ["date", "/bin/true"]);
    assert_eq!(options.drain_timeout, Duration::from_secs(60));
}

#[test]
fn the_defaults_reach_a_local_scheduler() {
    let options = parse(&[]);
    assert_eq!(options.server, ["http://127.0.0.1:7700"]);
    assert_eq!((options.places, options.namespace.as_str()), (10, "default"));
    assert!(options.allowed_programs().is_none());
}

#[track_caller]
fn check_refused(args: &[&str], expect: &str) {
    let options = parse(args);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(Runner::bind(options)).unwrap_err();
    assert!(error.to_string().contains(expect), "{error}");
}

#[test]
fn what_cannot_work_is_said_before_anything_is_connected() {
    check_refused(&[], "name the programs it may start with --allow-exec");
    check_refused(&["--allow-noop", "--places=0"], "a worker has 1 to 10000");
    check_refused(&["--allow-noop", "--token-file=/nowhere"], "could not read /nowhere (--token-file)");
    check_refused(&["--allow-noop", "--ca-cert=/nowhere"], "could not read /nowhere (--ca-cert)");
    check_refused(&["--allow-noop", "--http-address=0.0.0.0:0"], "--allow-unauthenticated");
}

#[test]
fn a_token_file_gives_its_first_token() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "# old and new\n\n0123456789abcdef\nfedcba9876543210\n").unwrap();
    let options = parse(&["--token-file", file.path().to_str().unwrap()]);
    assert_eq!(options.read_token().unwrap().unwrap().reveal(), "0123456789abcdef");
}

#[test]
fn debug_output_hides_the_token() {
    let options = parse(&["--token=0123456789abcdef"]);
    assert!(!format!("{options:?}").contains("0123456789abcdef"));
}
