use std::io;
use std::path::{Path, PathBuf};

use punctual_queue_tools::go_flags::{Flag, FlagError, FlagSet, Given, Kind};
use toml::{Table, Value};

/// What is wrong with a daemon's file of settings.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfigError {
    #[error("failed to load config file {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to load config file {}: {source}", path.display())]
    Parse { path: PathBuf, source: Box<toml::de::Error> },
    #[error("config file {}: {key} cannot be a {kind}", path.display())]
    Type { path: PathBuf, key: String, kind: &'static str },
    #[error("config file {}: {source}", path.display())]
    Value { path: PathBuf, source: FlagError },
}

/// The keys that are not a flag's name with `_` for `-`.
pub(super) type KeyNames = &'static [(&'static str, &'static str)];

/// nsqd's.
pub(super) const NSQD: KeyNames = &[
    ("id", "node-id"),
    ("nsqlookupd_tcp_addresses", "lookupd-tcp-address"),
    ("auth_http_addresses", "auth-http-address"),
    ("e2e_processing_latency_percentiles", "e2e-processing-latency-percentile"),
];

/// Reads the settings of a TOML file into flags that the command line does not give. Returns the keys that mean
/// nothing.
pub(super) fn read(
    path: &Path,
    names: KeyNames,
    flags: &FlagSet,
    given: &mut Given,
) -> Result<Vec<String>, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let table: Table = text
        .parse()
        .map_err(|source| ConfigError::Parse { path: path.to_owned(), source: Box::new(source) })?;
    let mut unknown = Vec::new();
    for (key, value) in table {
        let name = flag_name(&key, names);
        let Some(flag) = name.as_ref().and_then(|name| flags.get(name)) else {
            unknown.push(key);
            continue;
        };
        let name = name.unwrap_or_default();
        if given.has(&name) {
            continue;
        }
        let values = values(&value, flag).map_err(|kind| ConfigError::Type {
            path: path.to_owned(),
            key: key.clone(),
            kind,
        })?;
        for value in values {
            let failed = |source| ConfigError::Value { path: path.to_owned(), source };
            given.set(&name, flag, &value).map_err(failed)?;
        }
    }
    Ok(unknown)
}

fn flag_name(key: &str, names: KeyNames) -> Option<String> {
    if let Some((_, name)) = names.iter().find(|(given, _)| *given == key) {
        return Some((*name).to_owned());
    }
    let name = key.replace('_', "-");
    // A flag whose key is another one is not set by its own name, as in NSQ.
    let has_other_key = names.iter().any(|(_, flag)| *flag == name);
    let is_key = !key.contains('-') && !has_other_key;
    is_key.then_some(name)
}

/// The values as on a command line; what it is when it can be none.
fn values(value: &Value, flag: Flag) -> Result<Vec<String>, &'static str> {
    match value {
        Value::String(text) if flag.is_list => Ok(text.split(',').map(str::to_owned).collect()),
        Value::Array(items) if flag.is_list => {
            let items: Result<Vec<_>, _> = items.iter().map(|item| scalar(item, flag)).collect();
            items
        }
        other => scalar(other, flag).map(|one| vec![one]),
    }
}

fn scalar(value: &Value, flag: Flag) -> Result<String, &'static str> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(yes) => yes.to_string(),
        other => return Err(other.type_str()),
    };
    // NSQ's durations were numbers once.
    let is_millis = flag.kind == Kind::Duration && text.bytes().all(|byte| byte.is_ascii_digit());
    Ok(if is_millis && !text.is_empty() { format!("{text}ms") } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nsq::flags::{self, NsqFlag};

    fn read_text(text: &str, line: &[&str]) -> (Given, Result<Vec<String>, ConfigError>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let set = NsqFlag::add_all(flags::NSQD, FlagSet::default());
        let mut given = set.read(line.iter().map(|word| (*word).to_owned())).unwrap();
        let unknown = read(file.path(), NSQD, &set, &mut given);
        (given, unknown)
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let text =
            "tcp_address = '127.0.0.1:1'\nhttp_address = '127.0.0.1:2'\nmax_rdy_count = 7\nsnappy = false";
        let (given, unknown) = read_text(text, &["-tcp-address=127.0.0.1:3"]);
        assert_eq!(unknown.unwrap(), Vec::<String>::new());
        assert_eq!(given.values("tcp-address"), ["127.0.0.1:3"]);
        assert_eq!(given.values("http-address"), ["127.0.0.1:2"]);
        assert_eq!(given.values("max-rdy-count"), ["7"]);
        assert_eq!(given.values("snappy"), ["false"]);
    }

    #[test]
    fn lists_are_arrays_or_have_commas_and_some_keys_are_not_the_flag_s_name() {
        let text = "id = 5\nnsqlookupd_tcp_addresses = ['a:1', 'b:2']\nauth_http_addresses = 'c:3,d:4'\n\
                    e2e_processing_latency_percentiles = [0.99, 1]";
        let (given, unknown) = read_text(text, &[]);
        assert_eq!(unknown.unwrap(), Vec::<String>::new());
        assert_eq!(given.values("node-id"), ["5"]);
        assert_eq!(given.values("lookupd-tcp-address"), ["a:1", "b:2"]);
        assert_eq!(given.values("auth-http-address"), ["c:3", "d:4"]);
        assert_eq!(given.values("e2e-processing-latency-percentile"), ["0.99", "1"]);
    }

    #[test]
    fn durations_are_texts_or_milliseconds() {
        let (given, unknown) =
            read_text("msg_timeout = '1m30s'\nsync_timeout = 2500\nstatsd_interval = '500'", &[]);
        assert_eq!(unknown.unwrap(), Vec::<String>::new());
        assert_eq!(given.values("msg-timeout"), ["90000000000ns"]);
        assert_eq!(given.values("sync-timeout"), ["2500000000ns"]);
        assert_eq!(given.values("statsd-interval"), ["500000000ns"]);
    }

    #[test]
    fn keys_that_nsqd_does_not_know_are_told_apart() {
        let (given, unknown) =
            read_text("colour = 'blue'\nlookupd_tcp_address = 'a:1'\ntcp-address = 'b:2'", &[]);
        assert_eq!(unknown.unwrap(), ["colour", "lookupd_tcp_address", "tcp-address"]);
        assert_eq!(given, Given::default());
    }

    #[test]
    fn a_file_that_cannot_be_taken_says_why() {
        let error = |text| read_text(text, &[]).1.unwrap_err().to_string();
        assert!(error("tcp_address = ").starts_with("failed to load config file "));
        assert!(error("tcp_address = { a = 1 }").ends_with("tcp_address cannot be a table"));
        assert!(
            error("snappy = 'perhaps'")
                .ends_with("invalid boolean value \"perhaps\" for -snappy: parse error")
        );
    }
}
