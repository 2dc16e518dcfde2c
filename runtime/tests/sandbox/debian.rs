//! A Debian base must work with the commands of ordinary Dockerfiles.

use crate::Test;
use crate::place::{Place, entries, place_in};
use runtime::{Exit, Settings, SnapshotId, Step, StepNetwork};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub(crate) const TESTS: &[Test] = &[("what_ordinary_builds_do_works", ordinary), ("packages_are_installed", packages)];

/// Where the base is kept from run to run.
fn kept() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("debian.tar")
}

/// Makes the base, once; says why not if this machine reaches no mirror.
fn base() -> Option<PathBuf> {
    static MAKING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _held = MAKING.lock().unwrap();
    let (base, part) = (kept(), kept().with_extension(format!("{}.part", std::process::id())));
    if base.exists() {
        return Some(base);
    }
    let packages = "sudo,adduser,iputils-ping,libcap2-bin";
    let output = Command::new("mmdebstrap")
        .args(["--quiet", "--variant=apt", "--format=tar", &format!("--include={packages}")])
        .args(["--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*"])
        .arg("bookworm")
        .arg(&part)
        .output()
        .expect("mmdebstrap is installed");
    if !output.status.success() {
        println!("no Debian base: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    std::fs::rename(&part, &base).unwrap();
    Some(base)
}

fn debian() -> Option<Place> {
    let base = base()?;
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings::new(directory.path()).unwrap();
    let mut place = place_in(directory, settings);
    place.base = SnapshotId::new(&"0d".repeat(32)).unwrap();
    let id = place.base.clone();
    place.sandbox().unpack(&id, &mut std::fs::File::open(base).unwrap()).unwrap();
    Some(place)
}

fn step(place: &Place, script: &str) -> Step {
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    Step {
        env: vec![path.into(), "DEBIAN_FRONTEND=noninteractive".into()],
        network: StepNetwork::Default,
        timeout: Some(Duration::from_secs(300)),
        ..place.step(script)
    }
}

fn ordinary() {
    // RT-10, RT-11. A `ping` that carries CAP_NET_RAW, as Debian's does, cannot be started without that capability.
    let Some(place) = debian() else { return };
    let output = place.succeeds(&step(
        &place,
        "set -e
        useradd -m worker; adduser --disabled-password --gecos '' other >/dev/null; groupadd extra; usermod -aG extra worker
        echo 'worker ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/worker
        su worker -c 'sudo id -u'
        su - other -c 'id -un'
        sudo -u worker id -Gn
        chown 1000:1000 /opt; chmod 4755 /usr/bin/id; su other -c 'id -u'
        cp /bin/true /opt/true; setcap cap_net_bind_service=+ep /opt/true; getcap /opt/true; su other -c /opt/true
        chroot / /bin/true
        setcap -r /bin/ping || true; ping -c 1 -W 1 127.0.0.1 >/dev/null && echo ping
        su other -c 'ping -c 1 -W 1 127.0.0.1 >/dev/null' && echo ping
        mkfifo /tmp/p; mktemp -d >/dev/null; ln /etc/hostname /tmp/h 2>/dev/null || touch /tmp/h
        script -qc 'tty' /dev/null | grep -q pts && echo tty",
    ));
    let told: Vec<_> = output.lines().collect();
    assert_eq!(
        told,
        ["0", "other", "worker extra", "0", "/opt/true cap_net_bind_service=ep", "ping", "ping", "tty"],
        "{output}"
    );
    let (_, _, changes) = place.run(&step(&place, "cp /bin/true /t; setcap cap_net_bind_service=+ep /t"));
    let found = entries(&changes);
    let attribute = &found.iter().find(|entry| entry.path == b"t").unwrap().xattrs[0];
    assert_eq!((attribute.0.as_slice(), attribute.1.len()), (&b"security.capability"[..], 20), "the portable form");
}

fn packages() {
    // RT-10, RT-36: apt looks its mirror up, fetches, and dpkg unpacks.
    let Some(place) = debian() else { return };
    let script = "apt-get update -qq && apt-get install -y -qq --no-install-recommends hello >/dev/null && hello";
    let (exit, output, _) = place.run(&step(&place, script));
    assert_eq!(exit, Exit::Code(0), "{output}");
    assert!(output.ends_with("Hello, world!\n"), "{output}");
}
