//! Owners: whatever id an image, a step or a mount names is the same inside, and nobody's outside.

use crate::Test;
use crate::place::{Place, directory, entries, entry, file, place, snapshot, tar};
use files::tar::EntryKind;
use runtime::{Exit, MountKind, Sharing, SnapshotId, Step};
use std::os::unix::fs::MetadataExt;

pub(crate) const TESTS: &[Test] = &[
    ("every_id_of_a_layer_is_kept", layers),
    ("a_step_gives_files_to_any_id", steps),
    ("a_step_runs_as_any_id", users),
    ("mounts_belong_to_any_id", mounts),
    ("capabilities_keep_the_root_they_are_for", capabilities),
    ("ids_outside_are_nobodys", outside),
    ("what_is_not_an_id_is_refused", refused),
];

/// For an account with one range of 65,536 ids.
pub(crate) const FEW: &[Test] =
    &[("an_id_without_a_place_is_named", without_a_place), ("processes_are_limited_without_control_groups", processes)];

/// Returns ids from 65,536 on that sandboxes of whoever runs this have.
fn ids() -> &'static [u32] {
    match nix::unistd::geteuid().is_root() {
        true => &[
            65_536,
            70_000,
            100_000,
            197_609,
            1_000_640_000,
            1_516_583_083,
            2_147_483_647,
            2_147_483_648,
            4_026_531_840,
            4_294_901_759,
            4_294_901_760,
            4_294_967_294,
        ],
        false => &[65_535, 65_536, 70_000, 100_000, 197_609, 265_535],
    }
}

/// Returns a layer with a file, a directory and a link of each id.
fn owned(place: &Place, ids: &[u32], number: u32) -> SnapshotId {
    let names: Vec<String> = ids.iter().map(u32::to_string).collect();
    let mut all = Vec::new();
    for (id, name) in ids.iter().zip(&names) {
        for mut made in [
            directory(&format!("d{name}")),
            file(&format!("d{name}/f"), b"x"),
            crate::place::link(&format!("l{name}"), "dangling"),
        ] {
            (made.uid, made.gid) = (*id, *id);
            all.push((made, &b"x"[..]));
        }
    }
    let id = snapshot(number);
    place.sandbox().unpack(&id, &mut tar(&all).as_slice()).unwrap();
    id
}

fn above(place: &Place, layer: SnapshotId, script: &str) -> Step {
    Step { layers: vec![place.base.clone(), layer], ..place.step(script) }
}

fn layers() {
    // EN-44
    let place = place();
    let layer = owned(&place, ids(), 1);
    for id in ids() {
        let script = format!("stat -c %u:%g /d{id} /d{id}/f /l{id}");
        let seen = place.succeeds(&above(&place, layer.clone(), &script));
        assert_eq!(seen, format!("{id}:{id}\n").repeat(3));
    }
    let (exit, output, changes) = place.run(&above(&place, layer.clone(), "for f in /d*/f; do echo y >> $f; done"));
    assert_eq!(exit, Exit::Code(0), "{output}");
    let mut kept: Vec<_> = entries(&changes).iter().map(|entry| (entry.uid, entry.gid)).collect();
    kept.sort_unstable();
    kept.dedup();
    let expected: Vec<_> = ids().iter().map(|id| (*id, *id)).collect();
    assert_eq!(kept, expected, "directories and files are of the ids that they had");
}

fn steps() {
    // EN-44
    let place = place();
    for id in ids() {
        let step = place.step(&format!("touch /t; chown {id}:{id} /t; mkdir /d; chown -h {id} /d; stat -c %u:%g /t"));
        let (exit, output, changes) = place.run(&step);
        assert_eq!((exit, output), (Exit::Code(0), format!("{id}:{id}\n")));
        let owners: Vec<_> = entries(&changes).iter().map(|entry| (entry.uid, entry.gid)).collect();
        assert_eq!(owners, [(*id, 0), (*id, *id)]);
        let again = above(&place, changes.snapshot(), "stat -c %u:%g /t");
        assert_eq!(place.succeeds(&again), format!("{id}:{id}\n"));
    }
    let account = "echo big:x:70000:70000::/home/big:/bin/sh >> /etc/passwd; mkdir -p /home/big; chown 70000:70000 /home/big; su big -c 'id -u; touch ~/f'; stat -c %u /home/big/f";
    assert_eq!(place.sh(account), "70000\n70000\n");
}

fn users() {
    // EN-44: docker takes numbers up to 2^31-1.
    let place = place();
    for id in ids().iter().filter(|id| **id < 1 << 31) {
        let mut step = place.step("id -u; id -g; stat -c %u:%g .");
        step.user = format!("{id}:{id}");
        step.cwd = "/made/for/it".into();
        assert_eq!(place.succeeds(&step), format!("{id}\n{id}\n{id}:{id}\n"));
        step.user = id.to_string();
        assert_eq!(place.succeeds(&step), format!("{id}\n0\n{id}:0\n"));
    }
}

fn mounts() {
    // EN-44
    let place = place();
    for (number, &id) in ids().iter().enumerate() {
        let cache = MountKind::Cache {
            id: format!("{number:032x}"),
            sharing: Sharing::Shared,
            mode: 0o700,
            uid: id,
            gid: id,
            writable: true,
            seed: None,
        };
        let secret = MountKind::Secret { content: b"s".to_vec(), mode: 0o400, uid: id, gid: id };
        let step = place.mounting(
            "stat -c %u:%g /c /s; cat /s; touch /c/f; stat -c %u /c/f",
            vec![("/c", cache), ("/s", secret), ("/t", MountKind::Tmpfs { size: None })],
        );
        let as_id = Step { user: format!("{id}:{id}"), ..step };
        if id < 1 << 31 {
            assert_eq!(place.succeeds(&as_id), format!("{id}:{id}\n{id}:{id}\ns{id}\n"));
        } else {
            let root = Step { user: String::new(), ..as_id };
            assert_eq!(place.succeeds(&root), format!("{id}:{id}\n{id}:{id}\ns0\n"));
        }
    }
}

fn capabilities() {
    // EN-44: version 3 names the root of a namespace, here an id of the layer.
    let place = place();
    let root: u32 = ids()[2];
    let version_2 = [&[1, 0, 0, 2, 0, 4, 0, 0][..], &[0; 12]].concat();
    let version_3 = [&[1, 0, 0, 3, 0, 4, 0, 0][..], &[0; 12], &root.to_le_bytes()].concat();
    let mut all = Vec::new();
    for (name, value) in [("two", &version_2), ("three", &version_3)] {
        let mut made = file(name, b"x");
        (made.uid, made.gid) = (root, root);
        made.xattrs = vec![(b"security.capability".to_vec(), value.clone())];
        all.push((made, &b"x"[..]));
    }
    let layer = snapshot(2);
    place.sandbox().unpack(&layer, &mut tar(&all).as_slice()).unwrap();
    let (exit, output, changes) = place.run(&above(&place, layer, "mv /two /2; mv /three /3"));
    assert_eq!(exit, Exit::Code(0), "{output}");
    let of = |path: &str| {
        let known = entries(&changes).into_iter().find(|entry| entry.path == path.as_bytes()).unwrap();
        (known.uid, known.xattrs[0].1.clone())
    };
    assert_eq!((of("2"), of("3")), ((root, version_2), (root, version_3)));
}

fn outside() {
    // EN-44: neither root's id nor the service's own, nor those of the machine's accounts.
    let place = place();
    let layer = owned(&place, ids(), 3);
    let mut seen = Vec::new();
    for id in ids() {
        let known = std::fs::symlink_metadata(place.outside(&layer).join(format!("l{id}")));
        // An account looks into what is its sandboxes' only where everybody may.
        let Ok(known) = known else { continue };
        let own = nix::unistd::geteuid().as_raw();
        assert!(known.uid() > 1_000_000 && known.uid() != own && known.gid() > 1_000_000, "{id}: {}", known.uid());
        assert!(!nix::unistd::User::from_uid(known.uid().into()).is_ok_and(|user| user.is_some()), "{id}");
        seen.push(known.uid());
    }
    assert_eq!(seen.len(), ids().len());
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), ids().len(), "no two have the same");
}

fn refused() {
    // EN-44: the largest number means none, and must not pass for root.
    let place = place();
    let mut none = entry("f", EntryKind::File { size: 0 }, 0o644);
    none.uid = u32::MAX;
    let error = place.sandbox().unpack(&snapshot(4), &mut tar(&[(none, b"")]).as_slice()).unwrap_err();
    assert!(error.is_users_fault() && error.to_string().contains("between 0 and 4294967294"), "{error}");
    let (_, _, changes) = place.run(&place.step("echo none:x:4294967295:0::/:/bin/sh >> /etc/passwd"));
    let step = Step { user: "none".into(), ..above(&place, changes.snapshot(), "id -u") };
    let error = place.try_run(&step).err().unwrap();
    assert!(error.is_users_fault() && error.to_string().contains("4294967295 is not a user id"), "{error}");
    assert_ne!(
        place.run(&place.step("touch /f && chown 4294967295 /f && stat -c %u /f | grep -v '^0$'")).0,
        Exit::Code(0)
    );
}

fn without_a_place() {
    // EN-44
    if nix::unistd::geteuid().is_root() {
        return;
    }
    let place = place();
    let named = |text: &str, id: u32| {
        let more = id - 65_535;
        assert!(text.contains(&format!("id {id} has no place here")), "{text}");
        assert!(text.contains("0 to 65535") && text.contains(&format!("ACCOUNT:FIRST:{more}")), "{text}");
        assert!(text.contains("/etc/sub"), "{text}");
    };
    let mut made = file("d/f", b"x");
    (made.uid, made.gid) = (1_516_583_083, 0);
    let layer = tar(&[(directory("d"), b""), (made, b"x")]);
    let error = place.sandbox().unpack(&snapshot(5), &mut layer.as_slice()).unwrap_err();
    assert!(error.is_users_fault() && error.to_string().contains("`d/f`"), "{error}");
    named(&error.to_string(), 1_516_583_083);
    let cache = MountKind::Cache {
        id: "c".repeat(32),
        sharing: Sharing::Shared,
        mode: 0o755,
        uid: 100_001,
        gid: 0,
        writable: true,
        seed: None,
    };
    let secret = MountKind::Secret { content: Vec::new(), mode: 0o400, uid: 0, gid: 100_001 };
    for step in [
        Step { user: "100001".into(), ..place.step("true") },
        Step { user: "0:100001".into(), ..place.step("true") },
        place.mounting("true", vec![("/c", cache)]),
        place.mounting("true", vec![("/s", secret)]),
    ] {
        let error = place.try_run(&step).err().unwrap();
        assert!(error.is_users_fault(), "{error}");
        named(&error.to_string(), 100_001);
    }
    assert_eq!(place.sh("touch /f; chown 65535:65535 /f; stat -c %u /f"), "65535\n");
    // A program such as `useradd` goes on where its `chown` fails.
    for change in ["chown 70000 /f", "chown 0:70000 /f", "chown -h 70000 /f", "cp -a /f /g; chown -R 70000 /g"] {
        let error = place.try_run(&place.step(&format!("touch /f; {change}; true"))).err().unwrap();
        assert!(error.is_users_fault() && error.to_string().contains("giving a file to an owner"), "{error}");
        named(&error.to_string(), 70_000);
    }
}

fn processes() {
    if nix::unistd::geteuid().is_root() {
        return;
    }
    let place = crate::place::place_with(|settings| settings.limits.pids = Some(64));
    let table = runtime::self_test(&place.settings).unwrap();
    let known = table.iter().find(|protection| protection.name == "cgroup.pids").unwrap();
    assert!(known.missing.is_some(), "an account has no control groups: {known:?}");
    for user in ["", "app"] {
        let mut step = place.step("b() { b | b & }; b; sleep 1; for i in $(seq 100); do sleep 5 & done; wait");
        step.timeout = Some(std::time::Duration::from_secs(3));
        step.user = user.into();
        let (exit, output, _) = place.run(&step);
        assert!(exit != Exit::Code(0) && output.contains("can't fork"), "`{user}`: {exit:?} {output}");
        assert_eq!(place.sh("echo fine"), "fine\n", "the sandbox goes on");
    }
}
