//! A sandbox with a snapshot that holds busybox, in a directory of its own.

use files::tar::{Entry, EntryKind, Reader, Writer};
use runtime::{
    Calls, CancellationToken, Changes, Error, Exit, Mount, MountKind, Sandbox, Settings, SnapshotId, Step, StepNetwork,
};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const BUSYBOX: &str = "/bin/busybox";
/// Counts the sandboxes of this process: attempts have names of their own.
static NUMBER: AtomicU32 = AtomicU32::new(1);

pub(crate) struct Place {
    pub sandbox: Option<Sandbox>,
    pub settings: Settings,
    pub base: SnapshotId,
    pub attempt: String,
    pub directory: tempfile::TempDir,
}

pub(crate) fn entry(path: &str, kind: EntryKind, mode: u32) -> Entry {
    Entry { path: path.as_bytes().to_vec(), kind, mode, uid: 0, gid: 0, mtime: 1_000, xattrs: Vec::new() }
}

pub(crate) fn directory(path: &str) -> Entry {
    entry(path, EntryKind::Directory, 0o755)
}

pub(crate) fn link(path: &str, target: &str) -> Entry {
    entry(path, EntryKind::Symlink { target: target.as_bytes().to_vec() }, 0o777)
}

pub(crate) fn file(path: &str, content: &[u8]) -> Entry {
    entry(path, EntryKind::File { size: content.len() as u64 }, 0o644)
}

pub(crate) fn tar(entries: &[(Entry, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, content) in entries {
        writer.entry(entry, &mut &content[..]).unwrap();
    }
    writer.finish().unwrap()
}

/// Returns the `number`th of many snapshot ids.
pub(crate) fn snapshot(number: u32) -> SnapshotId {
    SnapshotId::new(&format!("{number:064x}").chars().rev().collect::<String>()).unwrap()
}

/// Returns the applets of busybox, which become links in `/bin`.
fn applets() -> &'static [String] {
    static APPLETS: OnceLock<Vec<String>> = OnceLock::new();
    APPLETS.get_or_init(|| {
        let output = Command::new(BUSYBOX).arg("--list").output().expect("busybox-static is installed");
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    })
}

pub(crate) fn busybox() -> Vec<u8> {
    let busybox = std::fs::read(BUSYBOX).expect("busybox-static is installed");
    let passwd = b"root:x:0:0::/root:/bin/sh\napp:x:100:200::/home/app:/bin/sh\n";
    let mut entries = vec![
        (directory("bin"), &b""[..]),
        (entry("bin/busybox", EntryKind::File { size: busybox.len() as u64 }, 0o755), &busybox),
        (directory("etc"), b""),
        (file("etc/passwd", passwd), passwd),
        (file("etc/group", b"web:x:33:app\n"), b"web:x:33:app\n"),
        (directory("dir"), b""),
        (file("dir/a", b"a"), b"a"),
        (file("dir/b", b"b"), b"b"),
        (entry("tmp", EntryKind::Directory, 0o1777), b""),
        (directory("proc"), b""),
        (directory("sys"), b""),
        (directory("dev"), b""),
    ];
    let links = applets().iter().filter(|applet| *applet != "busybox");
    entries.extend(links.map(|applet| (link(&format!("bin/{applet}"), "busybox"), &b""[..])));
    tar(&entries)
}

pub(crate) fn place() -> Place {
    place_with(|_| {})
}

/// Returns a place whose settings were changed.
pub(crate) fn place_with(change: impl FnOnce(&mut Settings)) -> Place {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = Settings::new(directory.path()).unwrap();
    change(&mut settings);
    place_in(directory, settings)
}

pub(crate) fn place_in(directory: tempfile::TempDir, settings: Settings) -> Place {
    let attempt = format!("test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let sandbox = Sandbox::start(&settings, &attempt).unwrap();
    let base = SnapshotId::new(&"0b".repeat(32)).unwrap();
    sandbox.unpack(&base, &mut busybox().as_slice()).unwrap();
    Place { sandbox: Some(sandbox), settings, base, attempt, directory }
}

/// Starts another sandbox with the state of a place.
pub(crate) fn beside(place: &Place) -> Sandbox {
    let attempt = format!("test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    Sandbox::start(&place.settings, &attempt).unwrap()
}

impl Place {
    pub(crate) fn sandbox(&self) -> &Sandbox {
        self.sandbox.as_ref().unwrap()
    }

    pub(crate) fn step(&self, script: &str) -> Step {
        Step {
            layers: vec![self.base.clone()],
            argv: vec!["/bin/sh".into(), "-c".into(), script.to_owned()],
            env: vec!["PATH=/bin".into()],
            cwd: "/".into(),
            user: String::new(),
            mounts: Vec::new(),
            network: StepNetwork::None,
            calls: Calls::Native,
            hostname: "box".into(),
            hosts: Vec::new(),
            timeout: Some(Duration::from_secs(120)),
            shm_bytes: 64 << 20,
            ulimits: Vec::new(),
        }
    }

    /// Returns a step that mounts things.
    pub(crate) fn mounting(&self, script: &str, mounts: Vec<(&str, MountKind)>) -> Step {
        let mounts = mounts.into_iter().map(|(target, kind)| Mount { target: target.to_owned(), kind }).collect();
        Step { mounts, ..self.step(script) }
    }

    pub(crate) fn try_run(&self, step: &Step) -> Result<(Exit, String, Changes), Error> {
        let mut output = Vec::new();
        let ran = self.sandbox().run(step, &mut |bytes| output.extend_from_slice(bytes), &CancellationToken::new())?;
        Ok((ran.exit, String::from_utf8_lossy(&output).into_owned(), ran.changes))
    }

    pub(crate) fn run(&self, step: &Step) -> (Exit, String, Changes) {
        self.try_run(step).unwrap()
    }

    /// Runs a step that must succeed and returns what it printed.
    pub(crate) fn succeeds(&self, step: &Step) -> String {
        let (exit, output, _) = self.run(step);
        assert_eq!(exit, Exit::Code(0), "{}: {output}", step.argv.join(" "));
        output
    }

    /// Runs a script that must succeed and returns what it printed.
    pub(crate) fn sh(&self, script: &str) -> String {
        self.succeeds(&self.step(script))
    }

    /// Runs a script and returns what it changed, as lines of kind and path.
    pub(crate) fn changes(&self, script: &str) -> Vec<String> {
        let (exit, output, changes) = self.run(&self.step(script));
        assert_eq!(exit, Exit::Code(0), "{script}: {output}");
        listing(&changes)
    }

    /// Returns where a snapshot lies outside.
    pub(crate) fn outside(&self, id: &SnapshotId) -> PathBuf {
        self.settings.state.join(id.to_string())
    }
}

/// Returns the entries of what a step changed.
pub(crate) fn entries(changes: &Changes) -> Vec<Entry> {
    let mut layer = Vec::new();
    changes.write_tar(&mut layer).unwrap();
    let mut reader = Reader::new(layer.as_slice());
    std::iter::from_fn(|| reader.next_entry().unwrap()).collect()
}

/// Returns the entries of what a step changed as lines of kind and path.
pub(crate) fn listing(changes: &Changes) -> Vec<String> {
    let line = |entry: Entry| {
        let kind = match entry.kind {
            EntryKind::File { .. } => "file",
            EntryKind::Directory => "dir",
            EntryKind::Symlink { .. } => "link",
            EntryKind::HardLink { .. } => "hard",
            _ => "other",
        };
        format!("{kind} {}", String::from_utf8_lossy(&entry.path))
    };
    entries(changes).into_iter().map(line).collect()
}
