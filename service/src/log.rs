//! The log: lines on stderr, for people or for machines.

use std::io::{self, IsTerminal, Write, stderr};
use std::sync::OnceLock;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

/// What changes the filter of the log that [`init`] started.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// What [`init`] has put before every line.
static PREFIX: OnceLock<String> = OnceLock::new();

/// Flags of the log, the same for every role.
#[derive(Debug, Clone, clap::Args)]
pub struct LogArgs {
    /// What to log: a level, or directives such as info,punctual_queue_node=debug
    #[arg(long, env = "PUNCTUAL_LOG_LEVEL", default_value = "info", global = true, value_parser = check_filter)]
    pub log_level: String,

    /// How a log line looks
    #[arg(long, env = "PUNCTUAL_LOG_FORMAT", default_value = "text", global = true)]
    pub log_format: LogFormat,

    /// What stands before every line of text
    #[arg(long, env = "PUNCTUAL_LOG_PREFIX", default_value = "", hide_default_value = true, global = true)]
    pub log_prefix: String,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A compact line for people; coloured on a terminal unless `NO_COLOR` is set
    Text,
    /// One JSON object per line
    Json,
}

/// Starts logging to stderr. The first call in a process wins; later ones, as in a process of several roles, change
/// nothing.
pub fn init(args: &LogArgs) {
    // Checked when the flag was parsed; a filter made by hand that does not parse logs at `info`.
    let filter = EnvFilter::try_new(&args.log_level).unwrap_or_else(|_| EnvFilter::new("info"));
    let (filter, handle) = reload::Layer::new(filter);
    let filtered = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer();
    let prefix = args.log_prefix.clone();
    let text = move || Prefixed { prefix: prefix.clone(), inner: stderr() };
    let started = match args.log_format {
        LogFormat::Text => {
            filtered.with(lines.with_writer(text).compact().with_ansi(wants_colour())).try_init()
        }
        LogFormat::Json => {
            filtered.with(lines.with_writer(stderr).json().flatten_event(true).with_ansi(false)).try_init()
        }
    };
    // An error says that a subscriber is there already.
    if started.is_ok() {
        let (_first, _also) = (FILTER.set(handle), PREFIX.set(args.log_prefix.clone()));
    }
}

/// What stands before every line of this process's log, of text.
pub fn prefix() -> &'static str {
    PREFIX.get().map_or("", String::as_str)
}

/// The most detailed level that this process logs anywhere.
pub fn level() -> LevelFilter {
    LevelFilter::current()
}

/// Logs everything of `level` and above from now on, in place of what [`LogArgs`] asked for. `false` when this
/// process's log is not [`init`]'s to change.
pub fn set_level(level: LevelFilter) -> bool {
    FILTER.get().is_some_and(|filter| filter.reload(EnvFilter::new(level.to_string())).is_ok())
}

/// Puts a text before each line: the subscriber writes each with one call.
struct Prefixed<W> {
    prefix: String,
    inner: W,
}

impl<W: Write> Write for Prefixed<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // As one write, so that lines of several processes on one terminal or file do not mix.
        self.inner.write_all(&[self.prefix.as_bytes(), line].concat())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// What `--log-level` does not take.
#[derive(Debug, thiserror::Error)]
enum BadFilter {
    /// It would be taken for a part of the program, and everything else would fall silent.
    #[error("{0:?} is no level: expected off, error, warn, info, debug or trace, or PART=LEVEL")]
    NoLevel(String),
    #[error(transparent)]
    Directive(#[from] ParseError),
}

fn check_filter(directives: &str) -> Result<String, BadFilter> {
    let mut bare = directives.split(',').filter(|directive| !directive.contains(['=', '[']));
    match bare.find(|directive| directive.parse::<LevelFilter>().is_err()) {
        Some(word) => Err(BadFilter::NoLevel(word.to_owned())),
        None => Ok(EnvFilter::try_new(directives).map(|_| directives.to_owned())?),
    }
}

/// The convention of no-color.org: any value but an empty one turns colours off.
fn wants_colour() -> bool {
    stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Role {
        #[command(flatten)]
        log: LogArgs,
    }

    #[track_caller]
    fn check(directives: &str, good: bool) {
        let parsed = Role::try_parse_from(["role", "--log-level", directives]);
        assert_eq!(parsed.is_ok(), good, "{parsed:?}");
    }

    #[test]
    fn levels_and_directives_are_taken_and_nonsense_is_refused() {
        check("info", true);
        check("WARN", true);
        check("off", true);
        check("info,punctual_queue_node=debug", true);
        check("info,punctual=loud", false);
        check("WARNING", false);
        check("info,punctual_queue_node", false);
        check("punctual_queue_node[span]=debug,error", true);
        check("a=b=c", false);
    }

    #[test]
    fn the_format_is_text_unless_asked() {
        let parsed = Role::try_parse_from(["role"]).unwrap();
        assert_eq!(parsed.log.log_format, LogFormat::Text);
        let parsed = Role::try_parse_from(["role", "--log-format=json"]).unwrap();
        assert_eq!(parsed.log.log_format, LogFormat::Json);
    }

    #[test]
    fn the_prefix_stands_before_every_line() {
        let mut out = Prefixed { prefix: "[nsqd] ".to_owned(), inner: Vec::new() };
        out.write_all(b"one\n").unwrap();
        out.write_all(b"two\n").unwrap();
        assert_eq!(out.inner, b"[nsqd] one\n[nsqd] two\n");
    }

    #[test]
    fn the_level_is_changed_while_the_process_runs() {
        assert!(!set_level(LevelFilter::DEBUG), "nothing was started that could be changed");
        init(&LogArgs {
            log_level: "warn,punctual_service=info".to_owned(),
            log_format: LogFormat::Text,
            log_prefix: "[here] ".to_owned(),
        });
        assert_eq!(prefix(), "[here] ");
        assert_eq!(level(), LevelFilter::INFO);
        for changed in [LevelFilter::DEBUG, LevelFilter::OFF, LevelFilter::ERROR] {
            assert!(set_level(changed));
            assert_eq!(level(), changed);
        }
        assert!(!tracing::enabled!(tracing::Level::INFO), "what was asked for at the start no longer holds");
    }
}
