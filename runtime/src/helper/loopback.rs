//! The loopback interface of a network namespace: all that a step without network has.

use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use std::fs;
use std::io;
use std::os::fd::AsRawFd;

/// Starts the loopback interface of this network namespace, and allows `ping` without privileges.
pub(crate) fn up() -> io::Result<()> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: an interface request is plain data, for which zeros are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(b"lo") {
        *place = *byte as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request outlives the call and is of the size that the kernel expects.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // All users may send echo requests: `ping` works without a capability. Where there are fewer ids, the kernel refuses
    // the larger range; it is not an error if it refuses both.
    let range = "/proc/sys/net/ipv4/ping_group_range";
    let _ = fs::write(range, "0 2147483647").or_else(|_| fs::write(range, "0 65535"));
    Ok(())
}
