//! What jobs of the tests run: tells a unix socket when it starts and ends.
//!
//! `witness SOCKET WORK_MS [BEAT_MS [FAIL_BELOW]]` takes `WORK_MS`, tells of itself every `BEAT_MS` while at it (0:
//! never), and fails when its attempt's number is below `FAIL_BELOW`. Each message is `what run attempt ns pid`,
//! stamped here by the monotonic clock that all processes of the machine share.

use std::os::unix::net::UnixDatagram;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use punctual_tests::recorder;

fn main() -> anyhow::Result<ExitCode> {
    let started = recorder::now();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let socket = args.first().context("witness SOCKET WORK_MS [BEAT_MS [FAIL_BELOW]]")?;
    let number = |index: usize| args.get(index).map_or(Ok(0), |text| text.parse::<u64>());
    let (work, beat, fail_below) =
        (Duration::from_millis(number(1)?), Duration::from_millis(number(2)?), number(3)?);
    let run = std::env::var("PUNCTUAL_RUN_ID").context("no PUNCTUAL_RUN_ID")?;
    let attempt: u64 = std::env::var("PUNCTUAL_ATTEMPT").context("no PUNCTUAL_ATTEMPT")?.parse()?;

    let datagram = UnixDatagram::unbound()?;
    let tell = |what: &str, ts: i64| {
        let message = format!("{what} {run} {attempt} {ts} {}", std::process::id());
        datagram.send_to(message.as_bytes(), socket)
    };
    tell("start", started.0)?;
    let begun = Instant::now();
    while let Some(left) = work.checked_sub(begun.elapsed()) {
        let nap = if beat.is_zero() { left } else { left.min(beat) };
        #[expect(clippy::disallowed_methods, reason = "to take time is the work of this program")]
        std::thread::sleep(nap);
        if !beat.is_zero() {
            tell("beat", recorder::now().0)?;
        }
    }
    tell("end", recorder::now().0)?;
    println!("attempt {attempt} of {run} took {work:?}");
    Ok(if attempt < fail_below { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
