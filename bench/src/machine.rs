//! What was measured on.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;

/// Cores, memory, kernel and the layout of the processes: figures mean nothing without.
pub(crate) fn layout() -> anyhow::Result<String> {
    let cores = std::thread::available_parallelism()?;
    let cpu = first_value("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let memory = first_value("/proc/meminfo", "MemTotal").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Ok(format!(
        "machine: {cores} cores of {cpu}, memory {memory}, Linux {}\n\
         layout, unless said: scheduler, queue node, lookup, worker, Postgres and the load share all cores; Postgres with fsync and \
         synchronous_commit on\nbinary: {}\nscratch: {}",
        kernel.trim(),
        punctual()?.display(),
        scratch()?.display(),
    ))
}

/// The binary that is measured: `PUNCTUAL_BIN`, which `cargo xtask bench` sets, else the one beside this program.
pub(crate) fn punctual() -> anyhow::Result<PathBuf> {
    if let Some(given) = std::env::var_os("PUNCTUAL_BIN") {
        return Ok(PathBuf::from(given));
    }
    let beside = std::env::current_exe()?.with_file_name("punctual");
    anyhow::ensure!(beside.exists(), "{} is not built: use cargo xtask bench", beside.display());
    Ok(beside)
}

/// A directory on the disk that the build is on.
pub(crate) fn scratch() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let dir = own.parent().context("a program lies in a directory")?.join("bench-scratch");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}

fn first_value(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
