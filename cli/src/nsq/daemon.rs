use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use punctual_queue_lookup::options::LookupOptions;
use punctual_queue_node::options::NodeOptions;
use punctual_queue_tools::go_flags::{self, Flag, FlagError, FlagSet, Given, Kind};
use punctual_service::log;

use super::config::{self, KeyNames};
use super::flags::{self, NsqFlag};
use super::{NsqName, address, tool};
use crate::failure::Failure;
use crate::role::RoleArgs;

/// Flags that name where to listen.
const ADDRESSES: [&str; 3] = ["tcp-address", "http-address", "https-address"];

/// The switch without which a role refuses to listen where others can connect unasked.
const OPEN: &str = "allow-unauthenticated";

/// A role under the name of one of NSQ's daemons.
struct Daemon {
    name: NsqName,
    flags: &'static [NsqFlag],
    keys: KeyNames,
}

const NSQD: Daemon = Daemon { name: NsqName::Nsqd, flags: flags::NSQD, keys: config::NSQD };

const NSQLOOKUPD: Daemon = Daemon { name: NsqName::Nsqlookupd, flags: flags::NSQLOOKUPD, keys: &[] };

/// Runs a queue node as nsqd.
pub(super) async fn nsqd(words: Vec<OsString>) -> Result<(), Failure> {
    let Some((args, notes)) = NSQD.prepare::<NodeOptions>(words)? else { return Ok(()) };
    log::init(&args.log);
    notes.warn();
    args.run().await
}

/// Runs a lookup as nsqlookupd.
pub(super) async fn nsqlookupd(words: Vec<OsString>) -> Result<(), Failure> {
    let Some((args, notes)) = NSQLOOKUPD.prepare::<LookupOptions>(words)? else { return Ok(()) };
    log::init(&args.log);
    notes.warn();
    args.run().await
}

impl Daemon {
    /// Reads the command line, and the file of settings that it names. `None` when it asks for something that has
    /// then been printed.
    fn prepare<O: Args>(&self, words: Vec<OsString>) -> Result<Option<(RoleArgs<O>, Notes)>, Failure> {
        let wrong = |error: FlagError| self.name.wrong(&error);
        let command = self.command::<O>();
        let set = NsqFlag::add_all(self.flags, FlagSet::of(&command))
            .with("version", Flag { kind: Kind::Bool, is_list: false })
            .with("config", Flag { kind: Kind::Text, is_list: false });
        let mut given = match set.read(go_flags::as_text(words).map_err(wrong)?) {
            Err(FlagError::Help) => return self.print_usage(&command).map(|()| None),
            read => read.map_err(wrong)?,
        };
        if given.is_true("version") {
            return self.name.print_version().map(|()| None);
        }
        let unknown_keys = match given.take("config").pop().filter(|path| !path.is_empty()) {
            Some(path) => config::read(Path::new(&path), self.keys, &set, &mut given)
                .map_err(|error| Failure::Role(error.into()))?,
            None => Vec::new(),
        };
        let moot = self.moot(&given).map_err(wrong)?;
        check_ranges(&given)?;
        go_flags::translate_log_level(&mut given).map_err(wrong)?;
        let implies_open = !given.has(OPEN);
        complete(&mut given);
        let matches = command
            .clone()
            .try_get_matches_from(given.words_for(&command))
            .map_err(|error| wrong(error.into()))?;
        let is_open = implies_open && listens_openly(&command, &matches);
        let notes = Notes { moot, unknown_keys, rest: given.rest, is_open };
        let args = RoleArgs::from_arg_matches(&matches).map_err(|error| wrong(error.into()))?;
        Ok(Some((args, notes)))
    }

    /// The role's flags, with NSQ's defaults.
    fn command<O: Args>(&self) -> Command {
        let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let prefix = format!("[{}] ", self.name);
        go_flags::command::<RoleArgs<O>>().mut_args(|arg| match arg.get_long().unwrap_or_default() {
            name if ADDRESSES.contains(&name) => on_every_address(arg),
            "broadcast-address" => arg.default_value(hostname.clone()),
            "data-path" => arg.default_value("."),
            "log-prefix" => arg.default_value(prefix.clone()).hide_default_value(false),
            _ => arg,
        })
    }

    /// The flags that were given although they are moot.
    fn moot(&self, given: &Given) -> Result<Vec<&'static str>, FlagError> {
        let moot = self.flags.iter().filter(|flag| flag.is_moot && given.has(flag.name));
        moot.map(|flag| flag.check(given).map(|()| flag.name)).collect()
    }

    fn print_usage(&self, command: &Command) -> Result<(), Failure> {
        let mut text = go_flags::usage(self.name.as_str(), command);
        text += "  -config value\n    \tThe path of a file of settings, in TOML\n";
        text += "  -version\n    \tPrint the version\n";
        let moot: Vec<_> = self.flags.iter().filter(|flag| flag.is_moot).map(|flag| flag.name).collect();
        text += &format!("Accepted, without effect: -{}\n", moot.join(", -"));
        Ok(io::stderr().write_all(text.as_bytes())?)
    }
}

/// What NSQ's daemons do not start with.
fn check_ranges(given: &Given) -> Result<(), Failure> {
    let outside = |name, from: i64, to: i64| {
        let number = given.value(name).and_then(|value| value.parse::<i64>().ok());
        number.is_some_and(|number| !(from..=to).contains(&number))
    };
    if outside("node-id", 0, 1023) {
        return Err(anyhow::anyhow!("node-id must be [0,1024)").into());
    }
    if outside("max-deflate-level", 1, 9) {
        return Err(anyhow::anyhow!("max-deflate-level must be [1,9]").into());
    }
    Ok(())
}

/// Puts NSQ's way of saying things into ours, and says what NSQ does without being told.
fn complete(given: &mut Given) {
    for name in ADDRESSES {
        given.change(name, address::listening);
    }
    for name in ["tls-required", "tls-min-version"] {
        given.change(name, str::to_lowercase);
    }
    if !given.has(OPEN) {
        let switch = Flag { kind: Kind::Bool, is_list: false };
        given.set(OPEN, switch, "true").expect("a boolean can be true");
    }
}

/// Listens on every address where it would on loopback.
fn on_every_address(arg: Arg) -> Arg {
    let default = arg.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
    match default.as_deref().and_then(|address| address.strip_prefix("127.0.0.1:")) {
        Some(port) => arg.default_value(format!("0.0.0.0:{port}")),
        None => arg,
    }
}

/// Whether another machine can connect. Without a certificate there is nothing behind the address for HTTPS.
fn listens_openly(command: &Command, matches: &ArgMatches) -> bool {
    let values = |name: &str| {
        let arg = command.get_arguments().find(|arg| arg.get_long() == Some(name));
        arg.and_then(|arg| matches.get_raw(arg.get_id().as_str())).into_iter().flatten()
    };
    let has_https = values("tls-cert").next().is_some();
    let served = ADDRESSES.into_iter().filter(|name| has_https || *name != "https-address");
    served.flat_map(values).any(|address| {
        let address = address.to_string_lossy().parse::<SocketAddr>();
        address.is_ok_and(|address| !address.ip().to_canonical().is_loopback())
    })
}

/// What the operator should know about a command line that is taken.
#[derive(Debug)]
struct Notes {
    moot: Vec<&'static str>,
    unknown_keys: Vec<String>,
    rest: Vec<String>,
    is_open: bool,
}

impl Notes {
    fn warn(&self) {
        if self.is_open {
            tracing::warn!(
                "listening where other machines can connect, as NSQ does; nobody is asked who they are"
            );
        }
        if !self.moot.is_empty() {
            tracing::warn!(flags = ?self.moot, "these flags of NSQ's have no effect: what they are about is done otherwise");
        }
        if !self.unknown_keys.is_empty() {
            tracing::warn!(keys = ?self.unknown_keys, "there are no such settings; the file's other ones are used");
        }
        tool::warn_of_rest(&self.rest);
    }
}

#[cfg(test)]
mod tests {
    use punctual_queue_node::options::TlsRequired;
    use punctual_service::socket::Address;

    use super::*;

    fn has(command: &Command, name: &str) -> bool {
        command.get_arguments().any(|arg| arg.get_long() == Some(name))
    }

    #[test]
    fn every_flag_of_nsq_s_is_the_role_s_or_known_to_have_no_effect() {
        let (node, lookup) = (NSQD.command::<NodeOptions>(), NSQLOOKUPD.command::<LookupOptions>());
        for (daemon, command) in [(NSQD, node), (NSQLOOKUPD, lookup)] {
            for flag in daemon.flags {
                assert_eq!(has(&command, flag.name), !flag.is_moot, "-{} of {}", flag.name, daemon.name);
            }
        }
    }

    #[test]
    fn the_role_takes_the_values_of_nsq_s_flags_as_nsq_does() {
        let (node, lookup) = (NSQD.command::<NodeOptions>(), NSQLOOKUPD.command::<LookupOptions>());
        for (daemon, command) in [(NSQD, node), (NSQLOOKUPD, lookup)] {
            let ours = FlagSet::of(&command);
            let theirs = NsqFlag::add_all(daemon.flags, FlagSet::default());
            for flag in daemon.flags.iter().filter(|flag| has(&command, flag.name)) {
                let (ours, theirs) = (ours.get(flag.name).unwrap(), theirs.get(flag.name).unwrap());
                assert_eq!(ours.is_list, theirs.is_list, "-{}", flag.name);
                for kind in [Kind::Duration, Kind::Number] {
                    assert_eq!(ours.kind == kind, theirs.kind == kind, "-{}", flag.name);
                }
            }
        }
    }

    fn node(line: &[&str]) -> (RoleArgs<NodeOptions>, Notes) {
        NSQD.prepare(line.iter().map(OsString::from).collect()).unwrap().unwrap()
    }

    #[test]
    fn nsqd_s_defaults_hold() {
        let (args, notes) = node(&[]);
        assert_eq!(args.options.tcp_address.to_string(), "0.0.0.0:4150");
        assert_eq!(args.options.http_address.to_string(), "0.0.0.0:4151");
        assert_eq!(args.options.data_path, Path::new("."));
        assert!(args.options.broadcast_address.is_some_and(|host| !host.is_empty()));
        assert!(args.options.allow_unauthenticated);
        assert_eq!(args.log.log_prefix, "[nsqd] ");
        assert!(notes.is_open);
    }

    #[test]
    fn a_loopback_address_needs_no_warning_and_moot_flags_one() {
        let line = ["-tcp-address=127.0.0.1:0", "-http-address", "localhost:0", "--sync-every=0", "-verbose"];
        let (args, notes) = node(&line);
        assert!(!notes.is_open);
        let http = args.options.http_address.address().and_then(Address::tcp);
        assert!(http.is_some_and(|address| address.ip().is_loopback()));
        assert_eq!(notes.moot, ["sync-every", "verbose"]);
    }

    #[test]
    fn a_node_has_nsqd_s_switches_in_every_form() {
        let (args, _) = node(&["-tls-required", "-deflate=0", "--snappy=FALSE", "-tls-min-version=TLS1.2"]);
        assert_eq!(args.options.tls.tls_required, TlsRequired::True);
        assert!(!args.options.compression.deflate && !args.options.compression.snappy);
        let (args, _) = node(&["-tls-required=tcp-https"]);
        assert_eq!(args.options.tls.tls_required, TlsRequired::TcpHttps);
        let (args, _) = node(&["--tls-required=false", "-snappy"]);
        assert_eq!(args.options.tls.tls_required, TlsRequired::False);
        assert!(args.options.compression.deflate && args.options.compression.snappy);
        assert_eq!(args.options.tls.https_address.to_string(), "0.0.0.0:4152");
    }

    #[test]
    fn durations_are_go_s_and_lists_repeat() {
        let line = ["-msg-timeout=1m1.5s", "--lookupd-tcp-address=a:1", "-lookupd-tcp-address", "b:2"];
        let (args, _) = node(&line);
        assert_eq!(args.options.msg_timeout, std::time::Duration::from_millis(61_500));
        assert_eq!(args.options.lookupd_tcp_addresses, ["a:1", "b:2"]);
    }

    #[test]
    fn numbers_are_go_s() {
        let (args, notes) = node(&[
            "-max-msg-size=0x200000",
            "-max-rdy-count",
            "1_000",
            "-broadcast-tcp-port=0",
            "-node-id=0b11",
        ]);
        assert_eq!((args.options.max_msg_size, args.options.max_rdy_count), (2 << 20, 1_000));
        assert_eq!(args.options.broadcast_tcp_port, Some(0));
        assert_eq!(notes.moot, ["node-id"]);
        check_failure(&["-node-id=0x400"], "node-id must be [0,1024)");
    }

    #[test]
    fn messages_may_be_long() {
        let (args, _) = node(&["-max-msg-size=1073741824", "-max-body-size=67108864"]);
        assert_eq!((args.options.max_msg_size, args.options.max_body_size), (1 << 30, 64 << 20));
    }

    #[test]
    fn an_empty_http_address_switches_http_off() {
        let (args, _) = node(&["-http-address="]);
        assert_eq!(args.options.http_address.to_string(), "");
    }

    #[test]
    fn log_levels_are_nsq_s() {
        let level = |word: &str| node(&[&format!("-log-level={word}")]).0.log.log_level;
        assert_eq!(
            ["debug", "INFO", "warn", "Error", "fatal"].map(level),
            ["debug", "info", "warn", "error", "error"]
        );
        assert_eq!(level("info,punctual_queue_node=debug"), "info,punctual_queue_node=debug");
        for word in ["WARNING", "verbose", "3", ""] {
            let reason = format!("invalid log level '{word}' (debug, info, warn, error, fatal)");
            check_failure(
                &[&format!("-log-level={word}")],
                &format!("invalid value \"{word}\" for flag -log-level: {reason}"),
            );
        }
    }

    #[track_caller]
    fn check_failure(line: &[&str], expect: &str) {
        let failure = NSQD.prepare::<NodeOptions>(line.iter().map(OsString::from).collect()).unwrap_err();
        let text = failure.to_string();
        assert_eq!(text.lines().next(), Some(expect));
    }

    #[test]
    fn what_nsqd_does_not_take_is_refused() {
        check_failure(&["-node-id=1024"], "node-id must be [0,1024)");
        check_failure(&["-node-id=many"], "invalid value \"many\" for flag -node-id: parse error");
        check_failure(&["-max-deflate-level=0"], "max-deflate-level must be [1,9]");
        check_failure(
            &["-sync-timeout=5"],
            "invalid value \"5\" for flag -sync-timeout: time: missing unit in duration \"5\"",
        );
        check_failure(&["-data-dir=x"], "flag provided but not defined: -data-dir");
    }
}
