//! The sandbox of an ordinary account: the same confinement, with the account's subordinate ids.

use crate::Test;
use crate::disk::{DISK, Disk};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

pub(crate) const TESTS: &[Test] = &[
    ("an_ordinary_account_has_the_same_sandbox", ordinary_account),
    ("an_account_has_all_ids_that_it_is_given", given_ids),
    ("an_account_leaves_what_must_stay_free", disk),
];

/// The account's own id, and where its subordinate ones begin.
const ACCOUNT: u32 = 54_321;
const SUBORDINATE: u32 = 700_000_000;
/// Tests that run as the account: those that need nothing that only root may have.
const TOGETHER: [&str; 10] = [
    "calls::",
    "refusals::",
    "streams::",
    "layers::",
    "steps::",
    "mounts::",
    "confinement::",
    "hostile_layers::",
    "roots::",
    "network::",
];

fn ordinary_account() {
    for tests in TOGETHER {
        passes_as_account(tests, &usual_ranges());
    }
}

fn given_ids() {
    // EN-44: all lines, and what is right where they are not enough.
    let more = format!("{}other:900000000:65536\n{ACCOUNT}:800000000:200000\n", usual_ranges());
    passes_as_account("owners::", &more);
    passes_as_account("few_ids::", &usual_ranges());
}

fn disk() {
    // SEC-B2b
    if nix::unistd::geteuid().is_root() {
        let own = tempfile::tempdir().unwrap();
        fs::set_permissions(own.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let disk = own.path().join("disk");
        fs::create_dir(&disk).unwrap();
        let _disk = Disk::over(&disk, &own.path().join("file"));
        std::os::unix::fs::chown(&disk, Some(ACCOUNT), Some(ACCOUNT)).unwrap();
        let place = [(DISK, disk.to_str().unwrap())];
        let output = run_in_account(&["--test-threads", "1", "disk::what"], &place, &usual_ranges());
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("running 3 tests"), "{said}");
    }
}

fn usual_ranges() -> String {
    format!("slipway-test:{SUBORDINATE}:65536\n")
}

fn passes_as_account(tests: &str, ranges: &str) {
    if !nix::unistd::geteuid().is_root() {
        println!("these tests run as an ordinary account already");
        return;
    }
    let output = run_in_account(&["--test-threads", "2", tests], &[], ranges);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tests}\n{said}");
    assert!(!said.contains("running 0 tests"), "{tests}\n{said}");
}

/// Runs this program with these arguments and variables as an ordinary account that may open the device for networks.
pub(crate) fn run_as_account(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    run_in_account(arguments, variables, &usual_ranges())
}

/// Does the same with these lines of `/etc/subuid`.
fn run_in_account(arguments: &[&str], variables: &[(&str, &str)], ranges: &str) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = path("tests");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::create_dir(path("tmp")).unwrap();
    std::os::unix::fs::chown(path("tmp"), Some(ACCOUNT), Some(ACCOUNT)).unwrap();
    let mut accounts = fs::read_to_string("/etc/passwd").unwrap();
    accounts.push_str(&format!("slipway-test:x:{ACCOUNT}:{ACCOUNT}::{}:/bin/sh\n", path("tmp").display()));
    fs::write(path("passwd"), accounts).unwrap();
    fs::write(path("subid"), ranges).unwrap();
    // In a mount namespace of its own the machine has an account that it does not have, and lets it open the device.
    let script = format!(
        "set -e; mount --bind {0}/passwd /etc/passwd; mount --bind {0}/subid /etc/subuid; mount --bind {0}/subid /etc/subgid; \
         mount -t tmpfs none /dev/net; mknod -m 666 /dev/net/tun c 10 200; \
         exec setpriv --reuid {ACCOUNT} --regid {ACCOUNT} --clear-groups --inh-caps=-all env HOME={0}/tmp TMPDIR={0}/tmp \"$@\"",
        directory.path().display()
    );
    let missing: Vec<_> = ["/etc/subuid", "/etc/subgid"].into_iter().filter(|file| !Path::new(file).exists()).collect();
    missing.iter().for_each(|file| fs::write(file, "").unwrap());
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script, "sh"])
        .arg(&program)
        .args(arguments)
        .envs(variables.iter().copied())
        .output()
        .expect("unshare is installed");
    missing.iter().for_each(|file| fs::remove_file(file).unwrap());
    output
}
