//! Which system calls of a step answer what: those of current programs, those of 32-bit ones.

use crate::Test;
use crate::confinement::{compiled, probe};
use crate::place::{Place, entry, place, place_with, snapshot, tar};
use files::tar::EntryKind;
use nix::libc;
use runtime::{Calls, Exit, SnapshotId, Step};
use std::sync::OnceLock;

pub(crate) const TESTS: &[Test] = &[
    ("unknown_calls_answer_enosys", unknown_calls),
    ("what_docker_allows_without_a_condition_is_allowed", allowed_calls),
    ("a_32_bit_program_needs_a_permission", needs_permission),
    ("a_32_bit_program_runs_where_it_may", runs_where_it_may),
    ("calls_of_32_bit_programs_are_refused_as_others_are", refused_32_bit_calls),
    ("socketcall_makes_only_harmless_sockets", socketcall),
    ("the_filter_of_64_bit_calls_stays_where_32_bit_ones_are_allowed", both),
];

/// Returns a layer with the 32-bit probe as `/bin/probe32`.
fn probe_32_bit(place: &Place) -> SnapshotId {
    static PROBE: OnceLock<Vec<u8>> = OnceLock::new();
    let flags = ["-m32", "-nostdlib", "-static", "-O1", "-fno-pic", "-no-pie", "-fno-stack-protector", "-fno-builtin"];
    let program = PROBE.get_or_init(|| compiled(include_str!("probe32.c"), &flags));
    let id = snapshot(0x39);
    if !place.sandbox().has_snapshot(&id) {
        let file = entry("bin/probe32", EntryKind::File { size: program.len() as u64 }, 0o755);
        let layer = tar(&[(entry("bin", EntryKind::Directory, 0o755), b""), (file, program)]);
        place.sandbox().unpack(&id, &mut layer.as_slice()).unwrap();
    }
    id
}

fn step(place: &Place, script: &str, calls: Calls) -> Step {
    let layers = vec![place.base.clone(), probe().unpacked(place), probe_32_bit(place)];
    Step { layers, calls, ..place.step(script) }
}

/// Makes each call by `program` and returns the answers.
fn answers(place: &Place, program: &str, calls: &[(&str, String)], allowed: Calls) -> Vec<String> {
    let script: String = calls.iter().map(|(_, words)| format!("{program} {words};")).collect();
    let output = place.succeeds(&step(place, &script, allowed));
    let answers: Vec<_> = output.lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), calls.len(), "{output}");
    answers
}

fn unknown_calls() {
    // EN-91
    let place = place();
    let numbers = [350, 400, 423, 468, 469, 470, 471, 500, 512, 547, 600, 1000, 1023, 1024, 100_000, 0x7fff_ffff, -1];
    let calls: Vec<_> = numbers.iter().map(|number| ("", number.to_string())).collect();
    for (number, answer) in numbers.iter().zip(answers(&place, "probe", &calls, Calls::Native)) {
        assert_eq!(answer, "ENOSYS", "{number}");
    }
    // A whole list that is known and refused says so: no program takes that for an old kernel.
    for known in [174, 180, 237, 238, 239, 250, 425, 440, 450, 459, 460, 461, 467] {
        let calls = [("", known.to_string())];
        assert_eq!(answers(&place, "probe", &calls, Calls::Native), ["EPERM"], "{known}");
    }
}

fn allowed_calls() {
    // EN-91: the kernel itself answers, with whatever it has against the arguments.
    let place = place();
    let new = [
        ("io_pgetevents", "333 0"),
        ("uretprobe", "335"),
        ("cachestat", "451 -1"),
        ("fchmodat2", "452 -1"),
        ("map_shadow_stack", "453"),
        ("futex_wake", "454"),
        ("futex_wait", "455"),
        ("futex_requeue", "456"),
        ("statmount", "457"),
        ("listmount", "458"),
        ("mseal", "462 1"),
        ("setxattrat", "463 -1 0 0x7fff"),
        ("getxattrat", "464 -1 0 0x7fff"),
        ("listxattrat", "465 -1 0 0x7fff"),
        ("removexattrat", "466 -1 0 0x7fff"),
    ];
    // `uretprobe` ends programs that call it from elsewhere than its trampoline; the kernel asks no filter about it.
    let calls: Vec<_> = new.iter().filter(|(name, _)| *name != "uretprobe").collect();
    let words: Vec<_> = calls.iter().map(|(name, words)| (*name, (*words).to_owned())).collect();
    // A call that this kernel lacks looks like a refused one: it is tried outside, too.
    for ((name, words), answer) in calls.iter().zip(answers(&place, "probe", &words, Calls::Native)) {
        let expected = outside(words);
        assert_eq!(answer, expected, "{name}");
        assert_ne!(answer, "EPERM", "{name}");
    }
    // As `rsync -A` and `cp -a` of current distributions ask first.
    assert_eq!(place.sh("cp -a /dir /copy; cat /copy/a"), "a");
}

/// Makes the same call outside the sandbox, by the same program.
fn outside(words: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("probe");
    std::fs::write(&program, probe().bytes()).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let output = std::process::Command::new(program).args(words.split(' ')).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn needs_permission() {
    // EN-90, RT-04
    let place = place();
    assert_eq!(
        place.run(&Step { argv: vec!["/bin/probe32".into()], ..step(&place, "", Calls::Native) }).0,
        Exit::Signal(31)
    );
    assert_eq!(place.run(&step(&place, "probe32; exit $?", Calls::Native)).0, Exit::Code(159));
    assert_eq!(place.succeeds(&step(&place, "probe int80; probe x32", Calls::Native)), "killed by 31\nkilled by 31\n");
}

fn runs_where_it_may() {
    // EN-90
    let place = place();
    let ran = |step: &Step| place.try_run(step).map(|(exit, output, _)| (exit, output)).unwrap();
    let alive = (Exit::Code(0), "alive\n".to_owned());
    let own = Step { argv: vec!["/bin/probe32".into()], ..step(&place, "", Calls::With32Bit) };
    assert_eq!(ran(&own), alive);
    assert_eq!(ran(&Step { user: "app".into(), ..own.clone() }), alive);
    assert_eq!(ran(&Step { calls: Calls::Native, ..own }).0, Exit::Signal(31));
    let open = place_with(|settings| settings.calls = Calls::With32Bit);
    assert_eq!(open.succeeds(&step(&open, "probe32; probe32 20 | grep -c result", Calls::Native)), "alive\n1\n");
    // Programs of x32 stay what they were.
    assert_eq!(place.succeeds(&step(&place, "probe x32", Calls::With32Bit)), "killed by 31\n");
}

fn refused_32_bit_calls() {
    // EN-90: the same probes as for 64-bit calls, by the numbers of 32-bit ones.
    let place = place();
    let (user, net) = (libc::CLONE_NEWUSER, libc::CLONE_NEWNET);
    let refused = [
        ("unshare", format!("310 {user}")),
        ("clone user", format!("120 {}", user | libc::SIGCHLD)),
        ("clone net", format!("120 {}", net | libc::SIGCHLD)),
        ("setns", "346 0 0".to_owned()),
        ("io_uring", "425 1 0".to_owned()),
        ("bpf", "357 0 0 0".to_owned()),
        ("userfaultfd", "374 1".to_owned()),
        ("perf", "336 0 0 -1 -1 0".to_owned()),
        ("keyctl", "288 0 -3".to_owned()),
        ("add_key", "286 0 0 0 0 -3".to_owned()),
        ("request_key", "287 0 0 0 -3".to_owned()),
        ("vsock", "359 40 1 0".to_owned()),
        ("alg", "359 38 5 0".to_owned()),
        ("packet", "359 17 3 0x300".to_owned()),
        ("raw icmp", "359 2 3 1".to_owned()),
        ("vsock pair", "360 40 1 0 0".to_owned()),
        ("mount", "21 0 0 0 0 0".to_owned()),
        ("umount", "22 0".to_owned()),
        ("umount2", "52 0 0".to_owned()),
        ("fsopen", "430 0 0".to_owned()),
        ("open_tree", "428 -100 0 1".to_owned()),
        ("move_mount", "429 -100 0 -100 0 0".to_owned()),
        ("mount_setattr", "442 -100 0 0 0 0".to_owned()),
        ("pivot_root", "217 0 0".to_owned()),
        ("personality", "136 0x400000".to_owned()),
        ("kexec", "283 0 0 0 0".to_owned()),
        ("init_module", "128 0 0 0".to_owned()),
        ("finit_module", "350 0 0 0".to_owned()),
        ("stime", "25 0".to_owned()),
        ("settimeofday", "79 0 0".to_owned()),
        ("clock_settime", "264 0 0".to_owned()),
        ("clock_settime64", "404 0 0".to_owned()),
        ("syslog", "103 3 0 0".to_owned()),
        ("acct", "51 0".to_owned()),
        ("swapon", "87 0 0".to_owned()),
        ("quotactl", "131 0 0 0 0".to_owned()),
        ("reboot", "88 0 0 0 0".to_owned()),
        ("open_by_handle_at", "342 -100 0 0".to_owned()),
        ("iopl", "110 3".to_owned()),
        ("ioperm", "101 0 1 1".to_owned()),
        ("vm86", "166 0 0".to_owned()),
        ("vhangup", "111".to_owned()),
        ("sethostname", "74 0 0".to_owned()),
    ];
    for ((name, _), answer) in refused.iter().zip(answers(&place, "probe32", &refused, Calls::With32Bit)) {
        assert_eq!(answer, "EPERM", "{name}");
    }
    let unknown: Vec<_> = [387, 392, 435, 468, 470, 500, 1000].map(|number| ("", number.to_string())).into();
    for ((_, number), answer) in unknown.iter().zip(answers(&place, "probe32", &unknown, Calls::With32Bit)) {
        assert_eq!(answer, "ENOSYS", "{number}");
    }
}

fn socketcall() {
    // EN-90: what hides behind a multiplexer is decided by who answers.
    let place = place();
    let refused = [
        ("vsock", "socketcall 1 40 1 0"),
        ("alg", "socketcall 1 38 5 0"),
        ("packet", "socketcall 1 17 3 0x300"),
        ("raw icmp", "socketcall 1 2 3 1"),
        ("raw version 6", "socketcall 1 10 3 58"),
        ("vsock pair", "socketcall 8 40 1 0 0"),
        ("alg pair", "socketcall 8 38 5 0 0"),
    ]
    .map(|(name, words)| (name, words.to_owned()));
    for ((name, _), answer) in refused.iter().zip(answers(&place, "probe32", &refused, Calls::With32Bit)) {
        assert_eq!(answer, "EPERM", "{name}");
    }
    let script = "for kind in '1 1' '1 2' '2 1' '2 2' '10 1' '16 3' '2 0x80801'; do probe32 socketcall 1 $kind 0; done | sort -u;
        probe32 talk; probe32 socketcall 1 3 1 0; probe32 socketcall 1 2 7 0; probe32 socketcall 2 99 0 0; probe32 socketcall 77";
    let expected = format!(
        "result 3\nheard\nerrno {}\nerrno {}\nerrno {}\nerrno {}\n",
        libc::EAFNOSUPPORT,
        libc::ESOCKTNOSUPPORT,
        libc::EBADF,
        libc::EINVAL
    );
    for user in ["", "app"] {
        assert_eq!(place.succeeds(&Step { user: user.into(), ..step(&place, script, Calls::With32Bit) }), expected);
    }
    let processes = "probe32 socketcall 1 1 1 0 > /dev/null 2>&1; set -- /proc/[0-9]*; echo $#";
    let seen = |calls| place.succeeds(&step(&place, processes, calls));
    assert_eq!(seen(Calls::With32Bit), seen(Calls::Native), "nobody sees who answers");
}

fn both() {
    // EN-90
    let place = place();
    let script = format!(
        "probe {} {}; probe {} 40 1 0; probe {} 0 0; probe 470; probe int80",
        libc::SYS_unshare,
        libc::CLONE_NEWUSER,
        libc::SYS_socket,
        libc::SYS_clone3
    );
    let output = place.succeeds(&step(&place, &script, Calls::With32Bit));
    assert_eq!(output, "EPERM\nEPERM\nENOSYS\nENOSYS\nsocket -1\nalive\ncode 0\n");
}
