//! Ports that stay ours while a process is down.

use std::fs::{self, File};
use std::net::TcpListener;

use anyhow::{Context, bail};

/// A port of 127.0.0.1 that nothing listens on, kept for this test: below the range from which the system gives
/// ports to outgoing connections, so that none of them takes it while its process is being restarted.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// Locked, so that tests running at the same time pick others.
    _claim: File,
}

impl Port {
    /// Claims a free port.
    ///
    /// # Errors
    /// When none is free.
    pub fn claim() -> anyhow::Result<Self> {
        let claims = std::env::temp_dir().join("punctual-test-ports");
        fs::create_dir_all(&claims).with_context(|| format!("cannot make {}", claims.display()))?;
        let below = first_ephemeral().unwrap_or(32_768).clamp(12_000, 32_768);
        // Tests that start together begin at different places.
        let start = (std::process::id() as u16).wrapping_mul(97) % (below - 10_000);
        for step in 0..below - 10_000 {
            let number = 10_000 + (start + step) % (below - 10_000);
            let path = claims.join(number.to_string());
            let claim = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
            if claim.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Ok(Self { number, _claim: claim });
            }
        }
        bail!("no port between 10000 and {below} is free")
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

fn first_ephemeral() -> Option<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    range.split_whitespace().next()?.parse().ok()
}
