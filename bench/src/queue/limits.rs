//! What the machine itself gives, with nothing around it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use crate::figures::Sample;
use crate::machine;

const ROUND: Duration = Duration::from_secs(1);
/// Written once before, so that a sync has no metadata to write.
const WRITTEN_BYTES: u64 = 64 << 20;

/// Microseconds of a write of `bytes` and its `fdatasync`: in a growing file, or over blocks already `written`.
pub(super) fn synced_writes(bytes: usize, written: bool) -> anyhow::Result<Sample> {
    let path = machine::scratch()?.join("limits");
    let file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&path)?;
    if written {
        fill(&file)?;
    }
    let body = vec![b'x'; bytes];
    let started = Instant::now();
    let mut times = Vec::new();
    let mut at = 0;
    while started.elapsed() < ROUND {
        let sent = Instant::now();
        file.write_all_at(&body, at)?;
        file.sync_data()?;
        times.push(sent.elapsed().as_secs_f64() * 1e6);
        at += bytes as u64;
        if written && at + bytes as u64 > WRITTEN_BYTES {
            at = 0;
        }
    }
    std::fs::remove_file(&path)?;
    Ok(Sample::new(times))
}

fn fill(file: &File) -> std::io::Result<()> {
    let zeros = vec![0; 1 << 20];
    for at in (0..WRITTEN_BYTES).step_by(zeros.len()) {
        file.write_all_at(&zeros, at)?;
    }
    file.sync_all()
}

/// Microseconds of a message to another thread on a loopback connection and its echo.
pub(super) fn round_trips(bytes: usize) -> anyhow::Result<Sample> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut near = TcpStream::connect(listener.local_addr()?)?;
    let (mut far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let echo = std::thread::spawn(move || {
        let mut body = vec![0; bytes];
        while far.read_exact(&mut body).and_then(|()| far.write_all(&body)).is_ok() {}
    });
    let mut body = vec![b'x'; bytes];
    let started = Instant::now();
    let mut times = Vec::new();
    while started.elapsed() < ROUND {
        let sent = Instant::now();
        near.write_all(&body)?;
        near.read_exact(&mut body)?;
        times.push(sent.elapsed().as_secs_f64() * 1e6);
    }
    drop(near);
    let _ended = echo.join();
    Ok(Sample::new(times))
}

/// Messages of `bytes`, `batch` to a write, through a loopback connection per second.
pub(super) fn framed_messages(bytes: usize, batch: usize) -> anyhow::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut near = TcpStream::connect(listener.local_addr()?)?;
    let (mut far, _) = listener.accept()?;
    let sink = std::thread::spawn(move || {
        let mut input = vec![0; 256 << 10];
        while far.read(&mut input).is_ok_and(|came| came > 0) {}
    });
    let framed = vec![b'x'; (bytes + 4) * batch];
    let started = Instant::now();
    let mut sent = 0;
    while started.elapsed() < ROUND {
        near.write_all(&framed)?;
        sent += batch;
    }
    drop(near);
    let _ended = sink.join();
    Ok(sent as f64 / started.elapsed().as_secs_f64())
}
