//! A network of one's own, for what listens on ports that cannot be chosen.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use anyhow::{Context, anyhow};
use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, unshare};

/// Does `work` on a thread in a network that has nothing but its own loopback. Processes that it starts are in it too.
///
/// # Errors
/// When the system does not allow it, which takes root's rights, and those of `work`.
pub fn in_a_network_of_its_own<R: Send>(
    work: impl FnOnce() -> anyhow::Result<R> + Send,
) -> anyhow::Result<R> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).context("cannot make a network namespace; this needs root")?;
            bring_up_loopback().context("cannot bring up its loopback")?;
            work()
        });
        thread.join().map_err(|_| anyhow!("the work panicked"))?
    })
}

fn bring_up_loopback() -> anyhow::Result<()> {
    // Any socket will do to talk about interfaces.
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    #[expect(
        unsafe_code,
        reason = "nothing safe brings an interface up but a program that need not be installed"
    )]
    // SAFETY: `ifreq` is plain data for which zeros are a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    #[expect(unsafe_code, reason = "as above")]
    // SAFETY: the socket is open, and the request is one that lives until the call returns.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) };
    Errno::result(result)?;
    Ok(())
}
