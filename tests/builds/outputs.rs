//! Outputs of builds: where images go, and which files never become part of one.

use crate::support::build_directory::{Place, listed};
use crate::support::{run, shown, slipway};
use std::process::Command;

#[test]
fn archives_of_images_are_what_other_tools_load() {
    // DF-274
    let place = Place::new();
    std::fs::write(place.path("context/Dockerfile"), "FROM scratch\nCOPY Dockerfile /d\nENV A=b\n").unwrap();
    let mut build = place.command();
    run(build.args([
        "-t",
        "team/app:2",
        "-o",
        "type=docker,dest=docker.tar",
        "-o",
        "type=oci,dest=oci.tar",
        "context",
    ]));
    for archive in ["docker-archive:docker.tar", "oci-archive:oci.tar"] {
        let copied = format!("dir:{}", place.path("copied").display());
        run(Command::new("skopeo").args(["copy", "-q", archive, &copied]).current_dir(place.directory.path()));
        let config =
            run(Command::new("skopeo").args(["inspect", "--config", archive]).current_dir(place.directory.path()));
        assert!(config.contains("A=b"), "{archive}: {config}");
    }
    let names =
        run(Command::new("tar").args(["-xOf", "docker.tar", "manifest.json"]).current_dir(place.directory.path()));
    assert!(names.contains("\"team/app:2\""), "{names}");
    let quiet = run(place.command().args(["-q", "context"]));
    assert!(quiet.starts_with("sha256:") && quiet.trim().len() == 71, "{quiet:?}");
    let mut to_stdout = place.command();
    let output = to_stdout.args(["-o", "-", "context"]).output().unwrap();
    std::fs::write(place.path("stdout.tar"), &output.stdout).unwrap();
    assert!(listed(&place.path("stdout.tar")).ends_with(" d\n"));
    let bad = place.command().args(["-o", "type=bogus", "context"]).output().unwrap();
    assert!(!bad.status.success() && shown(&bad).contains("unknown type `bogus`"), "{}", shown(&bad));
}

#[test]
fn the_same_commit_is_the_same_image_on_two_machines() {
    // DF-243, DF-273: two data directories, one epoch, cached or not
    let place = Place::new();
    std::fs::copy("/bin/busybox", place.path("context/busybox")).unwrap();
    let dockerfile = "FROM scratch\nCOPY busybox /bin/sh\nWORKDIR /w\nCOPY <<F d/\nx\nF\nRUN echo one > /w/one && mkdir /w/two\nADD Dockerfile /a/b/\n";
    std::fs::write(place.path("context/Dockerfile"), dockerfile).unwrap();
    let digest = |data: &str, arguments: &[&str]| {
        let mut command = slipway();
        command
            .args(["build", "-q", "--build-arg", "SOURCE_DATE_EPOCH=1700000000", "--data-dir"])
            .arg(place.path(data));
        run(command.args(arguments).arg(place.path("context")))
    };
    let first = digest("one", &[]);
    assert_eq!(digest("one", &[]), first, "cached");
    assert_eq!(digest("two", &[]), first, "on another machine");
    assert_eq!(digest("one", &["--no-cache"]), first, "built again");
}

#[test]
fn secrets_and_agents_are_given_as_docker_takes_them() {
    let place = Place::new();
    std::fs::copy("/bin/busybox", place.path("context/busybox")).unwrap();
    std::fs::write(place.path("secret"), "from-a-file").unwrap();
    let run_line = "RUN --mount=type=secret,id=f --mount=type=secret,id=v,env=V [\"/bin/sh\", \"-c\", \"echo $(/bin/sh cat /run/secrets/f | sed s/-/+/g) ${#V}\"]";
    let dockerfile = format!(
        "FROM scratch\nCOPY busybox /bin/sh\nCOPY busybox /bin/cat\nCOPY busybox /bin/sed\n{}\n",
        run_line.replace("/bin/sh cat", "cat")
    );
    std::fs::write(place.path("context/Dockerfile"), dockerfile).unwrap();
    let mut command = place.command();
    command.env("TOKEN", "12345").args([
        "--secret",
        "id=f,src=secret",
        "--secret",
        "type=env,id=v,env=TOKEN",
        "context",
    ]);
    let said = shown(&command.output().unwrap());
    assert!(said.contains("from+a+file 5"), "{said}");
    let no_agent = place.command().env_remove("SSH_AUTH_SOCK").args(["--ssh", "default", "context"]).output().unwrap();
    assert!(shown(&no_agent).contains("SSH_AUTH_SOCK is not set"), "{}", shown(&no_agent));
}

#[test]
fn a_cache_with_an_owner_begins_anew_where_nothing_is_cached() {
    // DF-138: BuildKit makes such a directory in a step of its own, which --no-cache makes again
    let place = Place::new();
    std::fs::copy("/bin/busybox", place.path("context/busybox")).unwrap();
    let dockerfile = "FROM scratch AS one\nCOPY busybox /bin/sh\nARG N\n\
        RUN --mount=type=cache,target=/own,mode=0773 --mount=type=cache,target=/plain \
        echo $N > /own/$N; echo $N > /plain/$N; echo own $(cd /own; echo *) plain $(cd /plain; echo *) end\n";
    let said = |number: &str, arguments: &[&str]| {
        let number = format!("N={number}");
        std::fs::write(place.path("context/Dockerfile"), dockerfile).unwrap();
        let output = place.command().args(["--build-arg", &number]).args(arguments).arg("context").output().unwrap();
        assert!(output.status.success(), "{}", shown(&output));
        let text = shown(&output);
        let line = text.lines().find(|line| line.ends_with(" end") && !line.contains('$'));
        line.and_then(|line| line.split_once("own ")).map_or(text.clone(), |(_, files)| files.to_owned())
    };
    assert_eq!(said("1", &[]), "1 plain 1 end");
    assert_eq!(said("2", &[]), "1 2 plain 1 2 end");
    assert_eq!(said("3", &["--no-cache"]), "3 plain 1 2 3 end");
    assert_eq!(said("4", &[]), "3 4 plain 1 2 3 4 end", "the new directory is the one that is kept");
    assert_eq!(said("5", &["--no-cache-filter", "two"]), "3 4 5 plain 1 2 3 4 5 end");
    assert_eq!(said("6", &["--no-cache-filter", "ONE"]), "6 plain 1 2 3 4 5 6 end");
}

#[test]
fn keys_of_files_are_held_by_an_agent_as_long_as_the_build_runs() {
    // DF-142
    let place = Place::new();
    let script = "for f in $(command -v ssh-add) $(ldd $(command -v ssh-add) | grep -o '/[^ ]*'); do \
        mkdir -p context/files$(dirname $f); cp -L $f context/files$f; done; mkdir -p context/files/bin; \
        cp /bin/busybox context/files/bin/sh; \
        for k in one two; do ssh-keygen -q -t ed25519 -N '' -C key-$k -f $k; done; \
        ssh-keygen -q -t ed25519 -N secret -f locked; chmod 644 one; mkdir tmp";
    run(Command::new("sh").args(["-ec", script]).current_dir(place.directory.path()));
    let dockerfile = "FROM scratch\nCOPY files /\nRUN --mount=type=ssh ssh-add -l; echo $SSH_AUTH_SOCK\n\
        RUN --mount=type=ssh,id=other,required --mount=type=ssh,id=other,target=/agent SSH_AUTH_SOCK=/agent ssh-add -l\n";
    std::fs::write(place.path("context/Dockerfile"), dockerfile).unwrap();
    let said = |arguments: &[&str]| {
        let mut command = place.command();
        command.env("TMPDIR", place.path("tmp")).env_remove("SSH_AUTH_SOCK").arg("--no-cache").args(arguments);
        let output = command.arg("context").output().unwrap();
        (output.status.success(), shown(&output))
    };
    let (built, text) = said(&["--ssh", "default=one,two", "--ssh", "other=two"]);
    assert!(built && text.contains("/run/buildkit/ssh_agent.0"), "{text}");
    assert_eq!(
        (text.matches("key-one (ED25519)").count(), text.matches("key-two (ED25519)").count()),
        (1, 2),
        "{text}"
    );
    let left = std::fs::read_dir(place.path("tmp")).unwrap().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    assert!(left.is_empty(), "left behind: {left:?}");
    let (built, text) = said(&["--ssh", "default=locked"]);
    assert!(!built && text.contains("only private keys without a passphrase are read"), "{text}");
    let (built, text) = said(&["--ssh", "default=one.pub"]);
    assert!(!built && text.contains("reading the key `one.pub`"), "{text}");
}
