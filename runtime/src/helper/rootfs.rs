//! The root of a step: its layers under an overlay, and everything that is mounted into it.

use super::isolated_root::DEVICES;
use super::lock::Locks;
use super::measure::Written;
use super::mount::{self, attach, path_again};
use super::overlay::overlay;
use super::owner::{Access, Owner};
use super::placeholder::Placeholders;
use super::volume;
use super::walk::open_in;
use crate::error::HelperError;
use crate::protocol::{Answer, RunRequest, send_with};
use crate::{Mount, MountKind, SnapshotId};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::mount::MountAttrFlags;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;

/// Size of `/dev`.
const DEV_SIZE: &str = "65536k";

/// A root that is ready but for `/proc`, which belongs to the process that will run in it.
pub(crate) struct Root {
    /// The overlay.
    pub root: OwnedFd,
    /// Mount point of `/proc`.
    pub proc: OwnedFd,
    /// Mount points that were created in it.
    pub placeholders: Placeholders,
    /// Directories that the step writes to.
    pub written: Vec<Written>,
    /// Locks of cache directories, held while the step runs.
    _locks: Locks,
}

struct Building<'r> {
    directory: &'r str,
    /// Socket to which listening sockets for agents are sent.
    agents: Option<&'r OwnedFd>,
    agent: u8,
    root: OwnedFd,
    placeholders: Placeholders,
    written: Vec<Written>,
    locks: Locks,
    /// Files in memory that are mounted one by one.
    scratch: OwnedFd,
    files: usize,
}

fn inside(doing: impl Into<String>) -> impl FnOnce(io::Error) -> HelperError {
    HelperError::inside(doing)
}

/// Mounts the root of a step in `directory`.
pub(crate) fn build(directory: &str, request: &RunRequest, agents: Option<&OwnedFd>) -> Answer<Root> {
    let step = &request.step;
    let locks = Locks::of(&step.mounts).map_err(inside("locking a cache"))?;
    make_directories(directory, &step.layers, request.container.is_some())?;
    let target = format!("{directory}/m");
    overlay(&step.layers, Some((&format!("{directory}/u"), &format!("{directory}/w"))), &target)
        .map_err(inside(format!("mounting {} layers", step.layers.len())))?;
    let root = super::walk::open_directory(&target).map_err(inside("opening the root of a step"))?;
    let scratch = memory(format!("{directory}/x").as_str()).map_err(inside("mounting memory for files"))?;
    let changes =
        super::walk::open_directory(&format!("{directory}/u")).map_err(inside("opening the root of a step"))?;
    let (placeholders, written) = (Placeholders::default(), vec![Written::Own(changes)]);
    let mut building = Building { directory, agents, agent: 0, root, placeholders, written, locks, scratch, files: 0 };
    let place = |name: &str| {
        kept(&building.root, name.as_bytes()).map_err(|error| {
            HelperError::Step(format!("mounting /{name}: the image's own cannot be mounted on: {error}"))
        })
    };
    let (proc, dev, sys) = (place("proc")?, place("dev")?, place("sys")?);
    building.devices(dev, step.shm_bytes).map_err(inside("mounting /dev"))?;
    building.system(sys).map_err(inside("mounting /sys"))?;
    building.names(request)?;
    building.user_mounts(&step.mounts)?;
    building.placeholders.restore_times(&building.root);
    let Building { root, placeholders, written, locks, .. } = building;
    Ok(Root { root, proc, placeholders, written, _locks: locks })
}

/// Makes the directories that the root of a step is mounted from; those of a container may be there.
pub(crate) fn make_directories(directory: &str, layers: &[SnapshotId], is_container: bool) -> Answer<()> {
    for part in ["", "/u", "/w", "/m", "/x"] {
        match fs::create_dir(format!("{directory}{part}")) {
            // The directory of a container outlives its processes.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_container => continue,
            made => made.map_err(inside("making the directories of a step"))?,
        }
        if part == "/u" {
            set_mode(&format!("{directory}/u"), 0o755).map_err(inside("making the directories of a step"))?;
        }
    }
    // Topmost first, for the diff.
    let below: Vec<String> = layers.iter().rev().map(SnapshotId::directory).collect();
    fs::write(format!("{directory}/layers"), below.join("\n")).map_err(inside("making the directories of a step"))
}

/// Mounts an empty file system in memory.
fn memory(target: &str) -> io::Result<OwnedFd> {
    let mounted =
        mount::new("tmpfs", &[("mode", "0700")], MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV)?;
    attach(&mounted, super::walk::open_directory(target)?)?;
    Ok(mounted)
}

fn set_mode(path: &str, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::chmodat(rustix::fs::CWD, path, Mode::from_raw_mode(mode), AtFlags::empty())?)
}

impl Building<'_> {
    fn devices(&mut self, place: OwnedFd, shm_bytes: u64) -> io::Result<()> {
        let nosuid = MountAttrFlags::MOUNT_ATTR_NOSUID;
        let dev = mount::new("tmpfs", &[("mode", "755"), ("size", DEV_SIZE)], nosuid)?;
        attach(&dev, place)?;
        for name in DEVICES {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            rustix::fs::openat(&dev, name, flags, Mode::from_raw_mode(0o666))?;
            let node = rustix::fs::openat(&dev, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            attach(path_again(&format!("/dev/{name}"))?, node)?;
        }
        let links = [
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
            ("ptmx", "pts/ptmx"),
        ];
        for (name, target) in links {
            rustix::fs::symlinkat(target, &dev, name)?;
        }
        let quiet = nosuid | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let pts =
            mount::new("devpts", &[("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620"), ("gid", "5")], quiet)?;
        attach(pts, directory_in(&dev, "pts")?)?;
        let size = shm_bytes.to_string();
        let shm = mount::new("tmpfs", &[("mode", "1777"), ("size", &size)], quiet | MountAttrFlags::MOUNT_ATTR_NODEV)?;
        attach(shm, directory_in(&dev, "shm")?)?;
        let queues = mount::new("mqueue", &[], quiet | MountAttrFlags::MOUNT_ATTR_NODEV)?;
        attach(queues, directory_in(&dev, "mqueue")?)
    }

    fn system(&mut self, place: OwnedFd) -> io::Result<()> {
        let flags = MountAttrFlags::MOUNT_ATTR_RDONLY
            | MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        // Where this machine itself sees only a part of /sys, nobody in it may see more: then there is none.
        let sys = match mount::new("sysfs", &[], flags) {
            Ok(sys) => sys,
            Err(_) => mount::new("tmpfs", &[("mode", "755")], flags)?,
        };
        attach(sys, place)?;
        for hidden in ["sys/firmware", "sys/devices/virtual/powercap", "sys/kernel/debug", "sys/kernel/tracing"] {
            if let Ok(directory) = open_in(&self.root, hidden.as_bytes(), OFlags::PATH | OFlags::DIRECTORY) {
                attach(mount::new("tmpfs", &[("mode", "755")], flags)?, directory)?;
            }
        }
        Ok(())
    }

    /// Mounts `/etc/hosts` and `/etc/resolv.conf`, which the step can read and never changes.
    fn names(&mut self, request: &RunRequest) -> Answer<()> {
        let hostname = &request.step.hostname;
        let mut hosts = format!("127.0.0.1\tlocalhost {hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n");
        for (name, address) in &request.step.hosts {
            hosts.push_str(&format!("{address}\t{name}\n"));
        }
        for (path, content) in [("etc/hosts", &hosts), ("etc/resolv.conf", &request.resolv_conf)] {
            let failed = |error: io::Error| HelperError::Inside(format!("mounting /{path}: {error}"));
            // An image may have a link there that leads nowhere; it keeps it.
            let Ok(place) = self.placeholders.place(&self.root, path.as_bytes(), false) else { continue };
            let file = self.file(content.as_bytes(), &Access::new(0o644, 0, 0)).map_err(failed)?;
            mount::make_read_only(&file).map_err(failed)?;
            attach(file, place).map_err(failed)?;
        }
        Ok(())
    }

    /// Returns a mount of a file in memory.
    fn file(&mut self, content: &[u8], access: &Access) -> io::Result<OwnedFd> {
        self.files += 1;
        let name = self.files.to_string();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&self.scratch, name.as_str(), flags, Mode::from_raw_mode(0o600))?);
        file.write_all(content)?;
        access.owner.give(|uid, gid| rustix::fs::fchown(&file, uid, gid))?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(access.mode))?;
        mount::again(rustix::fs::openat(&self.scratch, name.as_str(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
    }

    fn user_mounts(&mut self, mounts: &[Mount]) -> Answer<()> {
        let mut sorted: Vec<_> = mounts.iter().enumerate().collect();
        // Parents first: what is mounted later would hide what is below it.
        sorted.sort_by_key(|(_, mount)| files::path::clean_path(mount.target.as_bytes()));
        for (number, mount) in sorted {
            let target = files::path::clean_path(mount.target.as_bytes());
            let failed = |error: io::Error| HelperError::Step(format!("mounting on `{}`: {error}", mount.target));
            if let Some(problem) = owner(&mount.kind).and_then(Owner::refused) {
                return Err(failed(problem));
            }
            let source = self.source(number, &mount.kind).map_err(|error| match error {
                HelperError::Inside(text) => HelperError::Inside(format!("mounting on `{}`: {text}", mount.target)),
                other => other,
            })?;
            let directory = is_directory(&source).map_err(failed)?;
            let place = self.placeholders.place(&self.root, &target, directory).map_err(failed)?;
            attach(source, place).map_err(failed)?;
        }
        Ok(())
    }

    fn source(&mut self, number: usize, kind: &MountKind) -> Answer<OwnedFd> {
        let failed = |error: io::Error| HelperError::Inside(error.to_string());
        match kind {
            MountKind::Bind { layers, source, writable } => {
                let mounted = self.bind(number, layers, source, *writable)?;
                if *writable {
                    let changes = super::walk::open_directory(&format!("{}/bu{number}", self.directory));
                    self.written.push(Written::Own(changes.map_err(failed)?));
                }
                Ok(mounted)
            }
            MountKind::Tmpfs { size } => {
                let size = size.map(|size| size.to_string());
                let mut options = vec![("mode", "1777")];
                options.extend(size.as_deref().map(|size| ("size", size)));
                mount::new("tmpfs", &options, MountAttrFlags::MOUNT_ATTR_NOSUID).map_err(failed)
            }
            MountKind::Secret { content, mode, uid, gid } => {
                let file = self.file(content, &Access::new(*mode, *uid, *gid)).map_err(failed)?;
                mount::make_read_only(&file).map_err(failed)?;
                Ok(file)
            }
            MountKind::File { content, mode } => {
                let file = self.file(content, &Access::new(*mode, 0, 0)).map_err(failed)?;
                mount::make_read_only(&file).map_err(failed)?;
                Ok(file)
            }
            MountKind::Cache { id, mode, uid, gid, writable, seed, .. } => {
                let directory = self.locks.directory(id).map_err(failed)?;
                self.seed(number, &directory, &Access::new(*mode, *uid, *gid), seed.as_ref())?;
                self.shared(&format!("{directory}/d"), *writable).map_err(failed)
            }
            MountKind::Volume { name, writable, seed } => {
                let content = volume::directory(name).map_err(failed)?;
                if !volume::is_filled(&content) {
                    let image = match seed {
                        Some((layers, path)) => self.image_directory(number, layers, path)?,
                        None => None,
                    };
                    let temporary = format!("{}/v{number}", self.directory);
                    volume::fill(&content, &temporary, image.as_ref())
                        .map_err(HelperError::inside("making a volume"))?;
                }
                self.shared(&content, *writable).map_err(failed)
            }
            MountKind::Ssh { mode, uid, gid, .. } => self.agent(&Access::new(*mode, *uid, *gid)).map_err(failed),
        }
    }

    /// Mounts a directory that others may use at the same time.
    fn shared(&mut self, content: &str, writable: bool) -> io::Result<OwnedFd> {
        let mounted = path_again(content)?;
        match writable {
            true => self.written.push(Written::Shared(super::walk::open_directory(content)?)),
            false => mount::make_read_only(&mounted)?,
        }
        Ok(mounted)
    }

    /// Opens a directory of a stack of layers, if it is there.
    fn image_directory(&self, number: usize, layers: &[SnapshotId], path: &[u8]) -> Answer<Option<OwnedFd>> {
        let failed = |error: io::Error| HelperError::Inside(format!("mounting {} layers: {error}", layers.len()));
        let target = format!("{}/b{number}", self.directory);
        fs::create_dir_all(&target).map_err(failed)?;
        overlay(layers, None, &target).map_err(failed)?;
        let root = super::walk::open_directory(&target).map_err(failed)?;
        match open_in(&root, path, OFlags::PATH | OFlags::DIRECTORY) {
            Ok(found) => Ok(Some(found)),
            Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Makes the socket of the next agent, and sends it, listening, to whoever connects it to the agent.
    fn agent(&mut self, access: &Access) -> io::Result<OwnedFd> {
        let outside = self.agents.ok_or_else(|| io::Error::other("no agent is forwarded"))?;
        let name = format!("agent{}", self.agent);
        let listener = UnixListener::bind(format!("{}/x/{name}", self.directory))?;
        send_with(outside, &[self.agent], &[listener.as_fd()])?;
        self.agent += 1;
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        access.owner.give(|uid, gid| rustix::fs::chownat(&self.scratch, &*name, uid, gid, flags))?;
        rustix::fs::chmodat(&self.scratch, &*name, Mode::from_raw_mode(access.mode), AtFlags::empty())?;
        mount::again(rustix::fs::openat(&self.scratch, &*name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// Mounts a part of another stack of layers.
    fn bind(&self, number: usize, layers: &[SnapshotId], source: &[u8], writable: bool) -> Answer<OwnedFd> {
        let failed = |error: io::Error| HelperError::Inside(format!("mounting {} layers: {error}", layers.len()));
        let part = |name: &str| format!("{}/{name}{number}", self.directory);
        let (target, upper, work) = (part("b"), part("bu"), part("bw"));
        fs::create_dir(&target).map_err(failed)?;
        let upper = if writable {
            fs::create_dir(&upper).and_then(|()| set_mode(&upper, 0o755)).map_err(failed)?;
            fs::create_dir(&work).map_err(failed)?;
            Some((upper.as_str(), work.as_str()))
        } else {
            None
        };
        overlay(layers, upper, &target).map_err(failed)?;
        let root = super::walk::open_directory(&target).map_err(failed)?;
        let found = open_in(&root, source, OFlags::PATH)
            .map_err(|error| HelperError::Step(format!("\"/{}\": {error}", String::from_utf8_lossy(source))))?;
        let mounted = mount::again(found).map_err(failed)?;
        if !writable {
            mount::make_read_only(&mounted).map_err(failed)?;
        }
        Ok(mounted)
    }

    /// Makes the directory of a cache on first use, filled from where the mount says.
    fn seed(
        &self,
        number: usize,
        directory: &str,
        access: &Access,
        seed: Option<&(Vec<SnapshotId>, Vec<u8>)>,
    ) -> Answer<()> {
        let content = format!("{directory}/d");
        if fs::symlink_metadata(&content).is_ok() {
            return Ok(());
        }
        let failed = |error: io::Error| HelperError::Inside(format!("making a cache: {error}"));
        // In the step's own directory: processes of other sandboxes have the same ids.
        let temporary = format!("{}/c{number}", self.directory);
        fs::create_dir(&temporary).map_err(failed)?;
        if let Some((layers, source)) = seed {
            let from = self.bind(number, layers, source, false)?;
            super::seed::copy(&from, &temporary).map_err(failed)?;
        }
        let path = temporary.as_str();
        access
            .owner
            .give(|uid, gid| rustix::fs::chownat(rustix::fs::CWD, path, uid, gid, AtFlags::empty()))
            .map_err(failed)?;
        set_mode(&temporary, access.mode).map_err(failed)?;
        fs::create_dir_all(directory).map_err(failed)?;
        // Without the flag the kernel puts a directory in the place of an empty one, which others may have mounted.
        let renamed =
            rustix::fs::renameat_with(rustix::fs::CWD, path, rustix::fs::CWD, &content, RenameFlags::NOREPLACE);
        match renamed {
            Ok(()) => Ok(()),
            // Another step was faster.
            Err(rustix::io::Errno::EXIST) => super::remove::tree(&temporary).map_err(failed),
            Err(error) => Err(failed(error.into())),
        }
    }
}

/// Returns the owner that a mount asks for.
fn owner(kind: &MountKind) -> Option<Owner> {
    match *kind {
        MountKind::Cache { uid, gid, .. } | MountKind::Secret { uid, gid, .. } | MountKind::Ssh { uid, gid, .. } => {
            Some(Owner { uid, gid })
        }
        MountKind::Bind { .. } | MountKind::Volume { .. } | MountKind::Tmpfs { .. } | MountKind::File { .. } => None,
    }
}

/// Opens a directory of the root to mount on; one that is made here stays, as it does in BuildKit's images.
fn kept(root: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
    match rustix::fs::mkdirat(root, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    open_in(root, name, OFlags::PATH | OFlags::DIRECTORY)
}

fn directory_in(parent: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    let parent = parent.as_fd();
    rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))?;
    Ok(rustix::fs::openat(parent, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

fn is_directory(mounted: &OwnedFd) -> io::Result<bool> {
    let known = rustix::fs::statat(mounted, c"", AtFlags::EMPTY_PATH)?;
    Ok(FileType::from_raw_mode(known.st_mode) == FileType::Directory)
}
