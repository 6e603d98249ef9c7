use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::command::end_of;
use crate::nsq::Installed;

/// What anything here is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_to_nsq_reads_is_what_nsq_tail_prints_at_every_node() {
    let installed = Installed::new().await;
    let (one, other) = (installed.nsqd("one", &[]).await, installed.nsqd("other", &[]).await);
    let mut to_nsq = installed.command("to_nsq");
    to_nsq
        .args(["-topic", "lines", "-nsqd-tcp-address", &one.tcp])
        .arg(format!("--nsqd-tcp-address={}", other.tcp));
    let published = end_of(&mut to_nsq, "first\n\nsecond\nlast").await;
    assert_eq!(published.code, 0, "{published:?}");

    for node in [&one, &other] {
        let words =
            ["-topic=lines", "--channel", "c", "-n", "3", "-print-topic", "-nsqd-tcp-address", &node.tcp];
        let printed = installed.run("nsq_tail", &words).await;
        assert_eq!(printed.code, 0, "{printed:?}");
        let mut lines: Vec<_> = printed.out.lines().collect();
        lines.sort_unstable(); // NSQ promises no order
        assert_eq!(lines, ["lines | first", "lines | last", "lines | second"]);
    }
}

#[tokio::test]
async fn to_nsq_splits_at_any_byte_and_keeps_to_a_rate() {
    let installed = Installed::new().await;
    let nsqd = installed.nsqd("data", &[]).await;
    let words = ["-topic=parts", "-delimiter=,", "-rate", "50", "-nsqd-tcp-address", &nsqd.tcp];
    let started = std::time::Instant::now();
    let published = end_of(installed.command("to_nsq").args(words), "a,b\nc,,d,e,f,g,h,i,j,k,").await;
    assert_eq!(published.code, 0, "{published:?}");
    assert!(
        started.elapsed() >= Duration::from_millis(140),
        "nine intervals of 20 ms, less what it may catch up"
    );
    let stats = nsqd.get("/stats?format=json&topic=parts").await;
    assert_eq!(stats["topics"][0]["message_count"], 10, "{stats}");
}

#[tokio::test]
async fn to_nsq_fails_when_a_node_does_not_take_a_record() {
    let installed = Installed::new().await;
    let nsqd = installed.nsqd("data", &["-max-msg-size=4"]).await;
    let words = ["-topic=lines", "-nsqd-tcp-address", &nsqd.tcp];
    let ended = end_of(installed.command("to_nsq").args(words), "too long\n").await;
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("did not take a message: E_BAD_MESSAGE"), "{ended:?}");
}

#[tokio::test]
async fn nsq_tail_finds_nodes_through_a_lookup_and_its_channel_goes_with_it() {
    let installed = Installed::new().await;
    let lookup = installed.nsqlookupd().await;
    let nsqd =
        installed.nsqd("data", &["-lookupd-tcp-address", &lookup.tcp, "-broadcast-address=127.0.0.1"]).await;
    nsqd.publish("news", "early").await;
    lookup.wait_until("/nodes", |nodes| nodes["producers"][0]["topics"][0] == "news").await;

    let words =
        ["-topic=news", "-topic=later", "-lookupd-http-address", &lookup.http, "-consumer-opt=client_id,me"];
    let mut tail = installed.command("nsq_tail").args(words).spawn().unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("it prints").unwrap();
    assert_eq!(line.as_deref(), Some("early"));
    let channel = "/stats?format=json&topic=news";
    let stats = nsqd.get(channel).await;
    let channel_of = &stats["topics"][0]["channels"][0];
    let name = channel_of["channel_name"].as_str().unwrap();
    assert!(name.starts_with("tail") && name.ends_with("#ephemeral") && name.len() == 20, "{name}");
    assert_eq!(channel_of["clients"][0]["client_id"], "me");

    kill(Pid::from_raw(i32::try_from(tail.id().unwrap()).unwrap()), Signal::SIGTERM).unwrap();
    let status = tokio::time::timeout(PATIENCE, tail.wait()).await.expect("it stops").unwrap();
    assert!(status.success(), "{status}");
    nsqd.wait_until(channel, |stats| stats["topics"][0]["channels"] == serde_json::json!([])).await;
}

#[tokio::test]
async fn nsq_stat_shows_rows_of_a_channel_under_a_header() {
    let installed = Installed::new().await;
    let lookup = installed.nsqlookupd().await;
    let nsqd =
        installed.nsqd("data", &["-lookupd-tcp-address", &lookup.tcp, "-broadcast-address=127.0.0.1"]).await;
    nsqd.publish("orders", "one").await;
    let words = ["-topic=orders", "-channel=mail", "-n=1", "-nsqd-tcp-address", &nsqd.tcp];
    assert_eq!(installed.run("nsq_tail", &words).await.out, "one\n");
    nsqd.publish("orders", "two").await;
    lookup.wait_until("/nodes", |nodes| nodes["producers"][0]["topics"][0] == "orders").await;

    let row = "      0       0 |       1 ";
    for source in [["-nsqd-http-address", &nsqd.http], ["-lookupd-http-address", &lookup.http]] {
        let words = ["-topic=orders", "--channel", "mail", "-interval=50ms", "-count", "2"];
        let shown = installed.run("nsq_stat", &[&words[..], &source].concat()).await;
        assert_eq!(shown.code, 0, "{shown:?}");
        let lines: Vec<_> = shown.out.lines().collect();
        assert_eq!(lines.len(), 4, "{shown:?}");
        assert!(
            lines[0].starts_with("------rate------+") && lines[1].starts_with("ingress  egress |"),
            "{shown:?}"
        );
        assert!(lines[2].starts_with(row) && lines[3].starts_with(row), "{shown:?}");
    }
    let words = ["-topic=orders", "-channel=nobody", "-nsqd-http-address", &nsqd.http];
    let ended = installed.run("nsq_stat", &words).await;
    assert_eq!(ended.code, 1);
    let expect = "failed to find channel(nobody) in stats metadata for topic(orders)";
    assert!(ended.err.contains(expect), "{ended:?}");
}

#[tokio::test]
async fn tools_say_what_their_flags_lack() {
    let installed = Installed::new().await;
    let check = async |name: &str, words: &[&str], code: i32, expect: &str| {
        let ended = installed.run(name, words).await;
        assert_eq!(ended.code, code, "{ended:?}");
        let first = ended.err.lines().next().unwrap_or_default();
        assert!(first.contains(expect), "said once, and nothing else before it: {ended:?}");
    };
    let (node, lookup) = ("-nsqd-tcp-address=127.0.0.1:1", "-lookupd-http-address=127.0.0.1:1");
    check("nsq_tail", &["-topic=t"], 1, "--nsqd-tcp-address or --lookupd-http-address required").await;
    check(
        "nsq_tail",
        &["-topic=t", node, lookup],
        1,
        "use --nsqd-tcp-address or --lookupd-http-address not both",
    )
    .await;
    check("nsq_tail", &[node], 1, "--topic required").await;
    check("nsq_tail", &["-topic=a b", node], 1, "\"a b\" is no topic's name").await;
    let option = "invalid value \"nonsense,1\" for flag -consumer-opt: invalid option nonsense";
    check("nsq_tail", &["-consumer-opt=nonsense,1"], 2, option).await;
    check("nsq_stat", &["-topic=t"], 1, "--topic and --channel are required").await;
    check("nsq_stat", &["-topic=t", "-channel=c", "-count=0"], 1, "--count should be positive").await;
    check("nsq_stat", &["-interval=2"], 2, "missing unit in duration \"2\"").await;
    check("to_nsq", &["-topic=t", "-delimiter=ab"], 1, "--delimiter must be a single byte").await;
    check("to_nsq", &["-topic=t"], 1, "--nsqd-tcp-address required").await;
    check("to_nsq", &["-topic=t", node], 1, "could not connect to 127.0.0.1:1").await;
}
