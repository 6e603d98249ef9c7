use std::ffi::OsString;
use std::time::Duration;

use clap::Args;

use super::*;
use crate::go_duration;

#[derive(Debug, Args, PartialEq)]
struct Flags {
    /// Where to
    #[arg(long, default_value = "here")]
    to: String,
    /// How often
    #[arg(long, default_value = "2s", value_parser = go_duration::parse)]
    every: Duration,
    /// Which
    #[arg(long)]
    topic: Vec<String>,
    /// Say so
    #[arg(long)]
    loud: bool,
    /// Squeeze
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    snappy: bool,
    /// Guard
    #[arg(long, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    guard: String,
    /// How many
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..10))]
    n: u32,
}

fn flags() -> Flags {
    Flags {
        to: "here".to_owned(),
        every: Duration::from_secs(2),
        topic: vec![],
        loud: false,
        snappy: true,
        guard: "false".to_owned(),
        n: 0,
    }
}

fn read(line: &str) -> Result<Call<Flags>, FlagError> {
    call("tool", line.split_whitespace().map(OsString::from))
}

#[track_caller]
fn check(line: &str, expect: Flags, expect_rest: &[&str]) {
    match read(line) {
        Ok(Call::Run { args, rest }) => {
            assert_eq!((args, rest), (expect, expect_rest.iter().map(|s| (*s).to_owned()).collect()))
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_error(line: &str, expect: &str) {
    assert_eq!(read(line).unwrap_err().to_string(), expect);
}

#[test]
fn the_four_forms_of_a_flag_are_the_same() {
    for line in ["-to v", "--to v", "-to=v", "--to=v"] {
        check(line, Flags { to: "v".to_owned(), ..flags() }, &[]);
    }
    check("-to -v", Flags { to: "-v".to_owned(), ..flags() }, &[]);
    check("-to=a=b", Flags { to: "a=b".to_owned(), ..flags() }, &[]);
    check("--to=", Flags { to: String::new(), ..flags() }, &[]);
}

#[test]
fn a_boolean_stands_alone_or_has_its_value_behind_an_equals_sign() {
    check("-loud", Flags { loud: true, ..flags() }, &[]);
    check("--loud=T", Flags { loud: true, ..flags() }, &[]);
    check("--loud=false", flags(), &[]);
    check("--loud --loud=0", flags(), &[]);
    check("--snappy=false", Flags { snappy: false, ..flags() }, &[]);
    check("-snappy", flags(), &[]);
    check("-guard", Flags { guard: "true".to_owned(), ..flags() }, &[]);
    check("-guard=T", Flags { guard: "true".to_owned(), ..flags() }, &[]);
    check("-guard=half", Flags { guard: "half".to_owned(), ..flags() }, &[]);
    check("-loud false -n 3", Flags { loud: true, ..flags() }, &["false", "-n", "3"]);
    check_error("-loud=maybe", "invalid boolean value \"maybe\" for -loud: parse error");
}

#[test]
fn the_last_of_a_flag_counts_unless_it_is_a_list() {
    check("-to a -to b", Flags { to: "b".to_owned(), ..flags() }, &[]);
    let topic = vec!["a".to_owned(), "b".to_owned()];
    check("-topic a --topic=b", Flags { topic, ..flags() }, &[]);
}

#[test]
fn the_first_word_that_is_no_flag_ends_the_flags() {
    check("-n 1 word -n 2", Flags { n: 1, ..flags() }, &["word", "-n", "2"]);
    check("-n 1 -- -n 2", Flags { n: 1, ..flags() }, &["-n", "2"]);
    check("- -n 2", flags(), &["-", "-n", "2"]);
}

#[test]
fn durations_are_go_s() {
    check("-every 1h2m3s", Flags { every: Duration::from_secs(3_723), ..flags() }, &[]);
    check("-every=1.5s", Flags { every: Duration::from_millis(1_500), ..flags() }, &[]);
    check_error("-every 60", "invalid value \"60\" for flag -every: time: missing unit in duration \"60\"");
}

#[test]
fn numbers_are_go_s() {
    for (text, n) in [
        ("0x9", 9),
        ("0X9", 9),
        ("0b11", 3),
        ("0o7", 7),
        ("07", 7),
        ("+3", 3),
        ("0_7", 7),
        ("00", 0),
        ("0", 0),
        ("0x_9", 9),
    ] {
        check(&format!("-n={text}"), Flags { n, ..flags() }, &[]);
    }
    for text in ["_1", "1_", "1__0", "0x", "0b2", "08", "-0x1", "1e0", " 1", ""] {
        assert!(matches!(read(&format!("-n={text}")), Err(FlagError::BadValue { .. })), "{text:?}");
    }
}

#[test]
fn what_is_wrong_is_said_in_go_s_words() {
    check_error("-x", "flag provided but not defined: -x");
    check_error("--no=1", "flag provided but not defined: -no");
    check_error("-to", "flag needs an argument: -to");
    check_error("---to", "bad flag syntax: ---to");
    check_error("-=v", "bad flag syntax: -=v");
    check_error("-n ten", "invalid value \"ten\" for flag -n: parse error");
    check_error("-n 10", "invalid value \"10\" for flag -n: 10 is not in 0..10");
}

#[test]
fn help_and_version_can_be_asked_for_in_every_form() {
    for line in ["-h", "--h", "-help", "--help", "-n 1 -h"] {
        assert!(matches!(read(line), Ok(Call::Help(_))), "{line}");
    }
    for line in ["-version", "--version", "--version=true", "-n 1 -version"] {
        assert!(matches!(read(line), Ok(Call::Version)), "{line}");
    }
    assert!(matches!(read("--version=false"), Ok(Call::Run { .. })));
    let Ok(Call::Help(text)) = read("-h") else { panic!() };
    assert!(text.starts_with("Usage of tool:\n  -every duration\n    \tHow often (default 2s)\n"), "{text}");
}
