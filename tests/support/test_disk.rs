//! A disk of a test's own: a file with ext4 in it, mounted where the data directory is, whose power can be cut.

use crate::support::{run, wait_for};
use std::path::{Path, PathBuf};
use std::process::Command;

/// `EXT4_IOC_SHUTDOWN` without writing the journal: what was not synced is gone, as when the power fails.
const CUT: &str = "import fcntl, os, struct, sys\n\
    fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))\n";

/// A file system in a file; it is unmounted when this is dropped.
pub(crate) struct Disk {
    file: PathBuf,
    place: PathBuf,
}

impl Disk {
    /// Makes a disk in `file` and mounts it over `place`. Needs root and a free loop device, and says so without.
    pub(crate) fn over(place: &Path, file: PathBuf, megabytes: u32) -> Disk {
        std::fs::create_dir_all(place).unwrap();
        std::fs::File::create(&file).unwrap().set_len(u64::from(megabytes) << 20).unwrap();
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&file));
        let disk = Disk { file, place: place.to_owned() };
        disk.mount();
        disk
    }

    /// Mounts it, as it is after it was made or unmounted; what its journal holds is done.
    pub(crate) fn mount(&self) {
        run(Command::new("mount").args(["-o", "loop"]).arg(&self.file).arg(&self.place));
    }

    /// Unmounts it once nobody uses it any more, and waits until the kernel has let go of the file.
    pub(crate) fn unmount(&self) {
        wait_for("the end of all that uses the disk", || {
            Command::new("umount").arg(&self.place).output().unwrap().status.success().then_some(())
        });
        wait_for("the loop device", || self.device().is_none().then_some(()));
    }

    /// Takes its power: nothing is written to it from now on, and nothing can be.
    pub(crate) fn cut(&self) {
        run(Command::new("python3").args(["-c", CUT]).arg(&self.place));
    }

    /// Returns the loop device that it is on while it is mounted.
    pub(crate) fn device(&self) -> Option<String> {
        let shown = run(Command::new("losetup").args(["-n", "-O", "NAME", "-j"]).arg(&self.file));
        shown.lines().next().map(|name| name.trim().to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.device().is_some() {
            let _ = Command::new("umount").arg("-l").arg(&self.place).status();
        }
    }
}
