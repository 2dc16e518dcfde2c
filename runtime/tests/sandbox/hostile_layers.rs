//! Layers of images that mean harm: nothing is written outside their own directory, and refusals are quick and whole.

use crate::Test;
use crate::place::{Place, directory, entry, file, link, place, place_with, snapshot, tar};
use files::tar::{Entry, EntryKind, Writer};
use runtime::{Error, Exit, SnapshotId};
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[Test] = &[
    ("names_lead_nowhere_outside", names),
    ("links_lead_within_the_layer", links),
    ("hard_links_reach_nothing_outside", hard_links),
    ("sizes_in_two_places_hide_nothing", two_sizes),
    ("too_much_is_stopped_and_taken_away", too_much),
    ("the_last_entry_of_a_name_wins", duplicates),
    ("whiteouts_stay_in_their_directory", whiteouts),
    ("devices_are_dropped_and_attributes_chosen", devices),
    ("malformed_headers_are_refused_at_once", malformed),
    ("a_failed_layer_leaves_nothing", nothing_left),
];

fn unpack(place: &Place, number: u32, layer: &[u8]) -> Result<SnapshotId, Error> {
    let id = snapshot(number);
    let implied = place.sandbox().unpack(&id, &mut &*layer)?;
    if !implied.is_empty() {
        // Directories that the layer does not describe are described before it.
        let mut described = Vec::new();
        let mut writer = Writer::new(&mut described);
        implied.iter().for_each(|path| writer.bare(&directory(std::str::from_utf8(path).unwrap())).unwrap());
        let rest = place.sandbox().unpack(&id, &mut described.chain(layer))?;
        assert_eq!(rest, Vec::<Vec<u8>>::new());
    }
    Ok(id)
}

fn refused(place: &Place, number: u32, layer: &[u8]) -> String {
    let began = Instant::now();
    let error = unpack(place, number, layer).err().unwrap_or_else(|| panic!("layer {number:x} must be refused"));
    assert!(error.is_users_fault(), "{error}");
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(!place.sandbox().has_snapshot(&snapshot(number)), "a layer appears whole or not at all");
    error.to_string()
}

/// Returns all paths below the directory of a snapshot, and their first bytes.
fn tree(place: &Place, id: &SnapshotId) -> Vec<String> {
    fn walk(directory: &std::path::Path, prefix: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            found.push(path.clone());
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), &format!("{path}/"), found);
            }
        }
    }
    let mut found = Vec::new();
    walk(&place.outside(id), "", &mut found);
    found.sort();
    found
}

fn hard(path: &str, target: &str) -> Entry {
    entry(path, EntryKind::HardLink { target: target.as_bytes().to_vec() }, 0o644)
}

fn names() {
    // REG-01
    let place = place();
    let escaped = ["/tmp/slipway-x1", "/tmp/slipway-x2"].map(std::path::Path::new);
    let layer = tar(&[
        (file("../../../../../../../../tmp/slipway-x1", b"x"), b"x"),
        (file("/tmp/slipway-x2", b"x"), b"x"),
        (file("a/../../b/./c", b"x"), b"x"),
        (directory("../.."), b""),
    ]);
    let id = unpack(&place, 0x10, &layer).unwrap();
    assert_eq!(tree(&place, &id), ["b", "b/c", "tmp", "tmp/slipway-x1", "tmp/slipway-x2"]);
    assert!(escaped.iter().all(|path| !path.exists()));
}

fn links() {
    // REG-02
    let place = place();
    let outside = place.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let layer = tar(&[
        (link("abs", outside.to_str().unwrap()), b""),
        (link("up", "../../../../../../../../tmp"), b""),
        (link("root", "/"), b""),
        (directory("tmp"), b""),
        (file("up/slipway-escaped", b"x"), b"x"),
        (file("root/slipway-escaped", b"x"), b"x"),
        (link("proc", "/proc/self/root"), b""),
    ]);
    let id = unpack(&place, 0x11, &layer).unwrap();
    assert!(
        !std::path::Path::new("/tmp/slipway-escaped").exists() && !std::path::Path::new("/slipway-escaped").exists()
    );
    let found = tree(&place, &id);
    assert!(
        found.contains(&"tmp/slipway-escaped".to_owned()) && found.contains(&"slipway-escaped".to_owned()),
        "{found:?}"
    );
    // Through a link that leads out: into the layer's own directories of that name, or not at all.
    let through = tar(&[(link("abs", outside.to_str().unwrap()), b""), (file("abs/x", b"x"), b"x")]);
    let _ = unpack(&place, 0x12, &through);
    let magic = tar(&[(link("p", "/proc/self/cwd"), b""), (file("p/x", b"x"), b"x")]);
    let _ = unpack(&place, 0x13, &magic);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert!(!place.settings.state.join("x").exists());
}

fn hard_links() {
    // REG-03
    let place = place();
    for (number, target) in [(0x20, "../../../../../../../etc/shadow"), (0x21, "/etc/shadow"), (0x22, "out/shadow")] {
        let layer = tar(&[(link("out", "/etc"), b""), (hard("stolen", target), b"")]);
        refused(&place, number, &layer);
    }
    // Within the layer they are one file; a link to a symbolic link is that link.
    let layer =
        tar(&[(file("a", b"one"), b"one"), (hard("b", "a"), b""), (link("l", "a"), b""), (hard("m", "l"), b"")]);
    let id = unpack(&place, 0x23, &layer).unwrap();
    let known = |name: &str| fs::symlink_metadata(place.outside(&id).join(name)).unwrap();
    assert_eq!((known("a").ino(), known("a").nlink()), (known("b").ino(), 2));
    assert!(known("m").file_type().is_symlink());
}

fn header(name: &str, kind: u8, size: &[u8; 12]) -> [u8; 512] {
    let mut block = [0u8; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[124..136].copy_from_slice(size);
    block[136..148].copy_from_slice(b"00000000000\0");
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn octal(size: u64) -> [u8; 12] {
    format!("{size:011o}\0").into_bytes().try_into().unwrap()
}

fn two_sizes() {
    // REG-05: the header says 0, the pax record says how much there really is, and in it another tar hides.
    let place = place();
    let inner = tar(&[(file("hidden", b"evil"), b"evil")]);
    let record = format!(" size={}\n", inner.len());
    let length = (record.len() + 2).to_string().len() + record.len();
    let record = format!("{length}{record}");
    let layer = [
        &header("x", b'x', &octal(record.len() as u64))[..],
        &padded(record.as_bytes()),
        &header("nested.tar", b'0', &octal(0)),
        &padded(&inner),
        &header("after", b'0', &octal(0)),
        &[0; 1024],
    ]
    .concat();
    let id = unpack(&place, 0x30, &layer).unwrap();
    assert_eq!(tree(&place, &id), ["after", "nested.tar"]);
    // GNU tar lists the same.
    let path = place.directory.path().join("layer.tar");
    fs::write(&path, &layer).unwrap();
    let listed = std::process::Command::new("tar").arg("-tf").arg(&path).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&listed.stdout), "nested.tar\nafter\n");
}

fn too_much() {
    // REG-06
    let place = place_with(|settings| {
        settings.limits.layer_bytes = 4 << 20;
        settings.limits.layer_entries = 1000;
    });
    let endless = |name: &str| header(name, b'0', &octal(7 << 30)).chain(std::io::repeat(0));
    let began = Instant::now();
    let error = place.sandbox().unpack(&snapshot(0x40), &mut endless("bomb")).err().unwrap();
    assert!(error.is_users_fault() && error.to_string().contains("more than 4 MiB"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
    let many: Vec<_> = (0..2000).map(|number| (file(&format!("f{number}"), b""), &b""[..])).collect();
    assert!(refused(&place, 0x41, &tar(&many)).contains("more than 1000 entries"));
    let half = vec![0; 2_400_000];
    let both = tar(&[(file("a", &half), &half), (file("b", &half), &half)]);
    assert!(refused(&place, 0x42, &both).contains("more than 4 MiB"), "together");
}

trait Chain {
    fn chain<R: Read>(self, more: R) -> std::io::Chain<std::io::Cursor<Vec<u8>>, R>;
}

impl Chain for [u8; 512] {
    fn chain<R: Read>(self, more: R) -> std::io::Chain<std::io::Cursor<Vec<u8>>, R> {
        std::io::Cursor::new(self.to_vec()).chain(more)
    }
}

fn duplicates() {
    // REG-11
    let place = place();
    let outside = place.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let to_outside = outside.to_str().unwrap();
    let layer = tar(&[
        (file("f", b"1"), b"1"),
        (file("f", b"22"), b"22"),
        (link("l", to_outside), b""),
        (directory("l"), b""),
        (file("l/in", b"x"), b"x"),
        (directory("d"), b""),
        (file("d/gone", b"x"), b"x"),
        (link("d", to_outside), b""),
        (link("s", &format!("{to_outside}/file")), b""),
        (file("s", b"new"), b"new"),
    ]);
    let id = unpack(&place, 0x50, &layer).unwrap();
    let root = place.outside(&id);
    assert_eq!(fs::read(root.join("f")).unwrap(), b"22");
    assert!(root.join("l/in").exists() && fs::symlink_metadata(root.join("l")).unwrap().is_dir());
    assert!(fs::symlink_metadata(root.join("d")).unwrap().file_type().is_symlink());
    assert_eq!(fs::read(root.join("s")).unwrap(), b"new");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "no earlier link is followed");
}

fn whiteouts() {
    // REG-13
    let place = place();
    let outside = place.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("victim"), "x").unwrap();
    let victim = |script: &str, over: SnapshotId| {
        let mut step = place.step(script);
        step.layers.push(over);
        place.succeeds(&step)
    };
    let opaque = tar(&[(file("dir/.wh..wh..opq", b""), b""), (file("dir/new", b""), b"")]);
    let id = unpack(&place, 0x60, &opaque).unwrap();
    assert_eq!(victim("ls /dir", id), "new\n");
    let root = tar(&[(file(".wh..wh..opq", b""), b""), (file("only", b""), b"")]);
    let id = unpack(&place, 0x61, &root).unwrap();
    let kept = victim("echo /*", id);
    assert!(kept.contains("/only"), "{kept}");
    let one = tar(&[(file("dir/.wh.a", b""), b"")]);
    let id = unpack(&place, 0x62, &one).unwrap();
    assert_eq!(victim("ls /dir", id), "b\n");
    for (number, name) in [(0x63, ".wh..."), (0x64, "dir/.wh..."), (0x65, ".wh."), (0x66, ".wh.."), (0x67, "dir/.wh.")]
    {
        refused(&place, number, &tar(&[(file(name, b""), b"")]));
    }
    let through = tar(&[(link("out", outside.to_str().unwrap()), b""), (file("out/.wh.victim", b""), b"")]);
    let _ = unpack(&place, 0x68, &through);
    let up = tar(&[(link("out", "../../../../../.."), b""), (file("out/.wh.etc", b""), b"")]);
    let _ = unpack(&place, 0x69, &up);
    assert!(outside.join("victim").exists() && std::path::Path::new("/etc").exists());
}

fn devices() {
    // REG-15
    let place = place();
    let device = |path: &str, kind| entry(path, kind, 0o666);
    let mut setuid = file("suid", b"x");
    setuid.mode = 0o4755;
    let mut strange = file("strange", b"");
    let value = |name: &str, value: &[u8]| (name.as_bytes().to_vec(), value.to_vec());
    strange.xattrs = vec![
        value("trusted.overlay.opaque", b"y"),
        value("user.overlay.opaque", b"y"),
        value("user.overlay.redirect", b"/etc"),
        value("security.selinux", b"x"),
        value("system.posix_acl_access", b"x"),
    ];
    let mut redirected = directory("redirected");
    redirected.xattrs = vec![value("user.overlay.redirect", b"/dir"), value("user.overlay.opaque", b"y")];
    let layer = tar(&[
        (device("disk", EntryKind::Block { major: 8, minor: 0 }), b""),
        (device("mem", EntryKind::Character { major: 1, minor: 1 }), b""),
        (device("white", EntryKind::Character { major: 0, minor: 0 }), b""),
        (setuid, b"x"),
        (strange, b""),
        (redirected, b""),
    ]);
    let id = unpack(&place, 0x70, &layer).unwrap();
    assert_eq!(tree(&place, &id), ["redirected", "strange", "suid"]);
    let known = fs::symlink_metadata(place.outside(&id).join("suid")).unwrap();
    assert_eq!(known.mode() & 0o7777, 0o4755);
    assert!(known.uid() > 65_535, "set-uid to nobody of this machine");
    let mut step = place.step("ls /redirected | wc -l; ls /dir | wc -l");
    step.layers.push(id);
    assert_eq!(place.succeeds(&step), "0\n2\n");
}

fn malformed() {
    // REG-16
    let place = place();
    let with = |kind: u8, size: &[u8; 12], content: &[u8]| {
        [&header("x", kind, size)[..], &padded(content), &header("f", b'0', &octal(0)), &[0; 1024]].concat()
    };
    let mut base_256 = [0xff; 12];
    let mut huge = [0xff; 12];
    huge[0] = 0x80;
    base_256[11] = 0xf0;
    let whole = tar(&[(file("a", b"content"), b"content")]);
    let mut damaged = whole.clone();
    damaged[3] ^= 1;
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a pax header of 1 GiB", with(b'x', &octal(1 << 30), b"")),
        ("a global pax header of 1 GiB", with(b'g', &octal(1 << 30), b"")),
        ("a long name of 1 GiB", with(b'L', &octal(1 << 30), b"")),
        ("a long link of 1 GiB", with(b'K', &octal(1 << 30), b"")),
        ("a negative size", with(b'0', &base_256, b"")),
        ("a size beyond all", with(b'0', &huge, b"")),
        ("a size that is not a number", with(b'0', b"zzzzzzzzzzz\0", b"")),
        ("a pax record without length", with(b'x', &octal(8), b"path=ab\n")),
        ("a pax record that is too long", with(b'x', &octal(12), b"99 path=abc\n")),
        ("a pax size that is not a number", with(b'x', &octal(11), b"11 size=-1\n")),
        ("a sparse file", with(b'S', &octal(0), b"")),
        ("an unknown kind", with(b'Z', &octal(0), b"")),
        ("an end within a header", whole[..700].to_vec()),
        ("an end within a file", whole[..515].to_vec()),
        ("a wrong checksum", damaged),
        ("no tar at all", b"#!/bin/sh\n".repeat(100)),
        ("a name with a NUL in pax", with(b'x', &octal(13), b"13 path=a\0b/\n")),
    ];
    for (number, (what, layer)) in (0x80..).zip(cases) {
        let began = Instant::now();
        let result = unpack(&place, number, &layer);
        assert!(result.is_err_and(|error| error.is_users_fault()), "{what} must be refused");
        assert!(began.elapsed() < Duration::from_secs(2), "{what}: {:?}", began.elapsed());
    }
    let garbage = [&whole[..], &b"garbage after the end".repeat(1000)].concat();
    assert!(unpack(&place, 0x9f, &garbage).is_ok(), "bytes after the end are not part of the layer");
}

fn nothing_left() {
    let place = place();
    for number in 0xa0..0xa5 {
        refused(&place, number, &tar(&[(file("a", b"content"), b"content")])[..515]);
    }
    let work = place.settings.state.join("w");
    let left: Vec<_> = fs::read_dir(&work).unwrap().flatten().filter(|entry| entry.path().is_dir()).collect();
    assert_eq!(left.len(), 1, "the attempt's own directory");
    assert_eq!(fs::read_dir(left[0].path()).unwrap().count(), 0);
    let (exit, ..) = place.run(&place.step("true"));
    assert_eq!(exit, Exit::Code(0));
}
