//! `ADD` of what is elsewhere, contexts from everywhere, and what becomes of an image: with real servers.

use crate::support::{git_server, run, shown, slipway};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A web server, a git server and a data directory.
struct Place {
    directory: tempfile::TempDir,
    web: String,
    served: Arc<Served>,
    _tokio: tokio::runtime::Runtime,
}

#[derive(Default)]
struct Served {
    content: Mutex<Vec<u8>>,
    sent: AtomicUsize,
    asked: AtomicUsize,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        for name in ["git", "context"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        let served = Arc::new(Served::default());
        *served.content.lock().unwrap() = b"content".to_vec();
        let router = Router::new()
            .nest_service("/git", git_server::router(directory.path().join("git")))
            .fallback(web)
            .with_state(served.clone());
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = tokio.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let web = format!("http://{}", listener.local_addr().unwrap());
        tokio.spawn(async move { axum::serve(listener, router).await });
        Place { directory, web, served, _tokio: tokio }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = slipway();
        command.args(["build", "--progress", "plain", "--data-dir"]).arg(self.path("data"));
        command.env_remove("SOURCE_DATE_EPOCH").current_dir(self.directory.path()).stdin(Stdio::null());
        command
    }

    /// Builds a Dockerfile in the context and returns the image's files: `mode size path`, with times.
    fn files(&self, dockerfile: &str, arguments: &[&str]) -> Result<String, String> {
        std::fs::write(self.path("context/Dockerfile"), dockerfile.replace("@WEB@", &self.web)).unwrap();
        let tar = self.path("out.tar");
        let _ = std::fs::remove_file(&tar);
        let mut command = self.command();
        command.arg("-o").arg(format!("type=tar,dest={}", tar.display())).args(arguments).arg("context");
        let output = command.output().unwrap();
        if !output.status.success() {
            return Err(shown(&output));
        }
        Ok(listed(&tar))
    }

    /// Makes a bare repository with a commit of these files.
    fn repository(&self, name: &str, files: &[(&str, &str)], prepare: &str) -> String {
        let work = self.path(&format!("{name}.work"));
        std::fs::create_dir(&work).unwrap();
        for (path, content) in files {
            let path = work.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let script = format!(
            "git init -q -b main . && {prepare} git add -A && git -c user.name=t -c user.email=t@t commit -q -m one && \
             git tag v1 && git clone -q --bare . ../git/{name}.git"
        );
        run(Command::new("sh").args(["-ec", &script]).current_dir(&work).env_remove("GIT_ALLOW_PROTOCOL"));
        run(Command::new("git").arg("-C").arg(&work).args(["rev-parse", "HEAD"])).trim().to_owned()
    }
}

/// Returns what is in a tar, one line for each entry but directories.
fn listed(tar: &Path) -> String {
    run(Command::new("tar").args(["--utc", "--full-time", "-tvf"]).arg(tar))
        .lines()
        .filter(|line| !line.starts_with('d'))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n")
        .collect()
}

async fn web(State(served): State<Arc<Served>>, headers: HeaderMap, request: Request) -> Response {
    served.asked.fetch_add(1, Ordering::Relaxed);
    let content = served.content.lock().unwrap().clone();
    let tag = format!("\"{}\"", content.len());
    match request.uri().path() {
        "/missing" => StatusCode::NOT_FOUND.into_response(),
        "/redirect" => (StatusCode::FOUND, [(header::LOCATION, "/d/file.txt")]).into_response(),
        "/loop" => (StatusCode::FOUND, [(header::LOCATION, "/loop")]).into_response(),
        "/plain" => content.into_response(),
        _ if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) => {
            StatusCode::NOT_MODIFIED.into_response()
        }
        _ => {
            served.sent.fetch_add(1, Ordering::Relaxed);
            let modified = "Wed, 21 Oct 2015 07:28:00 GMT".to_owned();
            ([(header::ETAG, tag), (header::LAST_MODIFIED, modified)], content).into_response()
        }
    }
}

const CONTENT: &str = "sha256:ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73";

#[test]
fn files_are_added_from_the_web_once_and_as_buildkit_has_them() {
    // E22, DF-189, DF-190, DF-191
    let place = Place::new();
    let dockerfile = "FROM scratch\nADD @WEB@/d/file.txt @WEB@/ @WEB@/redirect @WEB@/plain /d/\nADD --chmod=755 --chown=1:2 @WEB@/d/file.txt /x\n";
    let files = place.files(dockerfile, &[]).unwrap();
    assert_eq!(
        files,
        "-rw------- 0/0 7 1970-01-01 00:00:00 d/__unnamed__\n\
         -rw------- 0/0 7 2015-10-21 07:28:00 d/file.txt\n\
         -rw------- 0/0 7 1970-01-01 00:00:00 d/plain\n\
         -rw------- 0/0 7 2015-10-21 07:28:00 d/redirect\n\
         -rwxr-xr-x 1/2 7 2015-10-21 07:28:00 x\n"
            .replace("1970-01-01 00:00:00 d/__unnamed__", "2015-10-21 07:28:00 d/__unnamed__")
    );
    let sent = place.served.sent.load(Ordering::Relaxed);
    assert_eq!(place.files(dockerfile, &[]).unwrap(), files);
    assert_eq!(place.served.sent.load(Ordering::Relaxed), sent, "what did not change was sent again");
    *place.served.content.lock().unwrap() = b"changed content".to_vec();
    assert!(place.files(dockerfile, &[]).unwrap().contains("15 2015-10-21 07:28:00 x"), "a change was not seen");
}

#[test]
fn what_cannot_be_added_says_why() {
    // DF-189, DF-191, DF-23
    let place = Place::new();
    let add = |line: &str| place.files(&format!("FROM scratch\nADD {line} /x\n"), &[]);
    let other = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    for (line, expected) in [
        ("@WEB@/missing".to_owned(), "404"),
        ("@WEB@/loop".to_owned(), "redirects too often"),
        (format!("--checksum={other} @WEB@/a"), CONTENT),
        ("--checksum=md5:00 @WEB@/a".to_owned(), "unsupported digest algorithm"),
        (format!("--checksum={CONTENT} @WEB@/a @WEB@/b"), "can't be specified for multiple sources"),
        ("@WEB@/git/none.git".to_owned(), "none.git"),
        ("https://127.0.0.1:1/x".to_owned(), "cannot be reached"),
    ] {
        let said = add(&line).unwrap_err();
        assert!(said.contains(expected) && said.contains("Dockerfile:2"), "{line}: `{expected}` is missing:\n{said}");
    }
    assert!(add(&format!("--checksum={CONTENT} @WEB@/a")).is_ok());
    // With its checksum known, nobody is asked for it again.
    let asked = place.served.asked.load(Ordering::Relaxed);
    assert!(add(&format!("--checksum={CONTENT} @WEB@/a")).is_ok());
    assert_eq!(place.served.asked.load(Ordering::Relaxed), asked);
}

#[test]
fn archives_from_the_web_are_unpacked_on_demand_only() {
    // DF-184, DF-189
    let place = Place::new();
    std::fs::write(place.path("f"), "1").unwrap();
    run(Command::new("tar").args(["-czf", "a.tgz", "f"]).current_dir(place.directory.path()));
    *place.served.content.lock().unwrap() = std::fs::read(place.path("a.tgz")).unwrap();
    let files =
        place.files("FROM scratch\nADD @WEB@/a.tgz /kept/\nADD --unpack=true @WEB@/a.tgz /out/\n", &[]).unwrap();
    assert!(files.contains(" kept/a.tgz\n") && files.contains(" out/f\n"), "{files}");
}

#[test]
fn repositories_are_added_with_their_submodules() {
    // DF-192, DF-193
    let place = Place::new();
    place.repository("inner", &[("deep/i", "inner")], "");
    let submodule =
        format!("git -c protocol.file.allow=always submodule add -q {}/git/inner.git libs/inner &&", place.web);
    let commit = place.repository(
        "outer",
        &[("top", "1"), ("sub/f", "22"), ("sub/run", "x")],
        &format!("chmod 755 sub/run && {submodule}"),
    );
    let whole = place.files("FROM scratch\nADD @WEB@/git/outer.git /o/\n", &[]).unwrap();
    for (part, there) in [
        ("22:", false),
        (" o/top\n", true),
        (" o/libs/inner/deep/i\n", true),
        (" o/.gitmodules\n", true),
        (".git/", false),
    ] {
        assert!(part == "22:" || whole.contains(part) == there, "{part}:\n{whole}");
    }
    assert!(whole.contains("-rwxr-xr-x 0/0 1"), "{whole}");
    let part = place.files("FROM scratch\nADD @WEB@/git/outer.git#v1:sub /o/\nADD @WEB@/git/outer.git?branch=main&subdir=sub&submodules=false /p/\n", &[]).unwrap();
    assert_eq!(part.lines().filter(|line| line.ends_with("/f") || line.ends_with("/run")).count(), 4, "{part}");
    assert_eq!(part.lines().count(), 4, "{part}");
    let kept = place
        .files("FROM scratch\nADD --keep-git-dir @WEB@/git/outer.git /o/\n", &["-o", "type=local,dest=kept"])
        .unwrap();
    assert!(kept.contains(" o/.git/HEAD\n"), "{kept}");
    let head = run(Command::new("git")
        .arg("-c")
        .arg("safe.directory=*")
        .arg("-C")
        .arg(place.path("kept/o"))
        .args(["rev-parse", "HEAD"]));
    assert_eq!(head.trim(), commit);
    let status = run(Command::new("git").arg("-c").arg("safe.directory=*").arg("-C").arg(place.path("kept/o")).args([
        "status",
        "--porcelain",
        "--ignore-submodules",
    ]));
    assert_eq!(status, "", "the kept repository is not the tree that was copied");
    let checked = |checksum: &str| {
        place.files(&format!("FROM scratch\nADD --checksum={checksum} @WEB@/git/outer.git /o/\n"), &[])
    };
    assert!(checked(&commit).is_ok());
    let other = checked("0123456789012345678901234567890123456789").unwrap_err();
    assert!(other.contains("commit 0123456789012345678901234567890123456789 is not in"), "{other}");
    let tagged = format!(
        "FROM scratch
ADD --checksum={} @WEB@/git/outer.git#v1 /o/
",
        "0".repeat(40)
    );
    assert!(place.files(&tagged, &[]).unwrap_err().contains("expected checksum to match"));
    assert!(
        place
            .files("FROM scratch\nADD @WEB@/git/outer.git?bogus=1 /o/\n", &[])
            .unwrap_err()
            .contains("unexpected query parameter")
    );
}

/// Runs a command with something on standard input.
fn with_input(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join();
    output
}

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
    assert_eq!(digest("one", &["--no-cache"]), first, "built anew");
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

/// Runs a build and returns whether it succeeded, what it said, and the most memory it used, in bytes.
fn measured(mut command: Command) -> (bool, String, u64) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    let code = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let peak =
            text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        most = most.max(peak.unwrap_or(0) * 1024);
        if let Some(code) = child.try_wait().unwrap() {
            break code;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    let output = child.wait_with_output().unwrap();
    (code.success(), shown(&output), most)
}

#[test]
fn bombs_are_contained() {
    // CTX-07, CTX-09
    let place = Place::new();
    let script = "\
import gzip, tarfile, io
def many(name, count):
    header = tarfile.TarInfo('f').tobuf()
    with gzip.open(name, 'wb', 1) as out:
        for _ in range(count // 1000): out.write(header * 1000)
many('entries.tgz', 1000000)
with gzip.open('large.tgz', 'wb', 1) as out:
    info = tarfile.TarInfo('f'); info.size = 400 << 20
    out.write(info.tobuf())
    for _ in range(400): out.write(bytes(1 << 20))
    out.write(bytes(1024))
with gzip.open('claims.tgz', 'wb', 1) as out:
    info = tarfile.TarInfo('f'); info.size = 1 << 42
    out.write(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
";
    run(Command::new("python3").args(["-c", script]).current_dir(place.path("context")));
    for (archive, fits, expected) in [
        ("entries.tgz", false, "more than 400000 entries"),
        ("claims.tgz", false, "bytes"),
        ("large.tgz", true, "DONE"),
    ] {
        std::fs::write(place.path("context/Dockerfile"), format!("FROM scratch\nADD {archive} /\n")).unwrap();
        let mut command = place.command();
        command.arg("context");
        let (built, said, memory) = measured(command);
        assert!(built == fits && said.contains(expected), "{archive}: {said}");
        assert!(memory < 256 << 20, "{archive} took {memory} bytes of memory");
    }
    // The same as a context is refused the same way.
    let input = std::fs::read(place.path("context/entries.tgz")).unwrap();
    let output = with_input(place.command().arg("-"), &input);
    assert!(!output.status.success() && shown(&output).contains("more than 400000 entries"), "{}", shown(&output));
}

#[test]
fn a_pushed_dockerfile_reaches_public_addresses_only() {
    // DF-23
    let site = crate::support::Site::start("");
    for (line, expected) in [
        ("ADD http://127.0.0.1:1/x /x", "is not public"),
        ("ADD http://localhost/x /x", "is not public"),
        ("ADD http://169.254.169.254/latest/meta-data /x", "is not public"),
        ("ADD http://[::ffff:10.0.0.1]/x /x", "is not public"),
        ("ADD http://127.0.0.1:1/x.git /x", "is not public"),
    ] {
        let commit = site.commit(&[("Dockerfile", &format!("FROM scratch\n{line}\n"))]);
        let id = site.push(&commit);
        let build = site.finished(&id);
        assert_eq!(build["state"], "failed", "{build:#}");
        assert!(site.log(&id).contains(expected), "{line}: {}", site.log(&id));
    }
}
