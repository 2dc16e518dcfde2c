//! The sandbox at work: real namespaces, real commands from Debian's static busybox.
#![allow(clippy::unwrap_used, reason = "without the standard harness clippy does not know that these are tests")]

use libtest_mimic::{Arguments, Failed, Trial};
use runtime::tar::{Entry, EntryKind, Reader, Writer};
use runtime::{
    Cancel, Exit, FileInSnapshot, Mount, MountKind, Sandbox, Settings, Sharing, SnapshotId, Step, StepNetwork,
};
use std::io::Read;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const BUSYBOX: &str = "/bin/busybox";
/// Counts the sandboxes of this process: attempts have names of their own.
static NUMBER: AtomicU32 = AtomicU32::new(1);

fn main() {
    runtime::enter_if_asked();
    let arguments = Arguments::from_args();
    let tests: [(&str, fn()); 14] = [
        ("a_command_changes_files_and_the_changes_are_a_layer", changes_are_a_layer),
        ("a_second_step_sees_the_first", second_step_sees_the_first),
        ("removed_and_replaced_directories_become_whiteouts", whiteouts),
        ("exit_codes_signals_and_missing_commands_are_told_apart", exits),
        ("a_step_ends_when_it_takes_too_long_or_is_cancelled", time_and_cancellation),
        ("a_step_is_nobody_outside_and_can_do_little", confinement),
        ("users_are_looked_up_in_the_image", users),
        ("mounts_leave_no_trace", mounts),
        ("caches_are_kept_and_shared", caches),
        ("files_of_snapshots_can_be_read", read_files),
        ("hostile_layers_stay_inside", hostile_layers),
        ("nothing_is_left_behind", nothing_left),
        ("a_step_without_network_has_none", no_network),
        ("a_step_reaches_the_network_but_not_this_machine", network),
    ];
    let trials = tests.map(|(name, test)| {
        Trial::test(name, move || -> Result<(), Failed> {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&arguments, trials.into()).exit();
}

/// A sandbox with a snapshot that holds busybox, in a directory of its own.
struct Place {
    sandbox: Option<Sandbox>,
    settings: Settings,
    base: SnapshotId,
    _directory: tempfile::TempDir,
}

fn entry(path: &str, kind: EntryKind, mode: u32) -> Entry {
    Entry { path: path.as_bytes().to_vec(), kind, mode, uid: 0, gid: 0, mtime: 1_000, xattrs: Vec::new() }
}

fn tar(entries: &[(Entry, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, content) in entries {
        writer.entry(entry, &mut &content[..]).unwrap();
    }
    writer.finish().unwrap()
}

fn file(path: &str, content: &str) -> (Entry, Vec<u8>) {
    (entry(path, EntryKind::File { size: content.len() as u64 }, 0o644), content.as_bytes().to_vec())
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings::new(directory.path()).unwrap();
    let sandbox =
        Sandbox::start(&settings, &format!("test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)))
            .unwrap();
    let base = SnapshotId::new(&"0b".repeat(32)).unwrap();
    let busybox = std::fs::read(BUSYBOX).expect("busybox-static is installed");
    let passwd = b"root:x:0:0::/root:/bin/sh\napp:x:100:200::/home/app:/bin/sh\n";
    let sh = EntryKind::Symlink { target: b"busybox".to_vec() };
    let layer = tar(&[
        (entry("bin", EntryKind::Directory, 0o755), b""),
        (entry("bin/busybox", EntryKind::File { size: busybox.len() as u64 }, 0o755), &busybox),
        (entry("bin/sh", sh, 0o777), b""),
        (entry("etc", EntryKind::Directory, 0o755), b""),
        (entry("etc/passwd", EntryKind::File { size: passwd.len() as u64 }, 0o644), passwd),
        (entry("etc/group", EntryKind::File { size: 13 }, 0o644), b"web:x:33:app\n"),
        (entry("dir", EntryKind::Directory, 0o755), b""),
        (entry("dir/a", EntryKind::File { size: 1 }, 0o644), b"a"),
        (entry("dir/b", EntryKind::File { size: 1 }, 0o644), b"b"),
        (entry("tmp", EntryKind::Directory, 0o1777), b""),
        (entry("proc", EntryKind::Directory, 0o755), b""),
        (entry("sys", EntryKind::Directory, 0o755), b""),
        (entry("dev", EntryKind::Directory, 0o755), b""),
    ]);
    sandbox.unpack(&base, &mut layer.as_slice()).unwrap();
    Place { sandbox: Some(sandbox), settings, base, _directory: directory }
}

impl Place {
    fn sandbox(&self) -> &Sandbox {
        self.sandbox.as_ref().unwrap()
    }

    fn step(&self, script: &str) -> Step {
        let install = "/bin/busybox --install -s /bin 2>/dev/null; ";
        let script = if script.contains("INSTALL") { script.replace("INSTALL", install) } else { script.to_owned() };
        Step {
            layers: vec![self.base.clone()],
            argv: vec!["/bin/sh".into(), "-c".into(), script],
            env: vec!["PATH=/bin".into()],
            cwd: "/".into(),
            user: String::new(),
            mounts: Vec::new(),
            network: StepNetwork::None,
            hostname: "box".into(),
            hosts: Vec::new(),
            timeout: Some(Duration::from_secs(60)),
            shm_bytes: 64 << 20,
        }
    }

    fn run(&self, step: &Step) -> (Exit, String, runtime::Changes) {
        let mut output = Vec::new();
        let ran = self.sandbox().run(step, &mut |bytes| output.extend_from_slice(bytes), &Cancel::new()).unwrap();
        (ran.exit, String::from_utf8_lossy(&output).into_owned(), ran.changes)
    }

    /// Runs a script that must succeed and returns what it printed.
    fn sh(&self, script: &str) -> String {
        let (exit, output, _) = self.run(&self.step(script));
        assert_eq!(exit, Exit::Code(0), "{script}: {output}");
        output
    }
}

/// Returns the entries of a layer as `type path` lines.
fn listing(changes: &runtime::Changes) -> Vec<String> {
    let mut layer = Vec::new();
    changes.write_tar(&mut layer).unwrap();
    let mut reader = Reader::new(layer.as_slice());
    let mut lines = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let kind = match entry.kind {
            EntryKind::File { .. } => "file",
            EntryKind::Directory => "dir",
            EntryKind::Symlink { .. } => "link",
            EntryKind::HardLink { .. } => "hard",
            _ => "other",
        };
        lines.push(format!("{kind} {}", String::from_utf8_lossy(&entry.path)));
    }
    lines
}

fn changes_are_a_layer() {
    let place = place();
    let (exit, output, changes) = place.run(&place.step(
        "echo hello; echo x > /dir/new; busybox ln /dir/new /dir/hard; busybox touch /tmp; busybox mkdir /etc/d",
    ));
    assert_eq!((exit, output.as_str()), (Exit::Code(0), "hello\n"));
    // E37, E39: no stubs of mounts, no directory that was only touched, parents before what is in them.
    assert_eq!(listing(&changes), ["dir dir", "file dir/hard", "hard dir/new", "dir etc", "dir etc/d"]);
}

fn second_step_sees_the_first() {
    let place = place();
    let (_, _, changes) = place.run(&place.step("echo one > /f"));
    let mut second = place.step("busybox cat /f; echo two > /f");
    second.layers.push(changes.snapshot());
    let (exit, output, later) = place.run(&second);
    assert_eq!((exit, output.as_str()), (Exit::Code(0), "one\n"));
    assert_eq!(listing(&changes), ["file f"]);
    assert_eq!(listing(&later), ["file f"]);
    let id = SnapshotId::new(&"0e".repeat(32)).unwrap();
    place.sandbox().adopt(&changes, &id).unwrap();
    drop(changes);
    second.layers[1] = id;
    assert_eq!(place.run(&second).1, "one\n");
}

fn whiteouts() {
    let place = place();
    let (_, _, changes) = place.run(&place.step("busybox rm /dir/a; busybox rm -r /tmp; busybox chmod 644 /dir/b"));
    assert_eq!(listing(&changes), ["dir dir", "file dir/.wh.a", "file .wh.tmp"], "a change to the same mode is none");
    let (_, _, changes) =
        place.run(&place.step("busybox rm -r /dir; busybox mkdir /dir; echo n > /dir/n; echo b > /dir/b"));
    assert_eq!(listing(&changes), ["dir dir", "file dir/.wh.a", "file dir/b", "file dir/n"]);
    let (_, _, changes) = place.run(&place.step("busybox rm -r /dir; echo file > /dir"));
    assert_eq!(listing(&changes), ["file dir"]);
}

fn exits() {
    let place = place();
    assert_eq!(place.run(&place.step("exit 7")).0, Exit::Code(7));
    assert_eq!(place.run(&place.step("busybox sh -c 'kill -9 $$'; exit $?")).0, Exit::Code(137));
    let mut step = place.step("");
    step.argv = vec!["nosuch".into()];
    let error = place.sandbox().run(&step, &mut |_| {}, &Cancel::new()).err().unwrap();
    assert!(error.is_users_fault() && error.to_string().contains("executable file not found in $PATH"), "{error}");
    step.argv = vec!["busybox".into(), "true".into()];
    assert_eq!(place.run(&step).0, Exit::Code(0), "found in PATH");
    step.user = "nosuch".into();
    let error = place.sandbox().run(&step, &mut |_| {}, &Cancel::new()).err().unwrap();
    assert!(error.is_users_fault() && error.to_string().contains("unable to find user nosuch"), "{error}");
}

fn time_and_cancellation() {
    let place = place();
    let mut step = place.step("busybox sleep 60");
    step.timeout = Some(Duration::from_millis(300));
    let began = Instant::now();
    assert_eq!(place.run(&step).0, Exit::TimedOut);
    let cancel = Cancel::new();
    let from_outside = cancel.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        from_outside.cancel();
    });
    let ran = place.sandbox().run(&place.step("busybox sleep 60"), &mut |_| {}, &cancel).unwrap();
    assert_eq!(ran.exit, Exit::Cancelled);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(place.sh("echo still here"), "still here\n");
}

fn confinement() {
    let place = place();
    // RT-01 to RT-12, RT-41 to RT-54: what a hostile step tries first.
    for script in [
        "busybox mount -t tmpfs x /tmp",
        "busybox unshare -U true",
        "busybox unshare -m true",
        "busybox chroot / busybox mknod /tmp/d b 8 0",
        "echo x > /proc/sys/kernel/core_pattern",
        "echo b > /proc/sysrq-trigger",
        "echo x > /sys/kernel/mm/ksm/run",
        "busybox cat /proc/kcore | busybox head -c 1 | busybox grep .",
        "busybox cat /proc/keys | busybox grep .",
        "echo x > /etc/hosts",
        "echo x > /etc/resolv.conf",
        "busybox umount /proc",
        "busybox hostname other",
        "busybox ls /proc/1/root/work",
    ] {
        let (exit, output, _) = place.run(&place.step(script));
        assert_ne!(exit, Exit::Code(0), "{script} must fail: {output}");
    }
    let outside = place.sh("busybox cat /proc/self/uid_map");
    let base = outside.split_whitespace().nth(1).unwrap();
    assert_ne!(base, "0", "uid 0 inside is an unprivileged id outside");
    assert_eq!(
        place
            .sh("busybox grep -E 'CapBnd|CapInh|CapAmb|Seccomp:' /proc/self/status")
            .split_whitespace()
            .collect::<Vec<_>>(),
        ["CapInh:", "0000000000000000", "CapBnd:", "00000000800405fb", "CapAmb:", "0000000000000000", "Seccomp:", "2"]
    );
    assert_eq!(
        place.sh("busybox ls /proc/self/fd | busybox wc -l"),
        "4\n",
        "no descriptor but the streams and ls's own"
    );
    assert_eq!(place.sh("busybox ps -o pid | busybox grep -c ."), "4\n", "a process namespace of its own");
    assert_eq!(place.sh("busybox hostname"), "box\n");
}

fn users() {
    let place = place();
    let mut step = place.step("busybox id -u; busybox id -G; echo $HOME; busybox touch /tmp/f; busybox mkdir /no");
    step.user = "app".into();
    step.cwd = "/work/dir".into();
    let (exit, output, changes) = place.run(&step);
    assert_ne!(exit, Exit::Code(0), "nobody but root may write to /");
    assert!(output.starts_with("100\n200 33\n/home/app\n"), "{output}");
    assert_eq!(listing(&changes), ["dir tmp", "file tmp/f", "dir work", "dir work/dir"]);
}

fn mounts() {
    let place = place();
    let mut step = place.step(
        "busybox cat /run/secrets/key /deep/er/b; echo x > /t/x; busybox stat -c %a /run/secrets/key; echo y > /w/y",
    );
    let mount = |target: &str, kind| Mount { target: target.into(), kind };
    let bind = |writable| MountKind::Bind { layers: vec![place.base.clone()], source: b"dir".to_vec(), writable };
    step.mounts = vec![
        mount("/run/secrets/key", MountKind::Secret { content: b"hush\n".to_vec(), mode: 0o400, uid: 0, gid: 0 }),
        mount("/deep/er", bind(false)),
        mount("/w", bind(true)),
        mount("/t", MountKind::Tmpfs { size: Some(1 << 20) }),
    ];
    let (exit, output, changes) = place.run(&step);
    assert_eq!((exit, output.as_str()), (Exit::Code(0), "hush\nb400\n"));
    assert!(listing(&changes).is_empty(), "{:?}", listing(&changes));
    step.argv[2] = "echo x > /deep/er/b".into();
    assert_ne!(place.run(&step).0, Exit::Code(0), "a bind mount is read-only unless it says otherwise");
    assert_eq!(place.sh("busybox cat /dir/b"), "b");
}

fn caches() {
    let place = place();
    let cache = MountKind::Cache {
        id: "ab".repeat(16),
        sharing: Sharing::Locked,
        mode: 0o750,
        uid: 100,
        gid: 200,
        writable: true,
        seed: Some((vec![place.base.clone()], b"dir".to_vec())),
    };
    let mut step =
        place.step("busybox stat -c '%a %u %g' /c; busybox cat /c/a; echo >> /c/count; busybox wc -l < /c/count");
    step.mounts = vec![Mount { target: "/c".into(), kind: cache }];
    assert_eq!(place.run(&step).1, "750 100 200\na1\n");
    assert_eq!(place.run(&step).1, "750 100 200\na2\n");
}

fn read_files() {
    let place = place();
    let wanted = |path: &str| FileInSnapshot { snapshot: place.base.clone(), path: path.as_bytes().to_vec(), size: 1 };
    let mut content = String::new();
    let files: Vec<_> = (0..3000).map(|number| wanted(if number % 2 == 0 { "dir/a" } else { "dir/b" })).collect();
    place.sandbox().read_files(&files).unwrap().read_to_string(&mut content).unwrap();
    assert_eq!(content, "ab".repeat(1500));
    for path in ["bin/sh", "../../etc/passwd", "dir", "none"] {
        let read = place.sandbox().read_files(&[wanted(path)]).unwrap().read_to_end(&mut Vec::new());
        assert!(read.is_err(), "{path}: links are not followed, other things not read");
    }
}

fn hostile_layers() {
    // REG-01 to REG-03, REG-16: a link out of the layer, then a file through it.
    let place = place();
    let outside = place._directory.path().join("outside");
    let link = EntryKind::Symlink { target: outside.to_str().unwrap().as_bytes().to_vec() };
    let up = EntryKind::Symlink { target: b"../../../../../../../../tmp".to_vec() };
    let (evil, content) = file("up/slipway-escaped", "x");
    let layer = tar(&[
        (entry("link", link, 0o777), b""),
        (entry("up", up, 0o777), b""),
        (entry("tmp", EntryKind::Directory, 0o755), b""),
        (evil, &content),
    ]);
    let id = SnapshotId::new(&"0c".repeat(32)).unwrap();
    place.sandbox().unpack(&id, &mut layer.as_slice()).unwrap();
    assert!(!std::path::Path::new("/tmp/slipway-escaped").exists());
    assert!(
        place.settings.state.join("s").join("0c".repeat(12)).join("tmp/slipway-escaped").exists(),
        "the link led within the layer"
    );
    let truncated = &layer[..700];
    let other = SnapshotId::new(&"0d".repeat(32)).unwrap();
    assert!(place.sandbox().unpack(&other, &mut &truncated[..]).is_err());
    assert!(!place.sandbox().has_snapshot(&other), "a layer appears whole or not at all");
}

fn nothing_left() {
    let mut place = place();
    let (_, _, changes) = place.run(&place.step("echo x > /f; (busybox sleep 1000 &) ; exit 0"));
    drop(changes);
    place.sandbox = None;
    let left: Vec<_> = std::fs::read_dir(place.settings.state.join("w"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(place.settings.state.to_str().unwrap()));
}

fn no_network() {
    let place = place();
    assert_eq!(place.sh("busybox ip -o link | busybox wc -l"), "1\n");
    assert_eq!(
        place.sh("busybox ping -c 1 127.0.0.1 >/dev/null 2>&1; busybox ip addr show lo | busybox grep -c 127.0.0.1"),
        "1\n"
    );
}

fn network() {
    // RT-31 to RT-36: loopback, link-local and the machine's own addresses are out of reach.
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    if !routes.lines().skip(1).any(|line| line.split_whitespace().nth(1) == Some("00000000")) {
        println!("this machine has no network: nothing to reach");
        return;
    }
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let own = std::net::UdpSocket::bind("0.0.0.0:0")
        .and_then(|socket| socket.connect("192.0.2.77:9").and(socket.local_addr()))
        .unwrap()
        .ip();
    let reached = std::thread::spawn(move || {
        listener.set_nonblocking(true).unwrap();
        std::thread::sleep(Duration::from_secs(3));
        listener.accept().is_ok()
    });
    let place = place();
    let mut step = place.step(&format!(
        "for a in 127.0.0.1 {own} 169.254.169.254 192.0.0.8; do busybox timeout 1 busybox nc -w 1 $a {port} </dev/null && echo reached $a; done; busybox ip route; busybox cat /etc/resolv.conf"
    ));
    step.network = StepNetwork::Default;
    let (_, output, _) = place.run(&step);
    assert!(!output.contains("reached"), "{output}");
    assert!(output.contains("default via"), "{output}");
    assert!(output.contains("unreachable 169.254.0.0/16"), "{output}");
    assert!(output.contains("nameserver"), "{output}");
    assert!(!reached.join().unwrap(), "a step reached this machine");
}
