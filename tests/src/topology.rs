//! Which processes there are, and where they listen.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, bail};

use crate::port::Port;

/// The addresses that `deploy/compose.yaml` uses too.
const DEPLOYED: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/topology.env"));

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// What it does.
    pub role: Role,
    /// Counts from 1 within its role.
    pub number: u32,
}

/// What a process does, in the order in which they are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "named as the subcommands are")]
pub enum Role {
    Lookup,
    Queue,
    Scheduler,
    Worker,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Lookup, Self::Queue, Self::Scheduler, Self::Worker];

    /// As the subcommand.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lookup => "lookup",
            Self::Queue => "queue",
            Self::Scheduler => "scheduler",
            Self::Worker => "worker",
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.role.as_str(), self.number)
    }
}

/// Where each process listens.
#[derive(Debug)]
pub struct Topology {
    /// By process and interface (`TCP`, `HTTP`, `GRPC`).
    addresses: BTreeMap<(Member, String), String>,
    /// Claimed for as long as this lives.
    ports: Vec<Port>,
}

impl Topology {
    /// The deployed topology, cut down to `counts` of each role, on free ports of this machine.
    ///
    /// # Errors
    /// When the file cannot be read, has fewer than asked for, or no port is free.
    pub fn local(counts: &BTreeMap<Role, u32>) -> anyhow::Result<Self> {
        let mut topology = Self { addresses: BTreeMap::new(), ports: Vec::new() };
        for (member, interface) in parse(DEPLOYED)? {
            if member.number <= counts.get(&member.role).copied().unwrap_or(0) {
                let port = Port::claim()?;
                let address = format!("127.0.0.1:{}", port.number());
                topology.addresses.insert((member, interface), address);
                topology.ports.push(port);
            }
        }
        for (role, count) in counts {
            if topology.of(*role).count() != *count as usize {
                bail!("deploy/topology.env has no {count} of {}", role.as_str());
            }
        }
        Ok(topology)
    }

    /// Every process, in the order in which to start them.
    pub fn members(&self) -> Vec<Member> {
        let mut members: Vec<Member> = self.addresses.keys().map(|(member, _)| *member).collect();
        members.dedup();
        members
    }

    /// The processes of one role.
    pub fn of(&self, role: Role) -> impl Iterator<Item = Member> {
        self.members().into_iter().filter(move |member| member.role == role)
    }

    /// `host:port` of an interface.
    ///
    /// # Errors
    /// When it has no such interface.
    pub fn address(&self, member: Member, interface: &str) -> anyhow::Result<&str> {
        let address = self.addresses.get(&(member, interface.to_owned()));
        address
            .map(String::as_str)
            .with_context(|| format!("{member} has no {interface} in deploy/topology.env"))
    }

    /// That interface of every process of a role.
    pub fn addresses(&self, role: Role, interface: &str) -> Vec<String> {
        let of_role =
            self.addresses.iter().filter(|((member, name), _)| member.role == role && name == interface);
        of_role.map(|(_, address)| address.clone()).collect()
    }
}

/// `ROLE_NUMBER_INTERFACE=host:port`, one a line; `#` begins a comment.
fn parse(text: &str) -> anyhow::Result<Vec<(Member, String)>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, _) = line.split_once('=').with_context(|| format!("no `=` in `{line}`"))?;
            let mut parts = name.splitn(3, '_');
            let (Some(role), Some(number), Some(interface)) = (parts.next(), parts.next(), parts.next())
            else {
                bail!("`{name}` is not ROLE_NUMBER_INTERFACE");
            };
            let known = Role::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(role));
            let role = known.with_context(|| format!("`{role}` is not a role"))?;
            Ok((Member { role, number: number.parse()? }, interface.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_deployed_is_three_schedulers_two_nodes_two_lookups_and_three_workers() {
        let mut members: Vec<Member> =
            parse(DEPLOYED).expect("it can be read").into_iter().map(|(member, _)| member).collect();
        members.sort();
        members.dedup();
        let count = |role| members.iter().filter(|member| member.role == role).count();
        assert_eq!(Role::ALL.map(count), [2, 2, 3, 3]);
    }
}
