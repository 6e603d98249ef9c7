//! The tool in a process of its own, which is killed as it writes.

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::{files, lines};
use crate::process::ToolProcess;
use crate::servers::{RealNode, wait_until};

/// How often it is killed.
const KILLS: u64 = 5;

/// Messages published between.
const MESSAGES: u64 = 2_000;

/// Kills the tool again and again while messages come. Whatever was finished must be in what can be read of its files.
async fn check(more: &[&str]) -> anyhow::Result<()> {
    let (node, dir) = (RealNode::start().await?, TempDir::new()?);
    let (flag, output) = (node.flag(), format!("-output-dir={}", dir.path().join("output").display()));
    let work = format!("-work-dir={}", dir.path().join("work").display());
    let words = [&[flag.as_str(), &output, &work, "-topic=t", "-sync-interval=5ms"], more].concat();
    node.create_channel("t", "nsq_to_file").await?;
    let mut published = 0;
    for round in 1..=KILLS {
        let bodies: Vec<_> = (0..MESSAGES).map(|n| format!("{round}-{n}-{}", "x".repeat(200))).collect();
        let bodies: Vec<_> = bodies.iter().map(String::as_str).collect();
        let before = node.finished("t", "nsq_to_file").await?;
        node.publish("t", &bodies).await?;
        published += MESSAGES;
        let tool = ToolProcess::start("nsq_to_file", &words, None)?;
        // In the middle of it, at another place each time.
        let enough = before + 1 + round * 150;
        wait_until(async || node.finished("t", "nsq_to_file").await, |finished| *finished >= enough).await?;
        drop(tool);
    }
    let left = published - node.finished("t", "nsq_to_file").await?;
    assert!(left > 0, "it was killed before it was done");
    let _tool = ToolProcess::start("nsq_to_file", &words, None)?;
    node.wait_finished("t", "nsq_to_file", published).await?;
    // What was finished before a kill never came again, what was not has been written since.
    let lines = lines(dir.path())?;
    for round in 1..=KILLS {
        for n in 0..MESSAGES {
            let line = format!("{round}-{n}-{}", "x".repeat(200));
            assert!(lines.contains(&line), "{round}-{n} was finished and is in no file");
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_was_finished_is_in_the_files_of_a_killed_tool() -> anyhow::Result<()> {
    check(&["-max-in-flight=50"]).await
}

#[tokio::test]
async fn what_was_finished_is_in_the_compressed_and_rotated_files_of_a_killed_tool() -> anyhow::Result<()> {
    check(&["-max-in-flight=50", "-gzip", "-rotate-size=20000", "-skip-empty-files"]).await
}

#[tokio::test]
async fn a_process_closes_its_files_upon_a_hang_up() -> anyhow::Result<()> {
    let (node, dir) = (RealNode::start().await?, TempDir::new()?);
    let (flag, output) = (node.flag(), format!("-output-dir={}", dir.path().display()));
    let words = [flag.as_str(), &output, "-topic=t", "-filename-format=f", "-sync-interval=1h"];
    node.publish("t", &["one"]).await?;
    let tool = ToolProcess::start("nsq_to_file", &words, None)?;
    node.wait_finished("t", "nsq_to_file", 1).await?;
    std::fs::rename(dir.path().join("f"), dir.path().join("old"))?;
    tool.signal(Signal::SIGHUP)?;
    // Whichever comes first: only once the file is closed does a message go to another.
    let mut bodies = 0;
    wait_until(
        async || {
            bodies += 1;
            node.publish("t", &["more"]).await?;
            files(dir.path())
        },
        |files| files.contains_key("f"),
    )
    .await?;
    tool.signal(Signal::SIGHUP)?;
    node.wait_finished("t", "nsq_to_file", 1 + bodies).await?;
    let files = files(dir.path())?;
    let count: usize = files.values().map(Vec::len).sum();
    assert_eq!(u64::try_from(count)?, 1 + bodies);
    Ok(())
}
