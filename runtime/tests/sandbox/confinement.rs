//! Confinement: the first things that a hostile step tries, and must not get.

use crate::Test;
use crate::place::{Place, entry, place, snapshot, tar};
use files::tar::EntryKind;
use nix::libc;
use runtime::{Exit, SnapshotId, Step};
use std::process::Command;
use std::sync::OnceLock;

pub(crate) const TESTS: &[Test] = &[
    ("system_calls_that_no_build_needs_are_refused", system_calls),
    ("capabilities_are_the_eleven", capabilities),
    ("nothing_is_mounted_made_or_written_that_must_not_be", refused_commands),
    ("what_the_kernel_tells_is_masked", masked),
    ("nothing_of_this_machine_is_seen", leaks),
    ("ids_are_nobodys_outside", ids),
    ("resources_of_single_processes_are_limited", resources),
    ("ordinary_files_and_ids_work", positive_controls),
];

/// A program that makes any system call.
pub(crate) struct Probe(Vec<u8>);

/// Compiles the probe, once.
pub(crate) fn probe() -> &'static Probe {
    static PROBE: OnceLock<Probe> = OnceLock::new();
    PROBE.get_or_init(|| Probe(compiled(include_str!("probe.c"), &["-static", "-O1"])))
}

/// Returns the program that `source` is compiled to.
pub(crate) fn compiled(source: &str, flags: &[&str]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let (text, program) = (directory.path().join("probe.c"), directory.path().join("probe"));
    std::fs::write(&text, source).unwrap();
    let output = Command::new("gcc").args(flags).arg("-o").arg(&program).arg(text).output().expect("gcc is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(program).unwrap()
}

impl Probe {
    /// Returns the program.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns a layer that has it as `/bin/probe`.
    pub(crate) fn unpacked(&self, place: &Place) -> SnapshotId {
        let id = snapshot(0x9);
        if !place.sandbox().has_snapshot(&id) {
            let program = entry("bin/probe", EntryKind::File { size: self.0.len() as u64 }, 0o755);
            place
                .sandbox()
                .unpack(
                    &id,
                    &mut tar(&[(entry("bin", EntryKind::Directory, 0o755), b""), (program, &self.0)]).as_slice(),
                )
                .unwrap();
        }
        id
    }
}

fn probing(place: &Place, script: &str) -> String {
    let step = Step { layers: vec![place.base.clone(), probe().unpacked(place)], ..place.step(script) };
    place.succeeds(&step)
}

fn system_calls() {
    // RT-01, RT-02, RT-03, RT-05, RT-08
    let place = place();
    let calls = [
        ("unshare user", libc::SYS_unshare, vec![libc::CLONE_NEWUSER as i64]),
        ("unshare mounts", libc::SYS_unshare, vec![libc::CLONE_NEWNS as i64]),
        ("clone user", libc::SYS_clone, vec![(libc::CLONE_NEWUSER | libc::SIGCHLD) as i64]),
        ("clone net", libc::SYS_clone, vec![(libc::CLONE_NEWNET | libc::SIGCHLD) as i64]),
        ("setns", libc::SYS_setns, vec![0, 0]),
        ("io_uring", libc::SYS_io_uring_setup, vec![1, 0]),
        ("bpf", libc::SYS_bpf, vec![0, 0, 0]),
        ("userfaultfd", libc::SYS_userfaultfd, vec![1]),
        ("perf", libc::SYS_perf_event_open, vec![0, 0, -1, -1, 0]),
        ("keyctl", libc::SYS_keyctl, vec![0, -3]),
        ("add_key", libc::SYS_add_key, vec![0, 0, 0, 0, -3]),
        ("request_key", libc::SYS_request_key, vec![0, 0, 0, -3]),
        ("vsock", libc::SYS_socket, vec![40, libc::SOCK_STREAM as i64, 0]),
        ("alg", libc::SYS_socket, vec![38, libc::SOCK_SEQPACKET as i64, 0]),
        ("packet", libc::SYS_socket, vec![17, libc::SOCK_RAW as i64, 0x300]),
        ("raw icmp", libc::SYS_socket, vec![2, libc::SOCK_RAW as i64, 1]),
        ("mount", libc::SYS_mount, vec![0, 0, 0, 0, 0]),
        ("umount", libc::SYS_umount2, vec![0, 0]),
        ("fsopen", libc::SYS_fsopen, vec![0, 0]),
        ("open_tree", libc::SYS_open_tree, vec![-100, 0, 1]),
        ("move_mount", libc::SYS_move_mount, vec![-100, 0, -100, 0, 0]),
        ("mount_setattr", libc::SYS_mount_setattr, vec![-100, 0, 0, 0, 0]),
        ("pivot_root", libc::SYS_pivot_root, vec![0, 0]),
        ("personality", libc::SYS_personality, vec![0x40_0000]),
        ("kexec", libc::SYS_kexec_load, vec![0, 0, 0, 0]),
        ("init_module", libc::SYS_init_module, vec![0, 0, 0]),
        ("finit_module", libc::SYS_finit_module, vec![0, 0, 0]),
        ("settimeofday", libc::SYS_settimeofday, vec![0, 0]),
        ("clock_settime", libc::SYS_clock_settime, vec![0, 0]),
        ("syslog", libc::SYS_syslog, vec![3, 0, 0]),
        ("acct", libc::SYS_acct, vec![0]),
        ("swapon", libc::SYS_swapon, vec![0, 0]),
        ("quotactl", libc::SYS_quotactl, vec![0, 0, 0, 0]),
        ("reboot", libc::SYS_reboot, vec![0, 0, 0, 0]),
        ("open_by_handle_at", libc::SYS_open_by_handle_at, vec![-100, 0, 0]),
        ("lookup_dcookie", libc::SYS_lookup_dcookie, vec![0, 0, 0]),
        ("nfsservctl", libc::SYS_nfsservctl, vec![0, 0, 0]),
        ("iopl", libc::SYS_iopl, vec![3]),
        ("vhangup", libc::SYS_vhangup, vec![]),
    ];
    let words = |number: &i64, arguments: &Vec<i64>| {
        std::iter::once(number).chain(arguments).map(i64::to_string).collect::<Vec<_>>().join(" ")
    };
    let script: String =
        calls.iter().map(|(_, number, arguments)| format!("probe {};", words(number, arguments))).collect();
    let output = probing(&place, &script);
    let answers: Vec<_> = output.lines().collect();
    assert_eq!(answers.len(), calls.len(), "{output}");
    for ((name, ..), answer) in calls.iter().zip(answers) {
        assert_eq!(answer, "EPERM", "{name}");
    }
    assert_eq!(probing(&place, &format!("probe {} 0 0", libc::SYS_clone3)), "ENOSYS\n");
}

fn capabilities() {
    // RT-12, DF-113 with the eleven of the design
    let place = place();
    let wanted = "CapInh:\t0000000000000000\nCapPrm:\t00000000800405fb\nCapEff:\t00000000800405fb\nCapBnd:\t00000000800405fb\nCapAmb:\t0000000000000000\nNoNewPrivs:\t0\nSeccomp:\t2\n";
    assert_eq!(place.sh("grep -E '^(Cap...|NoNewPrivs|Seccomp):' /proc/self/status"), wanted);
    let step = Step {
        user: "app".into(),
        ..place.step("grep -E '^Cap(Inh|Prm|Eff|Amb):' /proc/self/status | cut -f 2 | sort -u")
    };
    assert_eq!(place.succeeds(&step), "0000000000000000\n");
}

fn refused_commands() {
    // RT-06, RT-42, RT-49, RT-50
    let place = place();
    for script in [
        "mount -t tmpfs x /tmp",
        "mount --bind / /tmp",
        "umount /proc",
        "unshare -U true",
        "mknod /tmp/d b 8 0",
        "mknod /tmp/d c 1 1",
        "chroot / mknod /tmp/d b 8 0",
        "echo x > /proc/sys/kernel/core_pattern",
        "echo x > /proc/sys/kernel/hostname",
        "echo b > /proc/sysrq-trigger",
        "echo x > /sys/kernel/mm/ksm/run",
        "echo x > /sys/fs/cgroup/release_agent",
        "mkdir /sys/fs/cgroup/mine",
        "echo $$ > /sys/fs/cgroup/cgroup.procs",
        "for f in $(find /sys/fs/cgroup -name notify_on_release); do echo 1 > $f && exit 0; done; exit 1",
        "echo x > /proc/self/attr/exec",
        "echo -1000 > /proc/self/oom_score_adj",
        "echo 0 0 1 > /proc/self/uid_map",
        "hostname other",
        "date -s 2020-01-01 2>&1 | grep -q permitted && exit 1",
        "ls /proc/1/root/state",
        "ls /state",
        "dmesg",
        "cat /dev/kmsg",
        "cat /dev/mem",
        "ls /dev/sda /dev/vda /dev/fuse /dev/kvm /dev/net/tun 2>/dev/null | grep .",
        "nice -n -5 true 2>&1 | grep -q permitted && exit 1",
    ] {
        let (exit, output, _) = place.run(&place.step(script));
        assert_ne!(exit, Exit::Code(0), "{script} must fail: {output}");
    }
}

fn masked() {
    // RT-43, DF-114
    let place = place();
    for path in [
        "/proc/kcore",
        "/proc/keys",
        "/proc/timer_list",
        "/proc/config.gz",
        "/proc/sched_debug",
        "/proc/latency_stats",
        "/proc/interrupts",
        "/proc/kallsyms",
        "/sys/firmware/*",
        "/sys/devices/virtual/powercap/*",
        "/sys/kernel/debug/*",
        "/sys/kernel/tracing/*",
        "/proc/acpi/*",
        "/proc/scsi/*",
    ] {
        assert_eq!(place.sh(&format!("cat {path} 2>/dev/null | head -c 1 | wc -c")), "0\n", "{path}");
    }
    assert_eq!(place.sh("for m in bus fs irq sys sysrq-trigger; do [ -e /proc/$m ] && grep -c \" /proc/$m proc ro\" /proc/mounts; done | sort -u"), "1\n");
    assert_eq!(place.sh("ls /dev; stat -c '%F %a' /dev/null"), "core\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\ncharacter special file 666\n".replace("core\n", ""));
}

fn leaks() {
    // RT-38, RT-41, RT-53
    let place = place();
    let listening = std::os::unix::net::UnixListener::bind_addr(
        &<std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(
            "slipway-test-canary",
        )
        .unwrap(),
    );
    let _listening = listening.unwrap();
    assert_eq!(probing(&place, "probe unix @slipway-test-canary x"), format!("errno {}\n", libc::ECONNREFUSED));
    assert_eq!(place.sh("ls /proc/self/fd | wc -l"), "4\n", "no descriptor but the streams and ls's own");
    assert_eq!(
        place.sh("echo $$; ls -d /proc/[0-9]* | wc -l").lines().next(),
        Some("1"),
        "a process namespace of its own"
    );
    assert_eq!(place.sh("env -u PATH -u HOME env | grep -v -E '^(_|PWD|SHLVL|OLDPWD)=' | wc -l"), "0\n");
    let told = place.sh(
        "cat /proc/self/mountinfo /proc/self/cgroup /proc/self/environ /proc/1/environ /proc/1/cmdline /proc/mounts",
    );
    let own = place.directory.path().to_str().unwrap().to_owned();
    let home = format!("{}/", std::env::home_dir().unwrap().display());
    for secret in [own.as_str(), env!("CARGO_MANIFEST_DIR"), home.as_str(), "target/debug", "process_api", "slipway-"] {
        assert!(!told.contains(secret), "`{secret}` is told: {told}");
    }
    assert_eq!(place.sh("cat /proc/self/cgroup | cut -d : -f 3 | sort -u"), "/\n");
    assert_eq!(place.sh("ls /run /var /home /root 2>/dev/null | wc -l"), "0\n", "nothing of this machine's is there");
    assert_eq!(place.sh("cat /proc/keys 2>/dev/null | wc -l"), "0\n");
}

fn ids() {
    // RT-51
    let place = place();
    let map = place.sh("cat /proc/self/uid_map /proc/self/gid_map");
    for line in map.lines() {
        let fields: Vec<u64> = line.split_whitespace().map(|field| field.parse().unwrap()).collect();
        assert!(fields[1] > 1_000_000 && fields[2] > 1000, "{line}: ids far from those of people and services");
    }
    assert!(map.trim_start().starts_with("0 "), "{map}");
    let (_, _, changes) = place.run(&place.step("echo > /f; chown 7:8 /f; echo > /r"));
    let known = |name: &str| std::fs::symlink_metadata(place.outside(&changes.snapshot()).join(name)).unwrap();
    use std::os::unix::fs::MetadataExt;
    let base: u32 = map.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert_eq!((known("f").uid(), known("r").uid()), (base + 7, base));
    let around = std::fs::metadata(place.settings.state.parent().unwrap()).unwrap();
    assert_eq!(around.mode() & 0o777, 0o700, "what is set-uid in there is out of everybody's reach");
}

fn resources() {
    // RT-27
    let place = place();
    let limits = place.sh("ulimit -c; ulimit -n; ulimit -f; ulimit -Hc");
    let lines: Vec<_> = limits.lines().collect();
    assert_eq!((lines[0], lines[1], lines[3]), ("0", "1024", "0"));
    assert_eq!(lines[2], (place.settings.limits.disk_bytes / 512).to_string());
    let changes = place.changes("mkdir /d; cd /d; sh -c 'kill -SEGV $$'; ls /d | wc -l");
    assert_eq!(changes, ["dir d"], "no core");
}

fn positive_controls() {
    // RT-10, as far as busybox goes
    let place = place();
    let script = "touch /f && chown 1000:1000 /f && mkfifo /p && ln /f /g && chroot / true && cp /bin/probe /bin/suid && chmod 4755 /bin/suid";
    let layers = vec![place.base.clone(), probe().unpacked(&place)];
    let (exit, output, changes) = place.run(&Step { layers: layers.clone(), ..place.step(script) });
    assert_eq!(exit, Exit::Code(0), "{output}");
    // A set-uid program makes who runs it the image's root.
    let script = format!("probe {0}; suid {0}", libc::SYS_geteuid);
    let step = Step { layers: [layers, vec![changes.snapshot()]].concat(), user: "app".into(), ..place.step(&script) };
    assert_eq!(place.succeeds(&step), "result 100\nresult 0\n");
}
