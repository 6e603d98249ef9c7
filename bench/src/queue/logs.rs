//! One log for a node or one for each topic: what a group commit costs that is spread over several files.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::Args;
use crate::figures::{Sample, line, title};
use crate::machine;

const ROUND: Duration = Duration::from_secs(2);
/// Written once before and then over and over, so that a sync has no metadata to write.
const FILE_BYTES: usize = 2 << 20;
/// Threads that sync side by side, the one that writes among them.
const THREADS: usize = 4;

pub(crate) fn measure(args: &Args) -> anyhow::Result<()> {
    title(&format!(
        "Logs: group commits over written blocks, {} rounds of {} s; commits per second, p50 and p99 of one",
        args.rounds,
        ROUND.as_secs()
    ));
    for (bytes, what) in [(64 << 10, "64 KiB"), (1 << 20, "1 MiB")] {
        for count in [1, 10, 100] {
            let of = |way: &str| format!("{what} of {count} topics: {way}");
            compare(args, bytes, count, of)?;
        }
    }
    // Its calls need unsafe code, which this program forbids, and a log cannot count on them.
    line("by io_uring", "not measured: containers' default seccomp profile refuses it", "");
    Ok(())
}

fn compare(args: &Args, bytes: usize, count: usize, of: impl Fn(&str) -> String) -> anyhow::Result<()> {
    let dir = tempfile::Builder::new().prefix("logs-").tempdir_in(machine::scratch()?)?;
    let mut files = Vec::new();
    for number in 0..count {
        let path = dir.path().join(format!("{number}.log"));
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
        file.write_all_at(&vec![0; FILE_BYTES], 0)?;
        file.sync_all()?;
        files.push(file);
    }
    let (one, each) = (Spread::over(&files[..1], bytes), Spread::over(&files, bytes));
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    // Round by round, so that a slow minute of the disk is everybody's.
    for _ in 0..args.rounds {
        times[0].extend(one.commits(|| in_turn(one.files))?);
        times[1].extend(each.commits(|| in_turn(each.files))?);
        times[2].extend(side_by_side(&each)?);
    }
    for (way, times) in
        ["one file", "a file each, synced in turn", "a file each, synced by 4 threads"].into_iter().zip(times)
    {
        let (commits, took_us): (_, f64) = (times.len(), times.iter().sum());
        let times = Sample::new(times);
        let rate = commits as f64 * 1e6 / took_us;
        let value = format!("{rate:.0}/s, p50 {:.0} us, p99 {:.0} us", times.median(), times.quantile(0.99));
        line(&of(way), &value, "");
    }
    Ok(())
}

/// The bytes of a commit, to the same amount in each of its files.
struct Spread<'a> {
    files: &'a [File],
    share: Vec<u8>,
}

impl<'a> Spread<'a> {
    fn over(files: &'a [File], bytes: usize) -> Self {
        Self { files, share: vec![b'x'; bytes / files.len()] }
    }

    /// Writes and has `sync` make durable for as long as a round; microseconds of each commit.
    fn commits(&self, mut sync: impl FnMut() -> io::Result<()>) -> io::Result<Vec<f64>> {
        let started = Instant::now();
        let mut times = Vec::new();
        let mut at = 0;
        while started.elapsed() < ROUND {
            let begun = Instant::now();
            for file in self.files {
                file.write_all_at(&self.share, at as u64)?;
            }
            sync()?;
            times.push(begun.elapsed().as_secs_f64() * 1e6);
            at += self.share.len();
            if at + self.share.len() > FILE_BYTES {
                at = 0;
            }
        }
        Ok(times)
    }
}

fn in_turn<'a>(files: impl IntoIterator<Item = &'a File>) -> io::Result<()> {
    files.into_iter().try_for_each(File::sync_data)
}

fn side_by_side(spread: &Spread<'_>) -> anyhow::Result<Vec<f64>> {
    let share = |number| spread.files.iter().skip(number).step_by(THREADS);
    std::thread::scope(|threads| {
        let (done, answers) = mpsc::channel();
        let helpers: Vec<_> = (1..THREADS.min(spread.files.len()))
            .map(|number| {
                let (asks, asked) = mpsc::channel::<()>();
                let done = done.clone();
                // Ends with its channel of questions.
                threads.spawn(move || asked.iter().try_for_each(|()| done.send(in_turn(share(number)))));
                asks
            })
            .collect();
        let times = spread.commits(|| {
            for helper in &helpers {
                helper.send(()).map_err(io::Error::other)?;
            }
            in_turn(share(0))?;
            answers.iter().take(helpers.len()).collect()
        })?;
        Ok(times)
    })
}
