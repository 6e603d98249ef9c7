//! Which servers are compared, and as what they are set up.

use std::env;
use std::path::PathBuf;

use anyhow::Context;

use super::beanstalkd::Beanstalkd;
use super::nats::Nats;
use super::node::Node;
use super::peer::Peer;
use super::redis::Redis;

/// A server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A queue node of this build.
    Node,
    Beanstalkd,
    Nats,
    Redis,
}

impl Kind {
    /// Ours first: the others are shown in relation to it.
    pub(super) const ALL: [Self; 4] = [Self::Node, Self::Beanstalkd, Self::Nats, Self::Redis];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Node => "punctual",
            Self::Beanstalkd => "beanstalkd -f0",
            Self::Nats => "NATS JetStream",
            Self::Redis => "Redis streams",
        }
    }

    /// Every setting that is not the default, and what is durable when it is acknowledged.
    ///
    /// # Errors
    /// The program is missing: says what to install.
    pub(super) fn settings(self) -> anyhow::Result<String> {
        match self {
            Self::Node => Ok("a node of this build: acknowledged after fdatasync".to_owned()),
            Self::Beanstalkd => super::beanstalkd::settings(),
            Self::Nats => super::nats::settings(),
            Self::Redis => super::redis::settings(),
        }
    }

    /// Starts it on an empty directory.
    pub(super) fn start(self) -> anyhow::Result<Box<dyn Peer>> {
        Ok(match self {
            Self::Node => Box::new(Node::start()?),
            Self::Beanstalkd => Box::new(Beanstalkd::start()?),
            Self::Nats => Box::new(Nats::start()?),
            Self::Redis => Box::new(Redis::start()?),
        })
    }
}

/// Where a program is: on the path or where Debian has daemons.
pub(super) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/bin")])
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("apt-get install --no-install-recommends {name}"))
}

/// What a program says of its version, in one line.
pub(super) fn version(program: &std::path::Path, flag: &str) -> anyhow::Result<String> {
    let output = std::process::Command::new(program).arg(flag).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_missing_is_named_as_what_to_install() {
        let missing = program("no-such-server").unwrap_err().to_string();
        assert!(missing.ends_with("no-such-server"), "{missing}");
    }
}
