//! The sandbox of an ordinary account: the same confinement, with the account's subordinate ids.

use crate::Test;
use crate::disk::Disk;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

pub const TESTS: &[Test] = &[
    ("an_ordinary_account_has_the_same_sandbox", ordinary_account),
    ("an_account_has_all_ids_that_it_is_given", given_ids),
    ("an_account_leaves_what_must_stay_free", disk),
];

/// The account's own id, and where its subordinate ones begin.
const ACCOUNT: u32 = 54_321;
const SUBORDINATE: u32 = 700_000_000;
/// Tests that run as the account: those that need nothing that only root may have.
const TOGETHER: [&str; 6] = ["layers::", "steps::", "mounts::", "confinement::", "hostile_layers::", "roots::"];

fn ordinary_account() {
    as_account(None, &TOGETHER.map(|tests| (tests, format!("slipway-test:{SUBORDINATE}:65536\n"))));
}

fn given_ids() {
    // EN-44: all lines, and what is right where they are not enough.
    let one = format!("slipway-test:{SUBORDINATE}:65536\n");
    let more = format!("{one}other:900000000:65536\n{ACCOUNT}:800000000:200000\n");
    as_account(None, &[("owners::", more), ("few_ids::", one)]);
}

fn disk() {
    // SEC-B2b
    if nix::unistd::geteuid().is_root() {
        let file = tempfile::NamedTempFile::new().unwrap();
        as_account(Some(file.path()), &[("disk::what", format!("slipway-test:{SUBORDINATE}:65536\n"))]);
    }
}

/// Runs groups of tests as an account with these lines of `/etc/subuid`; its files may be on a disk in a file.
fn as_account(disk: Option<&Path>, groups: &[(&str, String)]) {
    if !nix::unistd::geteuid().is_root() {
        println!("these tests run as an ordinary account already");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = path("tests");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::create_dir(path("tmp")).unwrap();
    let _disk = disk.map(|file| Disk::over(&path("tmp"), file));
    std::os::unix::fs::chown(path("tmp"), Some(ACCOUNT), Some(ACCOUNT)).unwrap();
    let mut accounts = fs::read_to_string("/etc/passwd").unwrap();
    accounts.push_str(&format!("slipway-test:x:{ACCOUNT}:{ACCOUNT}::{}:/bin/sh\n", path("tmp").display()));
    fs::write(path("passwd"), accounts).unwrap();
    // In a mount namespace of its own the machine has an account that it does not have.
    let script = format!(
        "set -e; mount --bind {0}/passwd /etc/passwd; mount --bind {0}/subid /etc/subuid; mount --bind {0}/subid /etc/subgid; \
         exec setpriv --reuid {ACCOUNT} --regid {ACCOUNT} --clear-groups --inh-caps=-all env HOME={0}/tmp TMPDIR={0}/tmp \"$@\"",
        directory.path().display()
    );
    let missing: Vec<_> = ["/etc/subuid", "/etc/subgid"].into_iter().filter(|file| !Path::new(file).exists()).collect();
    missing.iter().for_each(|file| fs::write(file, "").unwrap());
    for (tests, ranges) in groups {
        fs::write(path("subid"), ranges).unwrap();
        let output = Command::new("unshare")
            .args(["--mount", "sh", "-c", &script, "sh"])
            .arg(&program)
            .args(["--test-threads", if disk.is_some() { "1" } else { "2" }, *tests])
            .output()
            .expect("unshare is installed");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{tests}\n{said}");
        assert!(!said.contains("running 0 tests"), "{tests}\n{said}");
    }
    missing.iter().for_each(|file| fs::remove_file(file).unwrap());
}
