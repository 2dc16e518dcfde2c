//! Layers made of the changes of a step.

use crate::Test;
use crate::place::{directory, entries, file, listing, place, snapshot, tar};
use runtime::{Exit, FileInSnapshot, MountKind, SnapshotId};
use std::io::Read;

pub(crate) const TESTS: &[Test] = &[
    ("changes_are_a_layer", changes_are_a_layer),
    ("a_second_step_sees_the_first", second_step_sees_the_first),
    ("adopted_changes_are_what_their_layer_is", adopted),
    ("a_layer_may_come_twice", twice),
    ("removed_and_replaced_directories_become_whiteouts", whiteouts),
    ("opaque_and_replaced_things_are_told_name_by_name", replaced),
    ("special_files_links_and_capabilities_are_kept", special_files),
    ("files_of_snapshots_can_be_read", read_files),
    ("many_layers_are_one_tree", many_layers),
    ("a_change_that_keeps_size_and_time_is_in_the_layer", hidden_changes),
    ("attributes_that_no_layer_holds_are_not_kept", attributes),
    ("nodes_of_devices_are_refused_and_fifos_kept", special_nodes),
];

fn changes_are_a_layer() {
    let place = place();
    let (exit, output, changes) =
        place.run(&place.step("echo hello; echo x > /dir/new; ln /dir/new /dir/hard; touch /tmp; mkdir /etc/d"));
    assert_eq!((exit, output.as_str()), (Exit::Code(0), "hello\n"));
    // E37, E39, DF-245..247: no stubs of mounts, no directory that was only touched, parents before what is in them.
    assert_eq!(listing(&changes), ["dir dir", "file dir/hard", "hard dir/new", "dir etc", "dir etc/d"]);
    // DF-255
    assert!(place.changes("true").is_empty());
}

fn second_step_sees_the_first() {
    let place = place();
    let (_, _, changes) = place.run(&place.step("echo one > /f"));
    let mut second = place.step("cat /f; echo two > /f");
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

/// The next build may use the snapshot above other layers than those that the step saw.
fn adopted() {
    let place = place();
    let other = snapshot(7);
    let entries = [(directory("dir"), &b""[..]), (file("dir/other", b"o"), b"o"), (directory("opaque"), b"")];
    let entries = [&entries[..], &[(file("opaque/other", b"o"), &b"o"[..]), (file("same", b"o"), b"o")]].concat();
    place.sandbox().unpack(&other, &mut tar(&entries).as_slice()).unwrap();
    let first =
        place.run(&place.step("mkdir -p /w /opaque; echo s > /same; touch /opaque/x /opaque/y; chmod 700 /w")).2;
    let script = "chown 0:0 /same; touch /w /tmp; rm -r /opaque; mkdir /opaque; echo z > /opaque/z;
        echo x > /gone; rm /gone; nc -lU /w/s & usleep 200000; ls / > /dev/null";
    let mut second = place.mounting(script, vec![("/dir/mounted", MountKind::Tmpfs { size: None })]);
    second.layers.push(first.snapshot());
    let changes = place.run(&second).2;
    assert_eq!(listing(&changes), ["dir opaque", "file opaque/.wh.x", "file opaque/.wh.y", "file opaque/z"]);
    let mut layer = Vec::new();
    changes.write_tar(&mut layer).unwrap();
    place.sandbox().unpack(&snapshot(8), &mut layer.as_slice()).unwrap();
    place.sandbox().adopt(&changes, &snapshot(9)).unwrap();
    drop(changes);
    let seen = |top: u32| {
        let mut step = place.step("cd /; stat -c '%n %a %u %g %F' dir dir/* w w/* opaque opaque/* same 2>&1; cat same");
        step.layers.extend([other.clone(), snapshot(top)]);
        place.run(&step).1
    };
    assert_eq!(seen(9), seen(8));
    assert!(seen(9).contains("opaque/other") && !seen(9).contains("\nw "), "{}", seen(9));
}

fn twice() {
    let place = place();
    let layer = |number: u32, entries: &[(&str, &[u8])]| {
        let entries: Vec<_> = entries.iter().map(|(path, content)| (file(path, content), *content)).collect();
        place.sandbox().unpack(&snapshot(number), &mut tar(&entries).as_slice()).unwrap();
        snapshot(number)
    };
    let one = layer(0x31, &[("f", b"one"), ("only", b"one"), (".wh.dir", b"")]);
    let other = layer(0x32, &[("f", b"other"), (".wh.only", b""), ("new", b"n")]);
    let mut step = place.step("cat /f /only /new; [ ! -e /dir ]; echo x > /x");
    step.layers.extend([one.clone(), other, one]);
    let (exit, output, changes) = place.run(&step);
    assert_eq!((exit, output.as_str(), listing(&changes)), (Exit::Code(0), "oneonen", vec!["file x".to_owned()]));
}

fn whiteouts() {
    // DF-248, DF-249, DF-250
    let place = place();
    let changes = place.changes("rm /dir/a; rm -r /tmp; chmod 644 /dir/b");
    assert_eq!(changes, ["dir dir", "file dir/.wh.a", "file .wh.tmp"], "a change to the same mode is none");
    let changes = place.changes("rm -r /dir; mkdir /dir; echo n > /dir/n; echo b > /dir/b");
    assert_eq!(changes, ["dir dir", "file dir/.wh.a", "file dir/b", "file dir/n"]);
    assert_eq!(place.changes("rm -r /dir; echo file > /dir"), ["file dir"]);
    assert_eq!(
        place.changes("echo x > /dir/c; rm /dir/c"),
        Vec::<String>::new(),
        "what was never there leaves nothing"
    );
}

fn replaced() {
    let place = place();
    assert_eq!(place.changes("mv /dir /other"), ["file .wh.dir", "dir other", "file other/a", "file other/b"]);
    assert_eq!(place.changes("rm /dir/a; mkdir /dir/a; echo > /dir/a/x"), ["dir dir", "dir dir/a", "file dir/a/x"]);
    assert_eq!(place.changes("rm -r /dir; ln -s tmp /dir"), ["link dir"]);
}

fn special_files() {
    // DF-251..254
    let place = place();
    let (_, _, changes) = place.run(&place.step(
        "mkfifo /p; nc -lU /s & for i in 1 2 3 4 5 6 7 8 9; do [ -S /s ] && break; usleep 20000; done; echo x > /f; chown 7:8 /f; chmod 4755 /f; ln -s nowhere /l; touch -d @1234567 /f",
    ));
    let found = entries(&changes);
    let names: Vec<_> = found.iter().map(|entry| String::from_utf8_lossy(&entry.path).into_owned()).collect();
    assert_eq!(names, ["f", "l", "p"], "sockets are skipped");
    assert_eq!((found[0].mode, found[0].uid, found[0].gid, found[0].mtime), (0o4755, 7, 8, 1_234_567));
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

/// More layers than fit into the options of the old mount call.
fn many_layers() {
    let place = place();
    let mut step = place.step("true");
    let mut kept = Vec::new();
    for number in 0..200 {
        step.argv[2] = format!("echo {number} >> /count");
        let (exit, output, changes) = place.run(&step);
        assert_eq!(exit, Exit::Code(0), "{output}");
        step.layers.push(changes.snapshot());
        kept.push(changes);
    }
    step.argv[2] = "wc -l < /count".into();
    assert_eq!(place.succeeds(&step), "200\n");
}

/// Size and time of a file say nothing about its content where somebody sets them back.
fn hidden_changes() {
    // The lines below the table of EN: a step that changes a file but keeps its size and modification time.
    let place = place();
    let first = place.run(&place.step("echo old > /f; echo old > /g; echo old > /whole; touch -d '2001-02-03 04:05:06' /whole; mkdir /d; echo old > /d/h; ln -s a /l; echo x > /mode; echo x > /own")).2;
    let script = "for f in f g whole d/h; do touch -r /$f /tmp/t; echo new > /$f; touch -r /tmp/t /$f; done; rm /tmp/t;
        touch -r /g /tmp/t; rm /g; echo NEW > /g; touch -r /tmp/t /g; rm /tmp/t;
        touch -hr /l /tmp/t; rm /l; ln -s b /l; touch -hr /tmp/t /l; rm /tmp/t; chmod 600 /mode; chown 7 /own; chmod u=rw /dir/a";
    let mut second = place.step(script);
    second.layers.push(first.snapshot());
    let (exit, output, changes) = place.run(&second);
    assert_eq!(exit, Exit::Code(0), "{output}");
    assert_eq!(
        listing(&changes),
        ["dir d", "file d/h", "file f", "file g", "link l", "file mode", "file own", "file whole"]
    );
    let mut layer = Vec::new();
    changes.write_tar(&mut layer).unwrap();
    place.sandbox().unpack(&snapshot(0x51), &mut layer.as_slice()).unwrap();
    place.sandbox().adopt(&changes, &snapshot(0x52)).unwrap();
    drop(changes);
    let seen = |top: u32| {
        let mut step = place.step("cat /f /g /whole /d/h; readlink /l; stat -c '%n %a %u' /mode /own /dir/a");
        step.layers.extend([first.snapshot(), snapshot(top)]);
        place.succeeds(&step)
    };
    assert_eq!(seen(0x51), "new\nNEW\nnew\nnew\nb\n/mode 600 0\n/own 644 7\n/dir/a 644 0\n");
    assert_eq!(seen(0x51), seen(0x52));
}

/// The snapshot that stands for a layer holds nothing but what the layer holds.
fn attributes() {
    let place = place();
    let probe = crate::confinement::probe().unpacked(&place);
    let script = "echo x > /f; mkdir /d; echo y > /kept; probe attribute /f user.mine && probe attribute /d user.mine && probe attribute /dir/a user.mine";
    let mut first = place.step(script);
    first.layers.push(probe.clone());
    let (exit, output, changes) = place.run(&first);
    assert_eq!((exit, output.as_str()), (Exit::Code(0), "result 0\nresult 0\nresult 0\n"));
    let listed = |id: &SnapshotId| {
        let mut step = place.step("for f in /f /d /dir/a; do probe attribute-of $f user.mine; done");
        step.layers.extend([probe.clone(), id.clone()]);
        place.succeeds(&step)
    };
    assert_eq!(listing(&changes), ["dir d", "file f", "file kept"]);
    assert_eq!(
        listed(&changes.snapshot()),
        "result 5\n".repeat(3),
        "the next steps of the same build see them, as in BuildKit"
    );
    place.sandbox().adopt(&changes, &snapshot(0x61)).unwrap();
    drop(changes);
    assert_eq!(listed(&snapshot(0x61)), format!("errno {}\n", nix::libc::ENODATA).repeat(3));
}

fn special_nodes() {
    // RT-06: `mknod` in steps, see docs/dockerfile.md
    let place = place();
    for device in ["c 1 3", "b 8 0", "c 0 0"] {
        let (exit, output, changes) = place.run(&place.step(&format!("mknod /node {device}")));
        assert!(exit == Exit::Code(1) && output.contains("Operation not permitted"), "{device}: {exit:?} {output}");
        assert!(listing(&changes).is_empty(), "{device}");
    }
    let step = place.step("mknod -m 640 /pipe p; mkfifo /other; stat -c '%F %a' /pipe");
    let (exit, output, changes) = place.run(&step);
    assert_eq!((exit, output.as_str()), (Exit::Code(0), "fifo 640\n"));
    assert_eq!(listing(&changes), ["other other", "other pipe"]);
}
