//! Which of several destinations gets the next message.

use std::time::Duration;

use tokio::time::Instant;

mod response_times;

use response_times::ResponseTimes;

/// How long a destination that failed is left alone first.
const FIRST_REST: Duration = Duration::from_secs(30);

/// How long it is left alone at most, after it failed again and again.
const LONGEST_REST: Duration = Duration::from_secs(15 * 60);

/// How often a destination is tried regardless of how quick it was, at first.
const FIRST_EXPLORATION: f64 = 0.3;

/// What the above becomes with each such try.
const EXPLORATION_DECAY: f64 = 0.9;

/// What it stays at in the end.
const LEAST_EXPLORATION: f64 = 0.01;

/// How destinations are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// One after another, whatever became of the last message.
    RoundRobin,
    /// One after another of those that are well.
    #[default]
    HostPool,
    /// Of those that are well, the quicker the more often.
    EpsilonGreedy,
}

/// A mode that there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no mode {given:?}: it is round-robin, hostpool or epsilon-greedy")]
pub struct UnknownMode {
    /// What was given.
    pub given: String,
}

impl std::str::FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(mode: &str) -> Result<Self, UnknownMode> {
        match mode {
            "round-robin" => Ok(Self::RoundRobin),
            "hostpool" => Ok(Self::HostPool),
            "epsilon-greedy" => Ok(Self::EpsilonGreedy),
            given => Err(UnknownMode { given: given.to_owned() }),
        }
    }
}

/// A fixed list of destinations, named by their place in it. Neither a clock nor I/O, nor chance of its own.
#[derive(Debug)]
pub(crate) struct HostPool {
    mode: Mode,
    hosts: Vec<Host>,
    next: usize,
    exploration: f64,
}

#[derive(Debug, Default)]
struct Host {
    resting: Option<Rest>,
    times: ResponseTimes,
}

/// A destination that failed.
#[derive(Debug, Clone, Copy)]
struct Rest {
    until: Instant,
    length: Duration,
}

impl Host {
    fn may_be_tried(&self, now: Instant) -> bool {
        self.resting.is_none_or(|rest| rest.until <= now)
    }

    /// It is tried: while that is under way, others are not, if it is not known to be well.
    fn tried(&mut self, now: Instant) {
        if let Some(rest) = &mut self.resting {
            rest.length = (rest.length * 2).min(LONGEST_REST);
            rest.until = now + rest.length;
        }
    }
}

impl HostPool {
    /// So many destinations, at least one; all are taken to be well.
    pub(crate) fn new(mode: Mode, hosts: usize) -> Self {
        let hosts = std::iter::repeat_with(Host::default).take(hosts.max(1)).collect();
        Self { mode, hosts, next: 0, exploration: FIRST_EXPLORATION }
    }

    /// The destination for the next message. `chance` gives numbers from 0 up to, and without, 1.
    pub(crate) fn choose(&mut self, now: Instant, mut chance: impl FnMut() -> f64) -> usize {
        match self.mode {
            Mode::RoundRobin => self.turn(),
            Mode::HostPool => self.healthy_turn(now),
            Mode::EpsilonGreedy if chance() < self.exploration => {
                self.exploration = (self.exploration * EXPLORATION_DECAY).max(LEAST_EXPLORATION);
                self.healthy_turn(now)
            }
            Mode::EpsilonGreedy => match self.quick(now, chance()) {
                Some(host) => {
                    self.hosts[host].tried(now);
                    host
                }
                None => self.healthy_turn(now),
            },
        }
    }

    /// A destination took a message, in this time.
    pub(crate) fn succeeded(&mut self, host: usize, took: Duration, now: Instant) {
        if let Some(host) = self.hosts.get_mut(host) {
            host.resting = None;
            host.times.add(took, now);
        }
    }

    /// A destination did not take a message.
    pub(crate) fn failed(&mut self, host: usize, now: Instant) {
        if let Some(host) = self.hosts.get_mut(host) {
            // Of one that rests already, it is known.
            host.resting.get_or_insert(Rest { until: now + FIRST_REST, length: FIRST_REST });
        }
    }

    fn turn(&mut self) -> usize {
        let host = self.next % self.hosts.len();
        self.next = host + 1;
        host
    }

    fn healthy_turn(&mut self, now: Instant) -> usize {
        for _ in 0..self.hosts.len() {
            let host = self.turn();
            if self.hosts[host].may_be_tried(now) {
                self.hosts[host].tried(now);
                return host;
            }
        }
        // None is well: that says nothing about any of them.
        for host in &mut self.hosts {
            host.resting = None;
        }
        self.turn()
    }

    /// One of those whose response times are known, with the odds of their speed.
    fn quick(&mut self, now: Instant, chance: f64) -> Option<usize> {
        let speed = |(host, state): (usize, &mut Host)| {
            let average = state.times.average(now).filter(|_| state.may_be_tried(now))?;
            Some((host, 1.0 / average.as_secs_f64().max(1e-6)))
        };
        let speeds: Vec<_> = self.hosts.iter_mut().enumerate().filter_map(speed).collect();
        let total: f64 = speeds.iter().map(|(_, speed)| speed).sum();
        let mut left = chance * total;
        for (host, speed) in &speeds {
            left -= speed;
            if left < 0.0 {
                return Some(*host);
            }
        }
        speeds.last().map(|(host, _)| *host)
    }
}

#[cfg(test)]
mod tests;
