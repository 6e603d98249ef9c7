//! `cargo xtask fuzz`.

use std::fs;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, ensure};

use crate::cargo::{exit_code, run};
use crate::workspace;

/// More than any input may make a target take, in megabytes.
const MEMORY_MB: u32 = 512;

/// What a single allocation may be: inputs are far smaller, so one of this size is for a claim.
const ALLOCATION_MB: u32 = 64;

/// The longest input, in bytes: long enough for what spans several reads.
const MAX_INPUT_BYTES: u32 = 64 * 1024;

/// How long one input may take, in seconds.
const SECONDS_PER_INPUT: u32 = 10;

/// Gives each target, or those whose names contain one of `filters`, so many minutes. The first finding ends it.
pub(crate) fn fuzz(minutes: u32, filters: &[String]) -> anyhow::Result<ExitCode> {
    ensure!(has_cargo_fuzz(), "this needs `rustup toolchain install nightly` and `cargo install cargo-fuzz`");
    let targets = targets()?;
    let chosen: Vec<_> = targets
        .iter()
        .filter(|target| filters.is_empty() || filters.iter().any(|filter| target.contains(filter)))
        .collect();
    ensure!(!chosen.is_empty(), "no target's name contains that; there are {}", targets.join(", "));
    for target in chosen {
        let corpus = format!("fuzz/corpus/{target}");
        fs::create_dir_all(workspace::root().join(&corpus))
            .with_context(|| format!("cannot make {corpus}"))?;
        let mut command = nightly(["fuzz", "run", target, &corpus, &format!("fuzz/seeds/{target}"), "--"]);
        let seconds = minutes.saturating_mul(60);
        command.args([
            format!("-max_total_time={seconds}"),
            format!("-rss_limit_mb={MEMORY_MB}"),
            format!("-malloc_limit_mb={ALLOCATION_MB}"),
            format!("-max_len={MAX_INPUT_BYTES}"),
            format!("-timeout={SECONDS_PER_INPUT}"),
            "-print_final_stats=1".to_owned(),
        ]);
        let status = run(&mut command)?;
        if !status.success() {
            eprintln!(
                "{target} has found something; keep the input in fuzz/seeds/{target} once it is mended"
            );
            return Ok(exit_code(status));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The programs in `fuzz/`.
fn targets() -> anyhow::Result<Vec<String>> {
    let dir = workspace::root().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))? {
        if let Some(name) = entry?.path().file_stem().and_then(|name| name.to_str()) {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn has_cargo_fuzz() -> bool {
    let asked = nightly(["fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

/// A cargo command of the nightly toolchain, whichever this program was started with.
fn nightly<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]).args(arguments).current_dir(workspace::root());
    // Those of the toolchain that built this program.
    for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(name);
    }
    command
}
