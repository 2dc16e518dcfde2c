//! Data directories that cannot be worked in: the start ends, and says what would be right.

use crate::support::{busybox_context, free_port, run, shown, slipway};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// An account that owns nothing.
const NOBODY: u32 = 65_534;

/// A mount over a directory, gone when it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn over(place: &Path, kind: &str, options: &str) -> Mounted {
        run(Command::new("mount").args(["-t", kind, "-o", options, "slipway-test"]).arg(place));
        Mounted(place.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Starts `slipway` with a data directory, as root or as somebody else, and returns how it ended.
fn start(command: &str, data: &Path, as_nobody: bool) -> Output {
    let configuration = data.with_extension("toml");
    let listen =
        format!("[server]\nlisten = \"127.0.0.1:{}\"\nregistry_listen = \"127.0.0.1:{}\"\n", free_port(), free_port());
    std::fs::write(&configuration, listen).unwrap();
    std::fs::set_permissions(&configuration, std::fs::Permissions::from_mode(0o644)).unwrap();
    // An account that may not read the build directory gets another path.
    let (slipway, program) = (slipway(), data.with_extension("program"));
    if std::fs::hard_link(slipway.get_program(), &program).is_err() && !program.exists() {
        std::fs::copy(slipway.get_program(), &program).unwrap();
    }
    let mut starting = Command::new("timeout");
    starting.arg("20");
    if as_nobody {
        starting.args(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
    }
    starting.arg(program).arg(command).arg("--data-dir").arg(data).arg("--config").arg(&configuration);
    starting.env_remove("SLIPWAY_DATA_DIR").output().unwrap()
}

/// Checks that neither server nor worker starts, and that both say all of `expected`.
fn refused(data: &Path, as_nobody: bool, expected: &[&str]) {
    for command in ["serve", "worker"] {
        let output = start(command, data, as_nobody);
        let said = shown(&output);
        assert_eq!(output.status.code(), Some(1), "{command}: {said}");
        assert!(said.contains(data.to_str().unwrap()), "{command}: {said}");
        assert!(expected.iter().all(|expected| said.contains(expected)), "{command}: {expected:?} in {said}");
    }
}

/// Returns a directory that everybody may pass through, and the data directory in it.
fn open_place() -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let data = place.path().join("data");
    std::fs::create_dir(&data).unwrap();
    (place, data)
}

#[test]
fn a_directory_of_another_account_is_named_with_both_accounts() {
    // ST-10
    let (_place, data) = open_place();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
    refused(&data, true, &["belongs to the account 0", "runs as 65534", "chown -R 65534", "--data-dir"]);
    // One's own that cannot be read.
    chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o000)).unwrap();
    refused(&data, true, &["chmod u+rwx"]);
}

#[test]
fn a_database_of_another_account_is_named() {
    // ST-10: the directory was given away, what is in it was not
    let (_place, data) = open_place();
    chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
    std::fs::write(data.join("slipway.db"), "").unwrap();
    std::fs::set_permissions(data.join("slipway.db"), std::fs::Permissions::from_mode(0o600)).unwrap();
    refused(&data, true, &["slipway.db", "belongs to the account 0", "chown -R 65534"]);
}

#[test]
fn a_file_system_that_cannot_hold_layers_is_named() {
    // ST-10
    let (_place, data) = open_place();
    let _mounted = Mounted::over(&data, "ramfs", "mode=755");
    refused(&data, false, &["without attributes of files", "ext4, xfs or btrfs", "--data-dir"]);
}

#[test]
fn a_file_system_that_is_mounted_read_only_is_named() {
    // ST-10
    let (_place, data) = open_place();
    let _mounted = Mounted::over(&data, "tmpfs", "ro,size=1m");
    refused(&data, false, &["mount its file system writable"]);
}

/// A program that becomes root, as `su` and `ping` do.
const SETUID: &str = "FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\n\
    RUN /bin/busybox --install /bin; mkdir /etc; echo root::0:0::/:/bin/sh > /etc/passwd; \
    echo app:x:100:100::/:/bin/sh >> /etc/passwd; rm /bin/su; cp /bin/busybox /bin/su; chmod 4755 /bin/su\n\
    USER app\nRUN test $(id -u) = 100 && test $(/bin/su root -c 'id -u') = 0 && echo became root\n";

#[test]
fn steps_run_as_elsewhere_where_no_program_may_be_run() {
    // ST-10: layers are seen through mounts of slipway's own, so how the disk is mounted makes no difference
    let (_place, data) = open_place();
    let context = busybox_context(SETUID);
    let _mounted = Mounted::over(&data, "tmpfs", "nosuid,noexec,nodev,size=200m,mode=755");
    let mut build = slipway();
    build.args(["build", "--progress", "plain", "--data-dir"]).arg(&data).arg(context.path().join("context"));
    let output = build.output().unwrap();
    assert!(output.status.success() && shown(&output).contains("became root\n"), "{}", shown(&output));
}
