//! Where contexts come from, the main one and those with names.

use crate::support::build_directory::{Place, listed, with_input};
use crate::support::{run, shown};
use std::path::Path;
use std::process::Command;

#[test]
fn contexts_come_from_directories_streams_archives_repositories_and_the_web() {
    // DF-196, DF-198
    let place = Place::new();
    let context = place.path("context");
    std::fs::create_dir(context.join("sub")).unwrap();
    std::fs::write(context.join("sub/f"), "1").unwrap();
    std::fs::write(context.join("Dockerfile"), "FROM scratch\nCOPY sub /s\n").unwrap();
    std::fs::write(context.join("sub/Other"), "FROM scratch\nCOPY sub/f /other\n").unwrap();
    run(Command::new("tar").args(["--owner=7", "--group=8", "-czf", "../c.tgz", "."]).current_dir(&context));
    let tgz = std::fs::read(place.path("c.tgz")).unwrap();
    *place.served.content.lock().unwrap() = tgz.clone();
    place.repository("ctx", &[("in/Dockerfile", "FROM scratch\nCOPY f /f\n"), ("in/f", "1")], "");
    let built = |input: &[u8], arguments: &[&str]| -> Result<String, String> {
        let tar = place.path("out.tar");
        let _ = std::fs::remove_file(&tar);
        let mut command = place.command();
        command.arg("-o").arg(format!("type=tar,dest={}", tar.display())).args(arguments);
        let output = with_input(&mut command, input);
        if output.status.success() { Ok(listed(&tar)) } else { Err(shown(&output)) }
    };
    let owner = |files: &str| files.split_whitespace().nth(1).unwrap().to_owned();
    assert_eq!(owner(&built(b"", &["context"]).unwrap()), "0/0", "owners of a directory are nobody's business");
    for (name, input, arguments) in [
        ("a tar on standard input", tgz.as_slice(), vec!["-"]),
        ("a tar in a file", b"", vec!["c.tgz"]),
        ("a tar from the web", b"", vec![place.web.as_str()]),
    ] {
        let files = built(input, &arguments).unwrap_or_else(|said| panic!("{name}: {said}"));
        assert!(files.ends_with(" s/f\n") && owner(&files) == "7/8", "{name}: {files}");
    }
    assert!(built(&tgz, &["-f", "sub/Other", "-"]).unwrap().ends_with(" other\n"));
    assert!(built(b"FROM scratch\nCOPY <<X /x\nX\n", &["-"]).unwrap().ends_with(" x\n"), "a Dockerfile alone");
    assert!(built(b"FROM scratch\nCOPY sub/f /y\n", &["-f", "-", "context"]).unwrap().ends_with(" y\n"));
    let git = format!("{}/git/ctx.git#main:in", place.web);
    assert!(built(b"", &[&git]).unwrap().ends_with(" f\n"));
    assert!(built(b"", &["-f", "-", "-"]).unwrap_err().contains("can't use stdin for both"));
    assert!(built(b"FROM scratch\nCOPY f /\n", &["-"]).unwrap_err().contains("\"/f\": not found"));
    let named = format!("more={}/git/ctx.git#v1:in", place.web);
    let both = built(
        b"FROM scratch\nCOPY --from=more f /m\nCOPY --from=dir sub/f /n\n",
        &["--build-context", &named, "--build-context", "dir=context", "-f", "-", "context"],
    );
    assert_eq!(both.unwrap().lines().count(), 2);
}

#[test]
fn images_of_layouts_stand_for_names_and_several_platforms_are_an_index() {
    // DF-240, DF-242, DF-244, DF-274
    let place = Place::new();
    std::fs::write(place.path("context/Dockerfile"), "FROM scratch\nARG TARGETARCH\nCOPY <<F /f\n$TARGETARCH\nF\n")
        .unwrap();
    let mut build = place.command();
    build.args([
        "--platform",
        "linux/amd64,linux/arm64",
        "-t",
        "multi:1",
        "--annotation",
        "index:who=me",
        "--annotation",
        "manifest[linux/arm64]:only=arm",
    ]);
    run(build.args([
        "-o",
        "type=oci,tar=false,dest=layout",
        "-o",
        "local",
        "--metadata-file",
        "meta",
        "--iidfile",
        "iid",
        "context",
    ]));
    let json = |path: &Path| -> serde_json::Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let descriptor = json(&place.path("layout/index.json"))["manifests"][0].clone();
    assert_eq!(descriptor["annotations"]["org.opencontainers.image.ref.name"], "1");
    let blob =
        |digest: &serde_json::Value| json(&place.path("layout/blobs").join(digest.as_str().unwrap().replace(':', "/")));
    let index = blob(&descriptor["digest"]);
    assert_eq!(index["annotations"]["who"], "me");
    let architectures: Vec<_> =
        index["manifests"].as_array().unwrap().iter().map(|one| one["platform"]["architecture"].clone()).collect();
    assert_eq!(architectures, ["amd64", "arm64"]);
    assert_eq!(blob(&index["manifests"][1]["digest"])["annotations"]["only"], "arm");
    assert_eq!(json(&place.path("meta"))["containerimage.digest"], descriptor["digest"]);
    assert_eq!(std::fs::read_to_string(place.path("iid")).unwrap(), descriptor["digest"]);
    assert_eq!(std::fs::read_to_string(place.path("local/linux_arm64/f")).unwrap(), "arm64\n");
    run(Command::new("skopeo").args(["inspect", "--raw"]).arg(format!("oci:{}:1", place.path("layout").display())));
    let files = place
        .files(
            "FROM other AS one\nFROM multi\nCOPY --from=one /f /g\n",
            &[
                "--build-context",
                "multi=oci-layout://layout",
                "--build-context",
                "other=oci-layout://layout:1",
                "--platform",
                "linux/arm64",
            ],
        )
        .unwrap();
    assert!(files.contains("0/0 6 ") && files.ends_with(" g\n"), "{files}");
    let alone = place.files("FROM scratch\n", &["--annotation", "index:a=b"]).unwrap_err();
    assert!(alone.contains("an image for one platform has none"), "{alone}");
}

#[test]
fn an_ignore_file_is_that_of_a_directory() {
    // DF-199, EN-60: a repository is built as its directory is; a tar, and a repository with a name, are copied as they are
    let place = Place::new();
    let files = [("f", "1"), ("hidden", "2"), (".dockerignore", "hid*"), ("Dockerfile", "FROM scratch\nCOPY . /\n")];
    for (name, content) in files {
        std::fs::write(place.path("context").join(name), content).unwrap();
    }
    place.repository("ctx", &files, "");
    run(Command::new("tar").args(["-cf", "../c.tar", "."]).current_dir(place.path("context")));
    let tar = std::fs::read(place.path("c.tar")).unwrap();
    let hides = |input: &[u8], arguments: &[&str]| {
        let out = place.path("out.tar");
        let mut command = place.command();
        command.arg("-o").arg(format!("type=tar,dest={}", out.display())).args(arguments);
        let output = with_input(&mut command, input);
        assert!(output.status.success(), "{arguments:?}: {}", shown(&output));
        let files = listed(&out);
        assert!(files.contains(" f\n"), "{arguments:?}: {files}");
        !files.contains(" hidden\n")
    };
    let git = format!("{}/git/ctx.git#main", place.web);
    let all: &[u8] = b"FROM scratch\nCOPY . /\n";
    let named: &[u8] = b"FROM scratch\nCOPY --from=n . /\n";
    let dir = "n=context";
    assert!(hides(b"", &["context"]) && hides(all, &["-f", "-", "context"]));
    assert!(hides(named, &["--build-context", dir, "-f", "-", "context"]));
    assert!(hides(b"", &[&git]) && hides(all, &["-f", "-", &git]));
    assert!(!hides(&tar, &["-"]) && !hides(b"", &["c.tar"]));
    assert!(!hides(named, &["--build-context", &format!("n={git}"), "-f", "-", "context"]));
}

#[test]
fn files_with_a_name_are_bases_and_take_the_place_of_stages() {
    // DF-088, DF-089
    let place = Place::new();
    for (path, content) in
        [("dir/bin/f", "1"), ("dir/hidden", "2"), ("dir/.dockerignore", "hid*\n.dockerignore"), ("context/x", "3")]
    {
        std::fs::create_dir_all(place.path(path).parent().unwrap()).unwrap();
        std::fs::write(place.path(path), content).unwrap();
    }
    place.repository("base", &[("of/repository", "1")], "");
    let named = |dockerfile: &str, arguments: &[&str]| {
        let files = place.files(dockerfile, arguments).unwrap_or_else(|said| panic!("{dockerfile}: {said}"));
        files.lines().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    let dir = ["--build-context", "tools=dir"];
    assert_eq!(named("FROM tools\nCOPY x /x\n", &dir), "bin/f x");
    let stage = "FROM nosuch.invalid/image AS tools\nRUN never\nFROM tools\nCOPY --from=0 /bin/f /g\nCOPY --from=tools bin/f /h\n";
    assert_eq!(named(stage, &dir), "bin/f g h");
    assert_eq!(named(&format!("{stage}FROM scratch\n"), &["--target", "tools", dir[0], dir[1]]), "bin/f");
    let git = format!("tools={}/git/base.git#v1", place.web);
    assert_eq!(named("FROM tools\n", &["--build-context", &git]), "of/repository");
    assert_eq!(named("FROM tools\nCOPY x /x\n", &["--build-context", "tools=docker-image://scratch"]), "x");
    // A name that is not needed does not fail a build, and one that is an image is found in all its spellings.
    std::fs::write(place.path("context/Dockerfile"), "FROM scratch\nCOPY x /of-layout\nONBUILD COPY x /triggered\n")
        .unwrap();
    run(place.command().args(["-o", "type=oci,tar=false,dest=layout", "context"]));
    let layout = ["--build-context", "debian=oci-layout://layout"];
    assert_eq!(named("FROM docker.io/library/debian:latest\n", &layout), "of-layout triggered");
    assert_eq!(named("FROM nosuch.invalid/image AS debian\nRUN never\n", &layout), "of-layout");
    let slip = place.files("FROM tols.invalid/x AS tool\nFROM tol\n", &["--network", "none"]).unwrap_err();
    assert!(slip.contains("resolving image `tol` (did you mean tool?)"), "DF-305: {slip}");
}
