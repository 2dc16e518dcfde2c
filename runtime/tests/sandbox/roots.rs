//! Images whose root lies about what it has: links and files where the sandbox mounts.

use crate::Test;
use crate::place::{directory, file, link, place, snapshot, tar};
use files::tar::Entry;
use runtime::{Error, Exit};

pub(crate) const TESTS: &[Test] = &[
    ("links_where_something_is_mounted_lead_nowhere", links),
    ("files_where_directories_belong_are_named", files),
    ("links_of_names_lead_within", names),
    ("an_empty_root_gets_what_is_mounted", empty),
];

/// Runs a script on the base with entries put over it.
fn over(number: u32, entries: &[(Entry, &[u8])], script: &str) -> Result<(Exit, String), Error> {
    let place = place();
    let id = snapshot(number);
    place.sandbox().unpack(&id, &mut tar(entries).as_slice()).unwrap();
    let mut step = place.step(script);
    step.layers.push(id);
    place.try_run(&step).map(|(exit, output, _)| (exit, output))
}

fn links() {
    // RT-45
    for (number, name, target) in
        [(1, "proc", "/"), (2, "sys", "/etc"), (3, "dev", "/tmp"), (4, "proc", "/proc/self/root")]
    {
        let entries = [(link(name, target), &b""[..])];
        match over(number, &entries, "ls -d /proc/self /dev/null /sys >/dev/null; ls / /etc /tmp") {
            Ok((_, output)) => {
                assert!(!output.contains("state") && !output.contains("shadow"), "{name} -> {target}: {output}")
            }
            Err(error) => {
                assert!(error.is_users_fault() && error.to_string().contains(name), "{name} -> {target}: {error}")
            }
        }
    }
    // A mount hides the files below it.
    let entries = [
        (directory("dev"), &b""[..]),
        (link("dev/null", "/etc/passwd"), b""),
        (link("dev/console", "/etc/passwd"), b""),
        (link("dev/shm", "/etc"), b""),
        (link("dev/pts", "/"), b""),
    ];
    let script =
        "echo lost > /dev/null; stat -c %F /dev/null; cat /etc/passwd | wc -l; ls -A /dev/shm | wc -l; ls /dev/console";
    let (_, output) = over(5, &entries, script).unwrap();
    assert_eq!(output, "character special file\n2\n0\nls: /dev/console: No such file or directory\n");
    let masked =
        [(directory("proc"), &b""[..]), (link("proc/kcore", "/etc/passwd"), b""), (link("proc/sys", "/etc"), b"")];
    let (_, output) = over(
        6,
        &masked,
        "cat /proc/kcore 2>/dev/null | wc -c; echo x > /proc/sys/kernel/core_pattern; wc -l < /etc/passwd",
    )
    .unwrap();
    assert!(output.starts_with("0\n") && output.ends_with("2\n"), "{output}");
}

fn files() {
    // RT-47
    for (number, name) in [(1, "proc"), (2, "sys"), (3, "dev"), (4, "etc")] {
        let entries = [(file(name, b"x"), &b"x"[..])];
        match over(number, &entries, "true") {
            Err(error) => {
                let text = error.to_string();
                assert!(error.is_users_fault() && text.contains(name), "{name}: {text}");
            }
            Ok((exit, output)) => assert!(name == "etc" && exit == Exit::Code(0), "{name}: {exit:?} {output}"),
        }
    }
}

fn names() {
    let entries = [
        (directory("etc"), &b""[..]),
        (link("etc/resolv.conf", "../run/resolv.conf"), b""),
        (link("etc/hosts", "/nowhere/hosts"), b""),
    ];
    let place = place();
    let id = snapshot(7);
    place.sandbox().unpack(&id, &mut tar(&entries).as_slice()).unwrap();
    let mut step = place.step("readlink /etc/resolv.conf; readlink /etc/hosts; echo more > /etc/other");
    step.layers.push(id);
    let (exit, output, changes) = place.run(&step);
    assert_eq!((exit, output.as_str()), (Exit::Code(0), "../run/resolv.conf\n/nowhere/hosts\n"));
    assert_eq!(crate::place::listing(&changes), ["dir etc", "file etc/other"]);
}

fn empty() {
    // DF-112
    let place = place();
    let busybox = snapshot(8);
    let program = std::fs::read("/bin/busybox").unwrap();
    let mut entry = file("busybox", &program);
    entry.mode = 0o755;
    place.sandbox().unpack(&busybox, &mut tar(&[(entry, &program)]).as_slice()).unwrap();
    let mut step = place.step("");
    step.layers = vec![busybox];
    step.argv = ["/busybox", "ls", "/"].map(str::to_owned).to_vec();
    let (exit, output, changes) = place.run(&step);
    assert_eq!((exit, output.as_str()), (Exit::Code(0), "busybox\ndev\netc\nproc\nsys\n"));
    assert_eq!(crate::place::listing(&changes), ["dir dev", "dir proc", "dir sys"], "no trace of names");
}
