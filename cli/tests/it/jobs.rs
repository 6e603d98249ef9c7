use serde_json::json;
use tonic::Code;

use crate::command::{run, run_with_input};
use crate::fake::{Fake, State};

const JOBS: &str = "
jobs:
  - { name: a, schedule: { every: 1s }, exec: { argv: [/bin/date, '+%s'] } }
  - { name: b, schedule: { cron: '0 9 * * *', zone: Europe/Berlin }, kind: report, payload: { to: boss } }
  - { name: c, kind: report }
";

#[tokio::test]
async fn jobs_are_applied_listed_and_shown_in_one_form() {
    let fake = Fake::start().await;
    let server = ["--server", fake.url.as_str()];
    let apply = async |format| {
        run_with_input(&[&["job", "apply", "-f", "-", "-o", format], &server[..]].concat(), JOBS).await
    };
    let created = apply("table").await;
    assert_eq!((created.code, created.err.as_str()), (0, ""));
    insta::assert_snapshot!(created.out, @r"
    JOB  OUTCOME
    a    created  version 1
    b    created  version 1
    c    created  version 1
    ");
    assert_eq!(apply("json").await.json()[0]["outcome"], "unchanged");

    let listed = run(&[&["job", "list", "-o", "json"], &server[..]].concat()).await.json();
    assert_eq!(listed.as_array().unwrap().len(), 3, "all pages: {listed}");
    assert_eq!(
        listed[1],
        json!({
            "name": "b", "schedule": [{ "cron": "0 9 * * *", "zone": "Europe/Berlin" }], "kind": "report",
            "payload": { "to": "boss" }, "version": 1, "state": "active",
        })
    );

    let exported = run(&[&["job", "export"], &server[..]].concat()).await;
    insta::assert_snapshot!(exported.out, @r"
    jobs:
    - name: a
      schedule:
      - every: 1s
      exec:
        argv:
        - /bin/date
        - +%s
    - name: b
      schedule:
      - cron: 0 9 * * *
        zone: Europe/Berlin
      kind: report
      payload:
        to: boss
    - name: c
      kind: report
    ");
    let again =
        run_with_input(&[&["job", "apply", "-f", "-", "-o", "json"], &server[..]].concat(), &exported.out)
            .await;
    assert!(again.json().as_array().unwrap().iter().all(|answer| answer["outcome"] == "unchanged"));
}

#[tokio::test]
async fn jobs_are_paused_resumed_triggered_and_deleted() {
    let fake = Fake::start().await;
    let job = async |words: &[&str]| run(&[&["job", "--server", &fake.url], words].concat()).await;
    run_with_input(&["job", "apply", "-f", "-", "--server", &fake.url], JOBS).await;

    assert_eq!(job(&["pause", "a", "b", "--reason", "disk full"]).await.out, "paused a\npaused b\n");
    let paused = job(&["get", "a", "-o", "json"]).await.json();
    assert_eq!((&paused[0]["state"], &paused[0]["state_reason"]), (&json!("paused"), &json!("disk full")));
    let until = ["pause", "b", "--by", "ann", "--until", "2030-01-01T00:00:00Z"];
    assert_eq!(job(&until).await.out, "paused b\n");
    let paused = job(&["get", "b", "-o", "json"]).await.json();
    let (by, until) = (&paused[0]["paused_by"], &paused[0]["paused_until"]);
    assert_eq!((by, until), (&json!("ann"), &json!("2030-01-01T00:00:00Z")));
    let wrong = job(&["pause", "b", "--until", "tomorrow"]).await;
    assert_eq!((wrong.code, wrong.err.starts_with("error: --until: `tomorrow`")), (2, true), "{wrong:?}");
    assert_eq!(job(&["resume", "a", "--catch-up"]).await.out, "resumed a\n");
    assert_eq!(job(&["trigger", "a"]).await.out, "triggered a: run run-1\n");
    let run = job(&["trigger", "a", "--payload", "[1]", "-o", "json"]).await.json();
    assert_eq!(
        (&run[0]["id"], &run[0]["job"], &run[0]["state"]),
        (&json!("run-2"), &json!("a"), &json!("queued"))
    );
    let options = ["--overlap", "queue_all", "--priority", "0", "-o", "json"];
    let run = job(&[&["trigger", "a"], &options[..]].concat()).await.json();
    assert_eq!(run[0]["reason"], "overlap 4");
    let wrong = job(&["trigger", "a", "--overlap", "sometimes"]).await;
    assert_eq!(wrong.code, 2, "{}", wrong.err);
    assert_eq!(job(&["delete", "c"]).await.out, "deleted c\n");

    let gone = job(&["get", "c"]).await;
    assert_eq!((gone.code, gone.err.as_str(), gone.out.as_str()), (3, "error: job c does not exist\n", ""));
}

#[tokio::test]
async fn a_job_that_is_refused_is_named_with_its_fields_and_the_others_are_applied() {
    let fake = Fake::start().await;
    let text = "[{ name: a, kind: k }, { name: b c, kind: k }, { name: d, kind: k }]";
    let ended = run_with_input(&["job", "apply", "-f", "-", "--server", &fake.url], text).await;
    assert_eq!(ended.code, 1);
    insta::assert_snapshot!(ended.err, @r"
    error: standard input: b c: name: has a space in it
    error: standard input: b c: schedule[0].cron: position 3: `8` is no weekday
    ");
    insta::assert_snapshot!(ended.out, @r"
    JOB  OUTCOME
    a    created  version 1
    d    created  version 1
    ");
}

#[tokio::test]
async fn a_token_is_shown_and_a_missing_one_is_asked_for() {
    let secret = "a-secret-of-enough-length";
    let fake = Fake::start_with(State { token: Some(secret.into()), ..State::default() }).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("# ours\n{secret}\n")).unwrap();
    let path = file.path().to_str().unwrap();

    let without = run(&["job", "list", "--server", &fake.url]).await;
    assert_eq!(without.code, 5);
    insta::assert_snapshot!(without.err, @r"
    error: this scheduler wants a token
    Give a token with --token-file FILE, or in PUNCTUAL_TOKEN.
    ");
    assert_eq!(run(&["job", "list", "--server", &fake.url, "--token-file", path]).await.code, 0);
    assert_eq!(run(&["job", "list", "--server", &fake.url, "--token", secret]).await.code, 0);
    let short = run(&["job", "list", "--server", &fake.url, "--token", "short"]).await;
    assert_eq!(short.code, 2, "{short:?}");
}

#[tokio::test]
async fn a_schedule_is_previewed_with_the_values_of_a_job_file() {
    let fake = Fake::start().await;
    let preview =
        async |words: &[&str]| run(&[&["schedule", "preview", "--server", &fake.url], words].concat()).await;
    let words = [
        "--cron",
        "30 2 * * *",
        "--zone",
        "America/New_York",
        "--dst-gap",
        "skip",
        "--from",
        "2026-03-07T00:00:00Z",
        "--until",
        "2026-03-10T00:00:00+01:00",
        "-o",
        "json",
    ];
    assert_eq!(
        preview(&words).await.json(),
        json!([{
            "at": "2026-03-07T00:00:00Z",
            "local": r#"Some(Cron("30 2 * * *")) in America/New_York gap Skip"#,
            "note": r#"count 10000, until Some("2026-03-09T23:00:00Z")"#,
        }])
    );
    let words = ["--every", "1h 30m", "--from", "2026-03-07T00:00:00Z"];
    insta::assert_snapshot!(preview(&words).await.out, @r"
    AT                    LOCAL                                                                  NOTE
    2026-03-07 00:00:00Z  Some(Every(Duration { seconds: 5400, nanos: 0 })) in  gap Unspecified  count 10, until None
    ");

    for (words, code, says) in [
        (&["--every", "soon"][..], 2, "error: --every: `soon` is not a duration"),
        (&["--at", "x", "--dst-fold", "never"], 2, "[possible values: first, last, both]"),
        (&["--cron", "x", "--every", "1s"], 2, "cannot be used with"),
        (&["--zone", "UTC"], 2, "--cron"),
        (&["--cron", "@daily", "--from", "yesterday"], 2, "error: --from: `yesterday` is not an instant"),
    ] {
        let ended = preview(words).await;
        assert_eq!(ended.code, code, "{ended:?}");
        assert!(ended.err.contains(says), "{ended:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_said_in_the_servers_words() {
    let refuse = Some((Code::Aborted, "job a has changed since".to_owned()));
    let fake = Fake::start_with(State { refuse, ..State::default() }).await;
    let ended = run(&["job", "pause", "a", "--server", &fake.url]).await;
    assert_eq!(ended.code, 1);
    insta::assert_snapshot!(ended.err, @"error: job a has changed since");
}
