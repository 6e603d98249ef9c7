use std::io::{IsTerminal, stdout};

use comfy_table::{Cell, Color};

/// Whether to colour, and how wide lines may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// Whether states are coloured.
    pub(crate) colour: bool,
    /// Columns of the terminal. `None`: lines are as long as they are, since a program may read them.
    pub(crate) width: Option<u16>,
}

impl Style {
    /// No colours, no limit.
    pub(crate) const PLAIN: Self = Self { colour: false, width: None };

    /// What standard output takes: plain unless it is a terminal, and no colours where `NO_COLOR` is set.
    pub(crate) fn of_stdout() -> Self {
        if !stdout().is_terminal() {
            return Self::PLAIN;
        }
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let width = crossterm::terminal::size().ok().map(|(columns, _rows)| columns);
        Self { colour: !no_color, width }
    }

    /// The cell of a state, in the colour people expect.
    pub(crate) fn state(self, state: &str) -> Cell {
        let colour = match state {
            "succeeded" | "active" | "created" => Color::Green,
            "failed" | "errored" | "expired" => Color::Red,
            "running" | "updated" => Color::Cyan,
            "skipped" | "cancelled" | "paused" | "exhausted" | "deleted" | "lost" | "timed_out" => {
                Color::Yellow
            }
            _ => return Cell::new(state),
        };
        if self.colour { Cell::new(state).fg(colour) } else { Cell::new(state) }
    }
}
