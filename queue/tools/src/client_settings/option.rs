use std::{fmt, num::ParseIntError, path::PathBuf, str::FromStr, time::Duration};

use punctual_queue_client::connection::OutputBuffer;
use punctual_queue_client::consumer::BackoffOptions;
use punctual_queue_client::tls::TlsSetupError;
use punctual_queue_client::transport::Secret;

use super::ClientSettings;
use crate::go_duration::{self, GoDurationError};
use crate::go_flags::boolean;

/// Options of go-nsq that tune what the client here does in its own way.
const WITHOUT_EFFECT: [&str; 11] = [
    "read_timeout",
    "write_timeout",
    "lookupd_poll_jitter",
    "lookupd_poll_timeout",
    "low_rdy_timeout",
    "rdy_redistribute_interval",
    "backoff_strategy",
    "output_buffer_size",
    "lookupd_authorization",
    "max_in_flight",
    // 1.2 is the oldest that is talked, whatever this says.
    "tls_min_version",
];

/// Options of go-nsq that would change what a user relies on, and that the client here does not have.
const NOT_SUPPORTED: [&str; 2] = ["local_addr", "tls_config"];

/// One option of go-nsq, as `name,value`; without a value, `true`.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientOption {
    name: String,
    value: String,
}

impl fmt::Debug for ClientOption {
    /// Without the value, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOption").field("name", &self.name).finish_non_exhaustive()
    }
}

impl FromStr for ClientOption {
    type Err = ClientOptionError;

    /// Reads an option, and sees whether it can be applied.
    fn from_str(text: &str) -> Result<Self, ClientOptionError> {
        let (name, value) = text.split_once(',').unwrap_or((text, "true"));
        let option = Self { name: name.replace('-', "_"), value: value.to_owned() };
        option.apply(&mut ClientSettings::new("")).map(|()| option)
    }
}

/// What is wrong with an option.
#[derive(Debug, thiserror::Error)]
pub enum ClientOptionError {
    /// go-nsq has none of this name.
    #[error("invalid option {0}")]
    Unknown(String),
    /// The client has nothing like it.
    #[error("option {0} is not supported")]
    NotSupported(String),
    /// Not a duration.
    #[error("failed to coerce option {name} ({value}): {source}")]
    BadDuration {
        /// Which option.
        name: String,
        /// What it was given.
        value: String,
        /// What is wrong with it.
        source: GoDurationError,
    },
    /// Not a number.
    #[error("failed to coerce option {name} ({value}): {source}")]
    BadNumber {
        /// Which option.
        name: String,
        /// What it was given.
        value: String,
        /// What is wrong with it.
        source: ParseIntError,
    },
    /// A number above those that make sense.
    #[error("failed to coerce option {name} ({value}): at most {most} is possible")]
    TooBig {
        /// Which option.
        name: String,
        /// What it was given.
        value: String,
        /// The highest that it takes.
        most: u8,
    },
    /// Neither true nor false.
    #[error("failed to coerce option {name} ({value}): neither true nor false")]
    BadBoolean {
        /// Which option.
        name: String,
        /// What it was given.
        value: String,
    },
    /// Two compressions at once.
    #[error("cannot enable both deflate and snappy compression")]
    BothCompressions,
    /// TLS cannot be set up from the files that are named.
    #[error("tls_v1 cannot be had: {0}")]
    Tls(#[source] TlsSetupError),
}

impl ClientOption {
    /// Changes what it is about.
    pub(super) fn apply(&self, settings: &mut ClientSettings) -> Result<(), ClientOptionError> {
        match self.name.as_str() {
            "client_id" => settings.connection.client_id.clone_from(&self.value),
            "hostname" => settings.connection.hostname.clone_from(&self.value),
            "user_agent" => settings.connection.user_agent.clone_from(&self.value),
            "dial_timeout" => settings.connection.connect_timeout = self.duration()?,
            "heartbeat_interval" => settings.connection.heartbeat_interval = self.duration()?,
            "msg_timeout" => {
                settings.connection.message_timeout = Some(self.duration()?).filter(|t| !t.is_zero())
            }
            "output_buffer_timeout" => settings.connection.output_buffer = self.output_buffer()?,
            "lookupd_poll_interval" => settings.discovery_interval = self.duration()?,
            "low_rdy_idle_timeout" => settings.idle_timeout = self.duration()?,
            "backoff_multiplier" => {
                let first = self.duration()?;
                settings.backoff = settings.backoff.map(|backoff| BackoffOptions { first, ..backoff });
            }
            "max_backoff_duration" => {
                let longest = self.duration()?;
                let backoff = settings.backoff.map(|backoff| BackoffOptions { longest, ..backoff });
                settings.backoff = backoff.filter(|_| !longest.is_zero());
            }
            "max_attempts" => settings.max_attempts = Some(self.number()?).filter(|most| *most > 0),
            "default_requeue_delay" => settings.requeue_delay = self.duration()?,
            "max_requeue_delay" => settings.max_requeue_delay = self.duration()?,
            "sample_rate" => settings.connection.sample_rate = self.at_most(99)?,
            "tls_v1" => settings.speaks_tls = self.is_true()?,
            "tls_root_ca_file" => settings.tls.root_ca = self.file(),
            "tls_cert" => settings.tls.certificate = self.file(),
            "tls_key" => settings.tls.key = self.file(),
            "tls_insecure_skip_verify" => settings.tls.insecure_skip_verify = self.is_true()?,
            "snappy" => settings.snappy = self.is_true()?,
            "deflate" => settings.deflate = self.is_true()?,
            "deflate_level" => settings.deflate_level = self.at_most(9)?.max(1),
            "auth_secret" => settings.connection.transport.secret = Secret::new(&self.value),
            name if WITHOUT_EFFECT.contains(&name) => {
                tracing::warn!(option = name, "this option has no effect here");
            }
            name if NOT_SUPPORTED.contains(&name) => {
                return Err(ClientOptionError::NotSupported(name.to_owned()));
            }
            name => return Err(ClientOptionError::Unknown(name.to_owned())),
        }
        Ok(())
    }

    fn duration(&self) -> Result<Duration, ClientOptionError> {
        go_duration::parse_or_millis(&self.value).map_err(|source| ClientOptionError::BadDuration {
            name: self.name.clone(),
            value: self.value.clone(),
            source,
        })
    }

    fn number(&self) -> Result<u16, ClientOptionError> {
        self.value.parse().map_err(|source| ClientOptionError::BadNumber {
            name: self.name.clone(),
            value: self.value.clone(),
            source,
        })
    }

    fn at_most(&self, most: u8) -> Result<u8, ClientOptionError> {
        let number = u8::try_from(self.number()?).ok().filter(|number| *number <= most);
        number.ok_or_else(|| ClientOptionError::TooBig {
            name: self.name.clone(),
            value: self.value.clone(),
            most,
        })
    }

    fn is_true(&self) -> Result<bool, ClientOptionError> {
        boolean(&self.value).ok_or_else(|| ClientOptionError::BadBoolean {
            name: self.name.clone(),
            value: self.value.clone(),
        })
    }

    fn file(&self) -> Option<PathBuf> {
        Some(PathBuf::from(&self.value)).filter(|path| !path.as_os_str().is_empty())
    }

    /// -1 turns the buffer off, as in go-nsq.
    fn output_buffer(&self) -> Result<OutputBuffer, ClientOptionError> {
        match self.value.as_str() {
            "-1" | "0" => Ok(OutputBuffer::Immediate),
            _ => Ok(OutputBuffer::Within(self.duration()?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use punctual_queue_client::transport::Compression;

    use super::*;

    fn apply(options: &[&str]) -> Result<ClientSettings, ClientOptionError> {
        let mut settings = ClientSettings::new("tool");
        let options: Vec<_> = options.iter().map(|option| option.parse()).collect::<Result<_, _>>()?;
        settings.apply(&options).map(|()| settings)
    }

    #[track_caller]
    fn check_error(option: &str, expect: &str) {
        assert_eq!(apply(&[option]).unwrap_err().to_string(), expect);
    }

    #[test]
    fn options_have_go_nsq_s_names_and_values() {
        let settings = apply(&[
            "client_id,me",
            "dial-timeout,500",
            "heartbeat_interval,2.5s",
            "msg_timeout,0",
            "max_attempts,3",
            "backoff_multiplier,250ms",
            "max_backoff_duration,1m",
            "snappy,false",
            "deflate",
            "deflate_level,3",
            "sample_rate,10",
            "auth_secret,hush",
        ])
        .unwrap();
        assert_eq!(settings.connection.client_id, "me");
        assert_eq!(settings.connection.connect_timeout, Duration::from_millis(500));
        assert_eq!(settings.connection.heartbeat_interval, Duration::from_millis(2_500));
        assert_eq!(settings.connection.message_timeout, None);
        assert_eq!(settings.connection.sample_rate, 10);
        assert_eq!(settings.connection.transport.compression, Some(Compression::Deflate { level: 3 }));
        assert!(settings.connection.transport.secret.is_some());
        assert!(settings.connection.transport.tls.is_none());
        let backoff = BackoffOptions { first: Duration::from_millis(250), longest: Duration::from_secs(60) };
        assert_eq!(settings.backoff, Some(backoff));
        assert!(!settings.gives_up(3) && settings.gives_up(4));
    }

    #[test]
    fn without_options_no_message_is_given_up() {
        let settings = apply(&[]).unwrap();
        assert!(!settings.gives_up(u16::MAX));
        assert!(!apply(&["max_attempts,0"]).unwrap().gives_up(u16::MAX));
    }

    #[test]
    fn a_message_is_put_off_for_longer_each_time() {
        let settings = apply(&["max_requeue_delay,5m"]).unwrap();
        assert_eq!(settings.requeue_delay(2), Duration::from_secs(180));
        assert_eq!(settings.requeue_delay(u16::MAX), Duration::from_secs(300));
    }

    #[test]
    fn what_the_options_say_together_is_checked() {
        let error = |options: &[&str]| apply(options).unwrap_err().to_string();
        assert_eq!(error(&["snappy", "deflate"]), "cannot enable both deflate and snappy compression");
        let missing = error(&["tls_v1", "tls_root_ca_file,/nonexistent.pem"]);
        assert_eq!(missing, "tls_v1 cannot be had: could not read /nonexistent.pem");
        assert!(apply(&["tls_root_ca_file,/nonexistent.pem"]).is_ok(), "it is not asked for");
        let settings = apply(&["tls_v1", "tls_insecure_skip_verify"]).unwrap();
        assert!(settings.connection.transport.tls.is_some());
    }

    #[test]
    fn backing_off_can_be_switched_off() {
        assert_eq!(apply(&["max_backoff_duration,0"]).unwrap().backoff, None);
    }

    #[test]
    fn an_option_that_is_not_known_or_wrong_is_refused() {
        check_error("nonsense,1", "invalid option nonsense");
        check_error("local_addr,127.0.0.1:0", "option local_addr is not supported");
        check_error("sample_rate,100", "failed to coerce option sample_rate (100): at most 99 is possible");
        check_error("snappy,perhaps", "failed to coerce option snappy (perhaps): neither true nor false");
        check_error(
            "dial_timeout,soon",
            "failed to coerce option dial_timeout (soon): time: invalid duration \"soon\"",
        );
        check_error(
            "max_attempts,many",
            "failed to coerce option max_attempts (many): invalid digit found in string",
        );
    }
}
