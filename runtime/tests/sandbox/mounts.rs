//! Mounts of a step: there while it runs, without a trace afterwards.

use crate::Test;
use crate::place::{Place, entries, listing, place};
use runtime::{Exit, Mount, MountKind, Sharing, Step};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[Test] = &[
    ("binds_are_read_only_or_thrown_away", binds),
    ("binds_stay_in_their_source", binds_stay_inside),
    ("tmpfs_is_empty_open_to_all_and_limited", tmpfs),
    ("secrets_are_files_for_some", secrets),
    ("stubs_leave_no_trace", stubs),
    ("parents_are_mounted_first_and_the_last_wins", order),
    ("caches_are_kept_with_owner_mode_and_seed", caches),
    ("locked_caches_wait_private_ones_are_copies", sharing),
    ("caches_in_any_order_do_not_wait_for_each_other", lock_order),
    ("mounts_in_mounts_are_there_for_steps_that_begin_together", nested),
    ("an_agent_answers_through_its_socket", agents),
];

fn bind(place: &Place, source: &str, writable: bool) -> MountKind {
    MountKind::Bind { layers: vec![place.base.clone()], source: source.as_bytes().to_vec(), writable }
}

fn cache(id: &str, sharing: Sharing) -> MountKind {
    MountKind::Cache { id: id.repeat(16), sharing, mode: 0o755, uid: 0, gid: 0, writable: true, seed: None }
}

fn binds() {
    // DF-127, DF-129, DF-130
    let place = place();
    let script = "cat /ro/a /file; echo x > /ro/a && exit 9; echo new > /rw/a; rm /rw/b; cat /rw/a; ls /rw /dir";
    let step = place.mounting(
        script,
        vec![
            ("/ro", bind(&place, "dir", false)),
            ("/rw", bind(&place, "dir", true)),
            ("/file", bind(&place, "dir/b", false)),
        ],
    );
    let (exit, output, changes) = place.run(&step);
    assert_eq!(exit, Exit::Code(0), "{output}");
    assert!(output.starts_with("ab") && output.ends_with("new\n/dir:\na\nb\n\n/rw:\na\n"), "{output}");
    assert!(listing(&changes).is_empty(), "{:?}", listing(&changes));
    assert_eq!(place.sh("cat /dir/a /dir/b"), "ab");
    let whole = place.mounting("ls /whole/dir", vec![("/whole", bind(&place, "", false))]);
    assert_eq!(place.succeeds(&whole), "a\nb\n");
    let missing = place.mounting("true", vec![("/x", bind(&place, "nothing", false))]);
    let error = place.try_run(&missing).err().unwrap();
    assert!(error.is_users_fault() && error.to_string().contains("\"/nothing\""), "{error}");
}

fn binds_stay_inside() {
    // CTX-10, DF-137: links in the source lead within the source.
    let place = place();
    let script =
        "ln -s / /root-link; ln -s /../../../etc/passwd /file-link; ln -s /proc/self/root /magic; ln -s ../../.. /up";
    let (_, _, changes) = place.run(&place.step(script));
    let layers = vec![place.base.clone(), changes.snapshot()];
    for (source, seen) in [("root-link", true), ("up", true), ("up/dir", true), ("file-link", true), ("magic", false)] {
        let kind = MountKind::Bind { layers: layers.clone(), source: source.as_bytes().to_vec(), writable: true };
        let step = place.mounting("ls -d /m/* 2>/dev/null; head -n 1 /m 2>/dev/null; exit 0", vec![("/m", kind)]);
        match place.try_run(&step) {
            Ok((_, output, _)) => {
                assert!(seen, "{source}: {output}");
                assert!(!output.contains("/m/work") && !output.contains("/m/state"), "{source}: {output}");
            }
            Err(error) => assert!(!seen && error.is_users_fault(), "{source}: {error}"),
        }
    }
}

fn tmpfs() {
    // DF-133
    let place = place();
    let script = "stat -c %a /t; dd if=/dev/zero of=/t/f bs=64k count=100 2>&1 | grep -c 'No space'; stat -c %s /t/f; mount | grep ' /t ' | grep -c nosuid";
    let step = place.mounting(script, vec![("/t", MountKind::Tmpfs { size: Some(1 << 20) })]);
    let (exit, output, changes) = place.run(&step);
    assert_eq!((exit, output.as_str()), (Exit::Code(0), "1777\n1\n1048576\n1\n"));
    assert!(listing(&changes).is_empty(), "{:?}", listing(&changes));
    let again = place.mounting("ls /t | wc -l", vec![("/t", MountKind::Tmpfs { size: None })]);
    assert_eq!(place.succeeds(&again), "0\n");
}

fn secrets() {
    // DF-139, DF-144
    let place = place();
    let secret = |mode, uid| MountKind::Secret { content: b"hush\n".to_vec(), mode, uid, gid: 200 };
    let mounts = || vec![("/run/secrets/key", secret(0o400, 0)), ("/home/app/key", secret(0o440, 100))];
    let script = "stat -c '%a %u %g' /run/secrets/key /home/app/key; cat /run/secrets/key; echo x > /run/secrets/key";
    let (exit, output, changes) = place.run(&place.mounting(script, mounts()));
    assert_ne!(exit, Exit::Code(0), "a secret cannot be written");
    assert!(output.starts_with("400 0 200\n440 100 200\nhush\n"), "{output}");
    assert!(listing(&changes).is_empty(), "{:?}", listing(&changes));
    let user = Step { user: "app".into(), ..place.mounting("cat /home/app/key; cat /run/secrets/key", mounts()) };
    let (exit, output, _) = place.run(&user);
    assert!(exit != Exit::Code(0) && output.starts_with("hush\n") && output.matches("hush").count() == 1, "{output}");
    assert_eq!(place.sh("mount | grep -c hush; ls -d /run 2>/dev/null; exit 0"), "0\n");
}

fn stubs() {
    // DF-110, E37
    let place = place();
    let mounts = || {
        vec![
            ("/deep/er/and/deeper", bind(&place, "dir", false)),
            ("/dir/sub", MountKind::Tmpfs { size: None }),
            ("/etc/key", MountKind::Secret { content: b"x".to_vec(), mode: 0o400, uid: 0, gid: 0 }),
        ]
    };
    let (exit, _, changes) = place.run(&place.mounting("true", mounts()));
    assert_eq!((exit, listing(&changes)), (Exit::Code(0), Vec::new()));
    let changed = place.outside(&changes.snapshot());
    let mtime = |name: &str| std::fs::symlink_metadata(changed.join(name)).map(|known| known.mtime());
    assert_eq!((mtime("etc").unwrap(), mtime("dir").unwrap()), (1000, 1000));
    assert!(mtime("deep").is_err() && mtime("etc/hosts").is_err() && mtime("dir/sub").is_err());
    // The command sees the times as they were; what it changes itself has the time of the change.
    let (_, output, changes) = place.run(&place.mounting("stat -c %Y /etc /dir; echo > /dir/own", mounts()));
    assert_eq!(output, "1000\n1000\n");
    assert!(entries(&changes)[0].path == b"dir" && entries(&changes)[0].mtime > 1_000_000);
    // Files that the step put beside a mount stay, with their directories.
    let (_, _, changes) = place.run(&place.mounting("echo > /deep/er/own", mounts()));
    assert_eq!(listing(&changes), ["dir deep", "dir deep/er", "file deep/er/own"]);
}

fn order() {
    // DF-128
    let place = place();
    let file = |text: &str| MountKind::File { content: text.as_bytes().to_vec(), mode: 0o755 };
    let step = place.mounting(
        "cat /t/inner/file /twice; ls /t",
        vec![
            ("/t/inner/file", file("inner\n")),
            ("/t", MountKind::Tmpfs { size: None }),
            ("/twice", file("first\n")),
            ("/twice", file("second\n")),
        ],
    );
    assert_eq!(place.succeeds(&step), "inner\nsecond\ninner\n");
    // DF-099
    let script = place
        .mounting("/dev/pipes/EOF; stat -c %a /dev/pipes/EOF", vec![("/dev/pipes/EOF", file("#!/bin/sh\necho ran\n"))]);
    assert_eq!(place.succeeds(&script), "ran\n755\n");
}

fn caches() {
    // DF-134, DF-136..138
    let place = place();
    let kind = |writable| MountKind::Cache {
        id: "ab".repeat(16),
        sharing: Sharing::Locked,
        mode: 0o750,
        uid: 100,
        gid: 200,
        writable,
        seed: Some((vec![place.base.clone()], b"dir".to_vec())),
    };
    let script = "stat -c '%a %u %g' /c; cat /c/a; echo >> /c/count; wc -l < /c/count";
    let (_, output, changes) = place.run(&place.mounting(script, vec![("/c", kind(true))]));
    assert_eq!((output.as_str(), listing(&changes)), ("750 100 200\na1\n", Vec::new()));
    assert_eq!(place.run(&place.mounting(script, vec![("/c", kind(true))])).1, "750 100 200\na2\n");
    let read_only = place.mounting("cat /c/a; echo x > /c/a", vec![("/c", kind(false))]);
    assert_ne!(place.run(&read_only).0, Exit::Code(0));
    // DF-137: a seed does not follow links out of its source.
    let (_, _, escape) = place.run(&place.step("ln -s /proc/self/root /escape; ln -s ../../../../etc /up"));
    for source in ["escape/etc", "up"] {
        let seed = Some((vec![place.base.clone(), escape.snapshot()], source.as_bytes().to_vec()));
        let kind = MountKind::Cache {
            id: format!("{:0>16}", source.len()),
            sharing: Sharing::Shared,
            mode: 0o755,
            uid: 0,
            gid: 0,
            writable: true,
            seed,
        };
        if let Ok((_, output, _)) = place.try_run(&place.mounting("ls /c", vec![("/c", kind)])) {
            assert_eq!(output, "group\npasswd\n", "the /etc of the source, if any");
        }
    }
    // DF-25: no name of a cache is a path.
    let named = MountKind::Cache {
        id: "../../../etc/xxxxxxxxxxxxxx".into(),
        sharing: Sharing::Shared,
        mode: 0o755,
        uid: 0,
        gid: 0,
        writable: true,
        seed: None,
    };
    assert!(place.try_run(&place.mounting("true", vec![("/c", named)])).is_err());
}

fn sharing() {
    // DF-135
    let place = place();
    let both = |sharing| {
        let step = |script: &str| place.mounting(script, vec![("/c", cache("c", sharing))]);
        let began = Instant::now();
        let outputs = std::thread::scope(|scope| {
            let first = scope.spawn(|| place.succeeds(&step("echo a >> /c/f; sleep 1; cat /c/f; rm /c/f")));
            std::thread::sleep(Duration::from_millis(400));
            let second = place.succeeds(&step("echo b >> /c/f; cat /c/f"));
            (first.join().unwrap(), second)
        });
        (outputs.0, outputs.1, began.elapsed())
    };
    let (first, second, _) = both(Sharing::Shared);
    assert_eq!((first.as_str(), second.as_str()), ("a\nb\n", "a\nb\n"));
    let (first, second, took) = both(Sharing::Locked);
    assert_eq!((first.as_str(), second.as_str()), ("a\n", "b\n"));
    assert!(took > Duration::from_secs(1));
    place.succeeds(&place.mounting("rm -f /c/f", vec![("/c", cache("c", Sharing::Shared))]));
    let (first, second, _) = both(Sharing::Private);
    assert_eq!((first.as_str(), second.as_str()), ("a\n", "b\n"), "a copy while the first is in use");
}

fn lock_order() {
    let place = place();
    let step = |names: [&str; 2]| {
        let mounts = vec![("/x", cache(names[0], Sharing::Locked)), ("/y", cache(names[1], Sharing::Locked))];
        place.mounting("echo >> /x/f; echo >> /y/f; sleep 0.05", mounts)
    };
    std::thread::scope(|scope| {
        let both = [["d", "e"], ["e", "d"], ["d", "d"]].map(|names| {
            let step = step(names);
            let place = &place;
            scope.spawn(move || (0..5).for_each(|_| drop(place.succeeds(&step))))
        });
        both.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

fn agents() {
    // DF-142
    let place = place();
    let path = place.directory.path().join("agent");
    let listener = UnixListener::bind(&path).unwrap();
    let agent = std::thread::spawn(move || {
        for number in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = [0; 5];
            stream.read_exact(&mut question).unwrap();
            stream.write_all(format!("{number} heard {}", String::from_utf8_lossy(&question)).as_bytes()).unwrap();
        }
    });
    let ssh = |mode, uid| MountKind::Ssh { agent_socket: path.clone(), mode, uid, gid: 200 };
    let probe = crate::confinement::probe();
    let (exit, output, changes) = place.run(&Step {
        layers: vec![place.base.clone(), probe.unpacked(&place)],
        ..place.mounting(
            "stat -c '%a %u %g %F' /run/buildkit/ssh_agent.0 /elsewhere; probe unix /run/buildkit/ssh_agent.0 hello; probe unix /elsewhere HELLO",
            vec![("/run/buildkit/ssh_agent.0", ssh(0o600, 0)), ("/elsewhere", ssh(0o660, 100))],
        )
    });
    assert_eq!(exit, Exit::Code(0), "{output}");
    assert_eq!(output, "600 0 200 socket\n660 100 200 socket\n0 heard hello\n1 heard HELLO\n");
    assert!(entries(&changes).is_empty());
    agent.join().unwrap();
    // Nobody there: the step sees a connection that ends, and goes on.
    std::fs::remove_file(&path).unwrap();
    let step = Step {
        layers: vec![place.base.clone(), probe.unpacked(&place)],
        mounts: vec![Mount { target: "/a".into(), kind: ssh(0o600, 0) }],
        ..place.step("probe unix /a hello")
    };
    assert_eq!(place.run(&step).1, "\n");
}

fn nested() {
    // EN-11: nobody has used the caches before, and all of them are made at the same moment, in two sandboxes.
    let place = place();
    let beside = crate::place::beside(&place);
    for turn in 0..8u32 {
        for sharing in [Sharing::Shared, Sharing::Locked, Sharing::Private] {
            let own = |number: u32| MountKind::Cache {
                id: format!("{turn:016x}{number:08x}{:08x}", sharing as u32),
                sharing,
                mode: 0o755,
                uid: 0,
                gid: 0,
                writable: true,
                seed: None,
            };
            let secret = || MountKind::Secret { content: b"s".to_vec(), mode: 0o444, uid: 0, gid: 0 };
            std::thread::scope(|scope| {
                for number in 0..4 {
                    let sandbox = [place.sandbox(), &beside][number % 2];
                    let mounts = vec![
                        ("/foo/bar/baz", own(2)),
                        ("/foo/bar", own(1)),
                        ("/foo/bar/key", secret()),
                        ("/foo/bar/t", MountKind::Tmpfs { size: None }),
                        ("/foo/bar/baz/ro", bind(&place, "dir", false)),
                    ];
                    let script = format!(
                        "echo {number} > /foo/bar/{number} && echo x > /foo/bar/baz/{number} && cat /foo/bar/key /foo/bar/baz/ro/a && ls -d /foo/bar/t"
                    );
                    let step = place.mounting(&script, mounts);
                    scope.spawn(move || {
                        let mut output = Vec::new();
                        let ran = sandbox.run(
                            &step,
                            &mut |bytes| output.extend_from_slice(bytes),
                            &runtime::CancellationToken::new(),
                        );
                        let output = String::from_utf8_lossy(&output).into_owned();
                        assert_eq!(
                            (ran.unwrap().exit, output.as_str()),
                            (Exit::Code(0), "sa/foo/bar/t\n"),
                            "{sharing:?}"
                        );
                    });
                }
            });
            if sharing != Sharing::Private {
                let kept = place.mounting("ls /c /d", vec![("/c", own(1)), ("/d", own(2))]);
                let kept = place.succeeds(&kept);
                assert_eq!(kept, "/c:\n0\n1\n2\n3\nbaz\nkey\nt\n\n/d:\n0\n1\n2\n3\nro\n", "nothing is lost");
            }
        }
    }
}
