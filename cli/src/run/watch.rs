use std::io::{self, Write};
use std::time::Duration;

use clap::Args;
use crossterm::cursor::MoveUp;
use crossterm::queue;
use crossterm::terminal::{Clear, ClearType};
use punctual_proto::json::to_value;
use punctual_proto::v1::{Run, RunState, WatchRunsRequest};
use tokio::time::Instant;
use tonic::Streaming;

use super::board::{Board, is_ahead, is_final};
use super::show;
use crate::client::{Client, runs};
use crate::failure::{ExitStatus, Failure};
use crate::output::Style;

/// The table is drawn at most this often, however much happens.
const REDRAW_EVERY: Duration = Duration::from_millis(100);
/// How long to wait before asking again when no server answers.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// `punctual run watch`.
#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    /// Only this run, until it is final
    #[arg(value_name = "ID", conflicts_with = "job")]
    id: Option<String>,

    /// Only runs of this job
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
}

/// What to follow, and how much of it to show.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch {
    /// Only runs of this job; empty for all.
    pub(crate) job: String,
    /// Only this run; empty for all.
    pub(crate) id: String,
    /// Whether lines are left out that only say that a run waits: planned, or queued.
    pub(crate) brief: bool,
}

impl WatchArgs {
    /// Follows until the one run is final, or for ever.
    pub(super) async fn run(self, client: &Client) -> Result<(), Failure> {
        let one = self.id.is_some();
        let last = watch(
            client,
            Watch { job: self.job.unwrap_or_default(), id: self.id.unwrap_or_default(), brief: false },
        )
        .await?;
        match last {
            Some(run) if one && run.state() != RunState::Succeeded => {
                Err(Failure::Said(ExitStatus::RunFailed))
            }
            _ => Ok(()),
        }
    }
}

/// Shows runs as they change: a table that is redrawn on a terminal, lines elsewhere. Goes on at another server when
/// one fails. Returns the run that was followed once it is final; without one, never.
///
/// # Errors
/// When no server answers within the time-out, one refuses, or the output is not taken.
pub(crate) async fn watch(client: &Client, what: Watch) -> Result<Option<Run>, Failure> {
    let mut canvas = Canvas { client, brief: what.brief, board: Board::default(), lines: 0, redraw_at: None };
    let request = WatchRunsRequest { namespace: client.namespace.clone(), job: what.job, id: what.id };
    loop {
        let mut stream = open(client, &request).await?;
        while let Some(run) = canvas.next(&mut stream).await? {
            let done = (!request.id.is_empty() && is_final(&run)).then(|| run.clone());
            canvas.show(run)?;
            if done.is_some() {
                canvas.draw()?;
                return Ok(done);
            }
        }
        tracing::debug!("the stream of runs ended; opening it anew");
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// Opens the stream at the first server that gives it, trying for as long as one call may take.
async fn open(client: &Client, request: &WatchRunsRequest) -> Result<Streaming<Run>, Failure> {
    let deadline = Instant::now() + client.servers.timeout();
    loop {
        match client.servers.call(async |link| runs(link).watch_runs(request.clone()).await).await {
            Err(Failure::Unreachable(_)) if Instant::now() + RETRY_AFTER < deadline => {
                tokio::time::sleep(RETRY_AFTER).await;
            }
            outcome => return outcome,
        }
    }
}

/// What the runs are shown on.
struct Canvas<'c> {
    client: &'c Client,
    brief: bool,
    board: Board,
    /// How many lines the table drawn last has.
    lines: u16,
    /// When to draw again; `None` while nothing changed.
    redraw_at: Option<Instant>,
}

impl Canvas<'_> {
    /// The next run of the stream; `None` when the stream is over, in whatever way. Draws meanwhile.
    async fn next(&mut self, stream: &mut Streaming<Run>) -> Result<Option<Run>, Failure> {
        loop {
            let redraw_at = self.redraw_at.unwrap_or_else(|| Instant::now() + Duration::from_secs(3_600));
            tokio::select! {
                run = stream.message() => return Ok(run.unwrap_or_default()),
                () = tokio::time::sleep_until(redraw_at) => self.draw()?,
            }
        }
    }

    fn show(&mut self, run: Run) -> Result<(), Failure> {
        let waits = is_ahead(&run) || run.state() == RunState::Queued;
        if self.client.output.is_drawable() {
            if self.board.take(run) {
                self.redraw_at.get_or_insert(Instant::now() + REDRAW_EVERY);
            }
        } else if self.board.take(run.clone()) && !(self.brief && waits) {
            self.client.output.print_next(&to_value(&run), || show::line(&run))?;
        }
        Ok(())
    }

    /// Draws the table over the one before it.
    fn draw(&mut self) -> Result<(), Failure> {
        self.redraw_at = None;
        if !self.client.output.is_drawable() {
            return Ok(());
        }
        let (columns, rows) = crossterm::terminal::size().unwrap_or((100, 30));
        // A line that is cut has to be one line: the width is kept by cutting, not by wrapping.
        let style = Style { width: None, ..self.client.output.style };
        let text = self.board.draw(style, usize::from(rows).saturating_sub(1));
        let mut out = io::stdout().lock();
        if self.lines > 0 {
            queue!(out, MoveUp(self.lines))?;
        }
        queue!(out, Clear(ClearType::FromCursorDown))?;
        self.lines = 0;
        for line in text.lines() {
            writeln!(out, "{}", cut(line, usize::from(columns)))?;
            self.lines += 1;
        }
        Ok(out.flush()?)
    }
}

/// The first `columns` characters of a line, colour codes not counted.
fn cut(line: &str, columns: usize) -> String {
    let mut text = String::new();
    let mut shown = 0;
    let mut in_code = false;
    for c in line.chars() {
        in_code |= c == '\u{1b}';
        if in_code {
            in_code = c != 'm';
        } else if shown == columns {
            continue;
        } else {
            shown += 1;
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_to_the_terminal_and_colours_still_end() {
        assert_eq!(cut("abcdef", 4), "abcd");
        assert_eq!(cut("ab", 4), "ab");
        assert_eq!(cut("a\u{1b}[32mbcd\u{1b}[0mef", 2), "a\u{1b}[32mb\u{1b}[0m");
    }
}
