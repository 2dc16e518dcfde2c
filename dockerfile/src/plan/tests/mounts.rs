//! The mounts of RUN.

use super::*;

fn mount(options: &str) -> Mount {
    let plan = plan(&format!(
        "FROM scratch AS other\nWORKDIR /o\nFROM plain\nWORKDIR /w\nENV X=x\nRUN --mount={options} true\n"
    ));
    last_run(&plan).mounts[0].clone()
}

fn said(options: &str) -> String {
    refused(&format!("FROM plain\nWORKDIR /w\nRUN --mount={options} true\n"))
}

// DF-124 to DF-127, DF-139, DF-142
#[test]
fn mounts_have_their_defaults() {
    let text = "FROM base\nWORKDIR /w\nRUN --mount=target=t,src=a --mount=type=cache,target=/c --mount=type=secret,id=a/s --mount=type=ssh --mount=type=ssh,id=x true";
    let plan = plan(text);
    let targets: Vec<_> = last_run(&plan).mounts.iter().map(|mount| mount.target.as_str()).collect();
    assert_eq!(targets, ["/w/t", "/c", "/run/secrets/s", "/run/buildkit/ssh_agent.0", "/run/buildkit/ssh_agent.1"]);
    let bind = |mount: Mount| match mount.kind {
        MountKind::Bind { from, source, writable } => (mount.target, from, source, writable),
        other => panic!("{other:?}"),
    };
    assert_eq!(bind(mount("dst=/a,rw")), ("/a".into(), From::Context, String::new(), true));
    assert!(!bind(mount("destination=/a,readwrite=false")).3);
    assert_eq!(bind(mount("target=/a,from=other,source=../s")), ("/a".into(), From::Stage(0), "s".into(), false));
    assert_eq!(bind(mount("'\"target=/a,b\"'")).0, "/a,b");
    assert_eq!(bind(mount("from=other")).0, "/w", "no target is the working directory");
    assert_eq!(bind(mount("TYPE=bind,Target=/$X,source=$X/y")).2, "x/y");
}

// DF-133, DF-134, DF-136; DF-25
#[test]
fn caches_and_memory() {
    let cache = |options: &str| match mount(options).kind {
        MountKind::Cache { id, mode, uid, writable, .. } => (id, mode, uid, writable),
        other => panic!("{other:?}"),
    };
    assert_eq!(cache("type=cache,target=/c/../d/"), ("//d 755 0:0".into(), 0o755, 0, true));
    assert_eq!(cache("type=cache,target=rel").0, "/rel 755 0:0", "the name is the target as it is written");
    assert_eq!(cache("type=cache,target=/c,id=../../x").0, "/../../x 755 0:0", "a name is not a path");
    assert_eq!(cache("type=cache,target=/c,id=x,mode=0700,uid=1,ro"), ("/x 700 1:0".into(), 0o700, 1, false));
    let tmpfs = |options: &str| match mount(options).kind {
        MountKind::Tmpfs { size } => size,
        other => panic!("{other:?}"),
    };
    assert_eq!(tmpfs("type=tmpfs,target=/t"), None);
    assert_eq!(tmpfs("type=tmpfs,size=1.5k,target=/t"), Some(1536));
    let namespaced = plan_with(
        "FROM plain\nRUN --mount=type=cache,target=/c true\n",
        &with_args(&[("BUILDKIT_CACHE_MOUNT_NS", "ns")]),
    );
    assert!(
        matches!(&last_run(&namespaced.unwrap()).mounts[0].kind, MountKind::Cache { id, .. } if id == "ns//c 755 0:0")
    );
}

// DF-139 to DF-142
#[test]
fn secrets_and_agents() {
    let secret = |options: &str| {
        let mount = mount(options);
        match mount.kind {
            MountKind::Secret { id, required, env, file, mode, .. } => (mount.target, id, required, env, file, mode),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(secret("type=secret,id=s"), ("/run/secrets/s".into(), "s".into(), false, None, true, 0o400));
    assert_eq!(secret("type=secret,target=/x/key").1, "key");
    assert_eq!(secret("type=secret,source=s,required"), ("/run/secrets/s".into(), "s".into(), true, None, true, 0o400));
    let (_, _, _, env, file, _) = secret("type=secret,id=s,env=NAME");
    assert_eq!((env.as_deref(), file), (Some("NAME"), false));
    assert!(secret("type=secret,id=s,env=NAME,target=/x").4);
}

// DF-123, DF-132, DF-135, DF-143; DF-24, DF-25
#[test]
fn what_is_wrong_with_a_mount_is_named() {
    for (options, message) in [
        ("type=bnd", "unsupported mount type \"bnd\" (did you mean bind?)"),
        ("bind-propagation=rshared", "unexpected key 'bind-propagation' in 'bind-propagation=rshared'"),
        ("taget=/x", "unexpected key 'taget' in 'taget=/x' (did you mean target?)"),
        ("target", "invalid field 'target' must be a key=value pair"),
        ("foo", "invalid field 'foo' must be a key=value pair"),
        ("type=bind,required", "unexpected key 'required' for mount type 'bind'"),
        ("size=1,type=tmpfs,target=/x", "unexpected key 'size' for mount type 'bind'"),
        ("type=tmpfs,size=x,target=/x", "invalid value for size: x"),
        ("target=/x,mode=700", "mode not allowed for \"bind\" type mounts"),
        ("type=tmpfs,target=/x,uid=1", "uid not allowed for \"tmpfs\" type mounts"),
        ("type=cache,target=/x,mode=9", "invalid value 9 for mode"),
        ("type=cache,target=/x,uid=x", "invalid value x for uid"),
        ("target=/x,sharing=locked", "invalid cache sharing set for bind mount"),
        ("type=cache,target=/x,sharing=lockd", "unsupported sharing value \"lockd\" (did you mean locked?)"),
        ("target=/x,ro=maybe", "invalid value for 'ro': maybe"),
        ("type=secret", "invalid secret mount. one of source, target required"),
        ("type=secret,id=a,source=b", "both source and id can't be set"),
        ("type=secret,id=a,from=plain", "secret mount should not have a from"),
        ("type=ssh,source=b", "ssh mount should not have a source"),
        ("type=tmpfs,target=/", "invalid mount target \"/\""),
        ("target=../..", "invalid mount target \"/\""),
        ("type=cache,target=/x/..", "invalid mount target \"/\""),
    ] {
        assert_eq!(said(options), message, "{options}");
    }
    let error = plan_with("FROM plain\nRUN x\nRUN --mount=type=bnd x\n", &settings()).unwrap_err();
    assert_eq!(lines(&error), [(3, 3)]);
    assert!(plan_with("FROM plain AS unused\nRUN --mount=type=bnd x\nFROM scratch\n", &settings()).is_ok());
}
