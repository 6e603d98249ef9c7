//! Messages in files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use punctual_queue_tools::error::ToolError;
use punctual_queue_tools::nsq_to_file::{NsqToFile, ToFileError};
use punctual_queue_tools::time_of_day::TimeOfDay;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::servers::{RealLookup, RealNode, wait_until};
use crate::tool::{Tool, flags};

mod killed;

/// The tool, with these flags besides the directory; files are closed when `reopen` changes.
fn start(dir: &Path, words: &[&str], reopen: &watch::Sender<u64>) -> anyhow::Result<Tool> {
    let dir = format!("-output-dir={}", dir.join("output").display());
    let tool: NsqToFile = flags(&[words, &[dir.as_str()]].concat())?;
    let reopened = reopen.subscribe();
    Ok(Tool::start(|stop| tool.run_with(TimeOfDay::local(), stop, reopened)))
}

/// What can be read of the files below a directory, lines by file; compressed ones up to where they are cut off.
fn files(dir: &Path) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let mut files = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let (mut text, mut file) = (String::new(), fs::File::open(&path)?);
            if path.extension().is_some_and(|extension| extension == "gz") {
                let _cut_off = MultiGzDecoder::new(file).read_to_string(&mut text);
            } else {
                file.read_to_string(&mut text)?;
            }
            let name = path.strip_prefix(dir)?.display().to_string();
            files.insert(name, text.lines().map(str::to_owned).collect());
        }
    }
    Ok(files)
}

/// Waits until the files are these, each as its name and its lines.
async fn wait_for_files(dir: &Path, expect: &[(&str, &[&str])]) -> anyhow::Result<()> {
    let expect: BTreeMap<_, Vec<_>> = expect
        .iter()
        .map(|(name, lines)| ((*name).to_owned(), lines.iter().map(|line| (*line).to_owned()).collect()))
        .collect();
    wait_until(async || files(dir), |files| *files == expect).await?;
    Ok(())
}

#[tokio::test]
async fn messages_are_written_at_once_and_finished_with_the_next_sync() -> anyhow::Result<()> {
    let (node, dir, reopen) = (RealNode::start().await?, TempDir::new()?, watch::Sender::new(0));
    let words =
        [&node.flag(), "-topic=t", "-filename-format=<TOPIC>.log", "-max-in-flight=100", "-sync-interval=1h"];
    let tool = start(dir.path(), &words, &reopen)?;
    // A new file is synced with its first message.
    node.publish("t", &["one"]).await?;
    node.wait_finished("t", "nsq_to_file", 1).await?;
    node.publish("t", &["two", "three"]).await?;
    wait_for_files(dir.path(), &[("output/t.log", &["one", "two", "three"])]).await?;
    assert_eq!(node.finished("t", "nsq_to_file").await?, 1);
    tool.stop().await?;
    node.wait_finished("t", "nsq_to_file", 3).await
}

#[tokio::test]
async fn a_full_batch_is_finished_and_so_is_one_that_the_node_waits_for() -> anyhow::Result<()> {
    let (node, other) = (RealNode::start().await?, RealNode::start().await?);
    let (dir, reopen) = (TempDir::new()?, watch::Sender::new(0));
    let (one, two) = (node.flag(), other.flag());
    let words = [&one, &two, "-topic=t", "-filename-format=f", "-max-in-flight=20", "-sync-interval=1h"];
    let _tool = start(dir.path(), &words, &reopen)?;
    // Each node sends ten at once, so that the batch of twenty is never full, and yet nothing more would come.
    let bodies: Vec<_> = (0..50).map(|number| number.to_string()).collect();
    let bodies: Vec<_> = bodies.iter().map(String::as_str).collect();
    node.publish("t", &bodies).await?;
    wait_until(async || node.finished("t", "nsq_to_file").await, |finished| *finished >= 40).await?;
    Ok(())
}

#[tokio::test]
async fn ticks_finish_what_is_left() -> anyhow::Result<()> {
    let (node, dir, reopen) = (RealNode::start().await?, TempDir::new()?, watch::Sender::new(0));
    let words = [
        &node.flag(),
        "-topic=t",
        "-topic=u",
        "-gzip",
        "-filename-format=<TOPIC><REV>",
        "-sync-interval=50ms",
    ];
    let tool = start(dir.path(), &words, &reopen)?;
    node.publish("u", &["x"]).await?;
    for (count, body) in (1..).zip(["one", "two", "three"]) {
        node.publish("t", &[body]).await?;
        node.wait_finished("t", "nsq_to_file", count).await?;
    }
    node.wait_finished("u", "nsq_to_file", 1).await?;
    // Complete streams, while the file is open.
    let expect: &[(&str, &[&str])] =
        &[("output/t-000000.gz", &["one", "two", "three"]), ("output/u-000000.gz", &["x"])];
    wait_for_files(dir.path(), expect).await?;
    tool.stop().await?;
    wait_for_files(dir.path(), expect).await
}

#[tokio::test]
async fn a_file_that_was_moved_away_is_begun_anew_when_asked_to_reopen() -> anyhow::Result<()> {
    let (node, dir, reopen) = (RealNode::start().await?, TempDir::new()?, watch::Sender::new(0));
    let ignored = ["-http-client-connect-timeout", "1s"];
    let words = [&node.flag(), "-topic=t", "-filename-format=<TOPIC>.log", "-sync-interval=1h"];
    let words = [&ignored[..], &words].concat();
    let tool = start(dir.path(), &words, &reopen)?;
    node.publish("t", &["one"]).await?;
    node.wait_finished("t", "nsq_to_file", 1).await?;
    node.publish("t", &["two"]).await?;
    wait_for_files(dir.path(), &[("output/t.log", &["one", "two"])]).await?;
    fs::rename(dir.path().join("output/t.log"), dir.path().join("output/old"))?;
    reopen.send_modify(|count| *count += 1);
    // What was written before is finished with it.
    node.wait_finished("t", "nsq_to_file", 2).await?;
    node.publish("t", &["three"]).await?;
    wait_for_files(dir.path(), &[("output/old", &["one", "two"]), ("output/t.log", &["three"])]).await?;
    tool.stop().await
}

#[tokio::test]
async fn complete_files_are_moved_from_the_work_directory() -> anyhow::Result<()> {
    let (node, dir, reopen) = (RealNode::start().await?, TempDir::new()?, watch::Sender::new(0));
    let work = format!("-work-dir={}", dir.path().join("work").display());
    let words = [
        &node.flag(),
        &work,
        "-topic=t",
        "-filename-format=<TOPIC>/f<REV>",
        "-rotate-size=5",
        "-skip-empty-files",
    ];
    let tool = start(dir.path(), &words, &reopen)?;
    for body in ["one", "two", "three"] {
        node.publish("t", &[body]).await?;
    }
    let first: (&str, &[&str]) = ("output/t/f-000000", &["one", "two"]);
    wait_for_files(dir.path(), &[first, ("work/t/f-000001", &["three"])]).await?;
    tool.stop().await?;
    wait_for_files(dir.path(), &[first, ("output/t/f-000001", &["three"])]).await?;
    node.wait_finished("t", "nsq_to_file", 3).await
}

#[tokio::test]
async fn topics_are_found_by_their_pattern_also_those_that_come_later() -> anyhow::Result<()> {
    let lookup = RealLookup::start().await?;
    let node = RealNode::known_to(&lookup).await?;
    let (dir, reopen) = (TempDir::new()?, watch::Sender::new(0));
    node.publish("clicks_eu", &["a"]).await?;
    node.publish("views", &["b"]).await?;
    let address = format!("-lookupd-http-address={}", lookup.http);
    let words = [
        &address,
        "-topic-pattern=^clicks",
        "-topic-refresh=20ms",
        "-filename-format=<TOPIC>",
        "-consumer-opt=lookupd_poll_interval,20ms",
    ];
    let tool = start(dir.path(), &words, &reopen)?;
    wait_for_files(dir.path(), &[("output/clicks_eu", &["a"])]).await?;
    node.publish("clicks_us", &["c"]).await?;
    wait_for_files(dir.path(), &[("output/clicks_eu", &["a"]), ("output/clicks_us", &["c"])]).await?;
    tool.stop().await
}

#[tokio::test]
async fn a_file_that_cannot_be_written_ends_the_tool_and_finishes_nothing() -> anyhow::Result<()> {
    let (node, dir, reopen) = (RealNode::start().await?, TempDir::new()?, watch::Sender::new(0));
    fs::create_dir(dir.path().join("output"))?;
    symlink("/dev/full", dir.path().join("output/t"))?;
    let words = [&node.flag(), "-topic=t", "-topic=u", "-filename-format=<TOPIC>", "-sync-interval=1h"];
    let tool = start(dir.path(), &words, &reopen)?;
    node.publish("u", &["fine"]).await?;
    node.wait_finished("u", "nsq_to_file", 1).await?;
    node.publish("t", &["lost?"]).await?;
    let error = tool.ended().await?.unwrap_err();
    assert!(
        matches!(&error, ToolError::ToFile(ToFileError::Spool(spool)) if spool.what == "write to"),
        "{error:?}"
    );
    assert_eq!(node.finished("t", "nsq_to_file").await?, 0);
    Ok(())
}

#[tokio::test]
async fn flags_that_contradict_each_other_are_refused() -> anyhow::Result<()> {
    let (dir, reopen) = (TempDir::new()?, watch::Sender::new(0));
    for (words, expect) in [
        (&["-topic=t"][..], "--nsqd-tcp-address or --lookupd-http-address required"),
        (&["-nsqd-tcp-address=n:1"], "--topic or --topic-pattern required"),
        (
            &["-nsqd-tcp-address=n:1", "-topic-pattern=."],
            "--lookupd-http-address must be specified when no --topic specified",
        ),
        (
            &["-nsqd-tcp-address=n:1", "-topic=t", "-gzip", "-filename-format=x"],
            "missing <REV> in --filename-format when gzip, rotation, or work dir enabled",
        ),
        (
            &["-nsqd-tcp-address=n:1", "-topic=t", "-topic-pattern=("],
            "--topic-pattern is not a regular expression",
        ),
    ] {
        let error = start(dir.path(), words, &reopen)?.ended().await?.unwrap_err();
        assert_eq!(error.to_string(), expect);
    }
    assert_eq!(fs::read_dir(dir.path())?.count(), 0, "nothing was made");
    assert!(flags::<NsqToFile>(&["-gzip-level=10"]).is_err());
    Ok(())
}

/// Every line there is.
fn lines(dir: &Path) -> anyhow::Result<BTreeSet<String>> {
    Ok(files(dir)?.into_values().flatten().collect())
}
