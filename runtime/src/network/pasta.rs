//! `pasta`: where it is, as whom it runs, and with what.

use super::addresses::{GATEWAY, GATEWAY_6, PASTA_MAC, RESOLVER, STEP, STEP_6};
use super::policy::OUTSIDE;
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, SFlag, mknod};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program.
const NAME: &str = "pasta";
/// The device through which it gets packets.
pub(crate) const TUN: &str = "/dev/net/tun";
/// Directories in which it may be installed.
const DIRECTORIES: [&str; 5] = ["/usr/bin", "/usr/local/bin", "/bin", "/usr/sbin", "/usr/local/sbin"];

/// Returns where the program is, if this account may execute it.
pub(crate) fn find() -> Option<PathBuf> {
    DIRECTORIES.iter().map(|directory| Path::new(directory).join(NAME)).find(|file| {
        fs::metadata(file).is_ok_and(|known| known.is_file())
            && nix::unistd::access(file, nix::unistd::AccessFlags::X_OK).is_ok()
    })
}

/// The namespaces that `pasta` connects, and its account.
pub(crate) struct Target {
    /// The user namespace of the sandbox, as a path.
    pub user: String,
    /// The outer network namespace, as a path.
    pub net: String,
    /// The account that it changes to, if it is started as root.
    pub runas: Option<u32>,
    /// Whether IPv6 is available.
    pub version_6: bool,
}

impl Target {
    /// Returns the command that connects it.
    ///
    /// It only translates: interfaces, addresses and routes are the router's, and no client asks it for an address.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .args(["--foreground", "--no-map-gw", "--quiet"])
            .args(["-t", "none", "-u", "none", "-T", "none", "-U", "none"])
            .args(["--no-dhcp", "--no-dhcpv6", "--no-ndp", "--no-ra"])
            .args(["--ns-ifname", OUTSIDE, "--dns-forward", &RESOLVER.to_string()])
            .args(["--mac-addr", &PASTA_MAC.map(|byte| format!("{byte:02x}")).join(":")])
            .args(["--address", &STEP.to_string(), "--netmask", "29", "--gateway", &GATEWAY.to_string()])
            .args(["--userns", &self.user, "--netns", &self.net])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if self.version_6 {
            command.args(["--address", &STEP_6.to_string(), "--gateway", &GATEWAY_6.to_string()]);
        } else {
            command.arg("--ipv4-only");
        }
        if let Some(id) = self.runas {
            command.args(["--runas", &id.to_string()]);
        }
        command
    }
}

/// Returns the owner of a sandbox's user namespace, if this process is root and the owner is not.
pub(crate) fn owner(user: &File) -> Option<u32> {
    let mut owner: libc::uid_t = 0;
    // SAFETY: the handle is one of a user namespace, and the call writes one id to the place that it is given.
    let known = unsafe { libc::ioctl(user.as_raw_fd(), libc::NS_GET_OWNER_UID, &raw mut owner) } == 0;
    (known && owner != 0 && nix::unistd::geteuid().is_root()).then_some(owner)
}

/// Returns the accounts that `pasta` may run as, the best first; `None` keeps the account of its parent.
///
/// The owner of the sandbox's user namespace rules it without being anybody outside, so `pasta` can do as that id all that
/// it does. It must be able to open the device, too: where only root may, it gets one of its own, in a mount namespace of
/// its own. A service that may not make devices has `pasta` as root, which then gives its privileges up by itself.
pub(crate) fn accounts(owner: Option<u32>) -> Vec<Option<u32>> {
    if !nix::unistd::geteuid().is_root() {
        return vec![None];
    }
    match owner {
        Some(owner) if is_open_to_all() || own_device(owner).is_ok() => vec![Some(owner), Some(0)],
        _ => vec![Some(0)],
    }
}

fn is_open_to_all() -> bool {
    fs::metadata(TUN).is_ok_and(|known| known.mode() & 0o006 == 0o006)
}

/// Puts a device that belongs to `owner` in the place of the machine's, for this process and those that it starts.
fn own_device(owner: u32) -> io::Result<()> {
    let device = fs::metadata(TUN)?.rdev();
    unshare(CloneFlags::CLONE_NEWNS)?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    mount(none, "/dev/net", Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC, Some("mode=755,size=64k"))?;
    let made = mknod(TUN, SFlag::S_IFCHR, Mode::from_bits_truncate(0o600), device)
        .map_err(io::Error::from)
        .and_then(|()| std::os::unix::fs::chown(TUN, Some(owner), Some(owner)))
        .and_then(|()| fs::set_permissions(TUN, fs::Permissions::from_mode(0o600)));
    if made.is_err() {
        let _ = nix::mount::umount("/dev/net");
    }
    made
}
