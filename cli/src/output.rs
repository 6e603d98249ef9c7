//! Where answers go, and how they look there.

mod style;
mod table;
mod time;

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

pub(crate) use self::style::Style;
pub(crate) use self::table::{details, table};
pub(crate) use self::time::{between, instant};

/// How answers look.
#[derive(Debug, clap::Args)]
pub(crate) struct OutputArgs {
    /// Table for people, or a list of objects for programs
    #[arg(short, long, global = true, value_name = "FORM", default_value = "table")]
    output: Format,
}

/// How answers look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Columns, times in UTC
    Table,
    /// An array of objects
    Json,
    /// The same as YAML
    Yaml,
}

impl OutputArgs {
    /// Standard output in this form.
    pub(crate) fn open(self) -> Output {
        Output { format: self.output, style: Style::of_stdout() }
    }
}

/// Standard output, in the form that was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// The form.
    pub(crate) format: Format,
    /// Colours and width; plain when nobody watches.
    pub(crate) style: Style,
}

impl Output {
    /// Standard output for people.
    pub(crate) fn people() -> Self {
        OutputArgs { output: Format::Table }.open()
    }

    /// Prints an answer: as objects, or as the text that `people` makes of it.
    ///
    /// # Errors
    /// When standard output does not take it; a broken pipe among others.
    pub(crate) fn print(&self, objects: &[Value], people: impl FnOnce(Style) -> String) -> io::Result<()> {
        let text = match self.format {
            Format::Table => people(self.style),
            Format::Json => format!("{:#}", Value::from(objects)),
            Format::Yaml => yaml(objects),
        };
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        if !text.is_empty() && !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        out.flush()
    }

    /// Prints one object of an endless list: a line of JSON, a YAML document, or the text that `people` makes of it.
    ///
    /// # Errors
    /// As [`print`](Self::print).
    pub(crate) fn print_next(&self, object: &Value, people: impl FnOnce() -> String) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match self.format {
            Format::Table => writeln!(out, "{}", people())?,
            Format::Json => writeln!(out, "{object}")?,
            Format::Yaml => write!(out, "---\n{}", yaml(object))?,
        }
        out.flush()
    }

    /// Whether it can be drawn on again and again: a table on a terminal.
    pub(crate) fn is_drawable(&self) -> bool {
        self.format == Format::Table && io::stdout().is_terminal()
    }
}

/// Any JSON value has a YAML form.
pub(crate) fn yaml<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_yaml_ng::to_string(value).expect("JSON values have text keys and finite numbers only")
}
