//! Results of builds: the same image again, the files that steps saw, and messages that say what is wrong.

use crate::support::build_directory::Place;
use crate::support::{Site, TOKEN, run, shown};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Writes an image of one layer into an OCI layout; `tar` is what the layer is decompressed.
fn layout(place: &Path, kind: &str, blob: &[u8], diff_id: &str) {
    std::fs::create_dir_all(place.join("blobs/sha256")).unwrap();
    std::fs::write(place.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let described = |kind: &str, bytes: &[u8]| {
        let digest = hex::encode(Sha256::digest(bytes));
        std::fs::write(place.join("blobs/sha256").join(&digest), bytes).unwrap();
        let media_type = format!("application/vnd.oci.image.{kind}");
        serde_json::json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len() })
    };
    let config = serde_json::json!({ "architecture": "amd64", "os": "linux", "config": { "Env": ["PATH=/bin"] },
        "rootfs": { "type": "layers", "diff_ids": [diff_id] } });
    let layer = described(kind, blob);
    let manifest = serde_json::json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("config.v1+json", config.to_string().as_bytes()), "layers": [layer] });
    let manifest = described("manifest.v1+json", manifest.to_string().as_bytes());
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [manifest] });
    std::fs::write(place.join("index.json"), index.to_string()).unwrap();
}

fn diff_id(tar: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(tar)))
}

/// Makes a tar with Python, which writes whatever entries it is told to; `add` adds one.
fn odd_tar(entries: &str) -> Vec<u8> {
    let script = format!(
        "import sys, io, tarfile\nout = tarfile.open(fileobj=sys.stdout.buffer, mode='w|')\n\
         def add(name, kind=tarfile.REGTYPE, text='', link='', mode=0o755):\n    \
         info = tarfile.TarInfo(name); info.type = kind; info.linkname = link; info.mode = mode; info.size = len(text)\n    \
         out.addfile(info, io.BytesIO(text.encode()))\n{entries}\nout.close()\n"
    );
    let output = Command::new("python3").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{}", shown(&output));
    output.stdout
}

#[test]
fn of_a_path_that_a_layer_holds_twice_outputs_have_what_steps_see() {
    // EN-43
    let place = Place::new();
    let tar = odd_tar(
        "add('dup', text='aaaa'); add('name', tarfile.LNKTYPE, link='dup'); add('./dup', text='bbbb')\n\
         add('d/', tarfile.DIRTYPE); add('d/x', text='x'); add('d', text='file')\n\
         add('f', text='f'); add('f', tarfile.SYMTYPE, link='dup')\n\
         add('gone', text='there'); add('.wh.gone')\n\
         add('usr/lib', tarfile.DIRTYPE); add('lib', tarfile.SYMTYPE, link='usr/lib'); add('lib/so', text='so')\n\
         add('pipe', tarfile.FIFOTYPE, mode=0o640); add('null', tarfile.CHRTYPE)",
    );
    layout(&place.path("image"), "layer.v1.tar", &tar, &diff_id(&tar));
    std::fs::write(place.path("context/Dockerfile"), "FROM odd AS odd\nFROM scratch\nCOPY --from=odd / /\n").unwrap();
    for target in ["odd", "stage-1"] {
        let arguments = ["--build-context", "odd=oci-layout://image", "--target", target];
        let arguments = if target == "odd" { &arguments[..] } else { &arguments[..2] };
        let built = |output: &str| place.command().args(arguments).args(["-o", output, "context"]).output().unwrap();
        let output = built("type=tar,dest=out.tar");
        assert!(output.status.success(), "{target}: {}", shown(&output));
        let (unpacked, files) = (place.path("unpacked"), place.path("files"));
        for directory in [&unpacked, &files] {
            let _ = std::fs::remove_dir_all(directory);
        }
        std::fs::create_dir(&unpacked).unwrap();
        let names = run(Command::new("tar").arg("-tf").arg(place.path("out.tar")));
        assert_eq!(names.lines().filter(|name| name.trim_start_matches("./") == "dup").count(), 1, "{names}");
        run(Command::new("tar").args(["--exclude=null", "-xf"]).arg(place.path("out.tar")).arg("-C").arg(&unpacked));
        let output = built("files");
        assert!(output.status.success(), "{target}: {}", shown(&output));
        assert!(shown(&output).contains("1 device of the image is left out of `files`: `null`"), "{}", shown(&output));
        for root in [&unpacked, &files] {
            let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| error.to_string());
            let found = ["dup", "name", "d", "f", "gone", "usr/lib/so"].map(read);
            assert_eq!(found, ["bbbb", "aaaa", "file", "bbbb", "there", "so"], "{target}: {root:?}");
            let pipe = std::fs::symlink_metadata(root.join("pipe")).unwrap();
            assert!(std::os::unix::fs::FileTypeExt::is_fifo(&pipe.file_type()), "{target}: {root:?}");
        }
    }
}

#[test]
fn outputs_go_where_links_lead() {
    // EN-98: a link that dangles is followed, one that leads in a circle is an error.
    let place = Place::new();
    std::fs::write(place.path("context/Dockerfile"), "FROM scratch\nCOPY Dockerfile /d\n").unwrap();
    for (link, target) in [("dangling.tar", "there.tar"), ("one", "two"), ("two", "one")] {
        std::os::unix::fs::symlink(target, place.path(link)).unwrap();
    }
    let built = |output: &str| place.command().args(["-o", output, "context"]).output().unwrap();
    assert!(built("type=tar,dest=dangling.tar").status.success());
    assert!(crate::support::build_directory::listed(&place.path("there.tar")).ends_with(" d\n"));
    assert!(place.path("dangling.tar").symlink_metadata().unwrap().is_symlink());
    for (output, expected) in [("type=oci,dest=one", "symbolic links"), ("two", "writing `two`")] {
        let output = built(output);
        assert!(!output.status.success() && shown(&output).contains(expected), "{}", shown(&output));
    }
}

#[test]
fn a_layer_of_zeros_ends_the_build_soon() {
    // SEC-m6: 24 MB of gzip that become 24 GB.
    let place = Place::new();
    let script = "import gzip, tarfile\n\
        def header(name):\n    info = tarfile.TarInfo(name); info.size = 1 << 30\n    return info.tobuf()\n\
        zeros = gzip.compress(bytes(64 << 20), 9) * 16\n\
        with open('bomb.gz', 'wb') as out:\n    \
        for n in range(24): out.write(gzip.compress(header(f'f{n}')) + zeros)\n";
    run(Command::new("python3").args(["-c", script]).current_dir(place.directory.path()));
    let blob = std::fs::read(place.path("bomb.gz")).unwrap();
    layout(&place.path("image"), "layer.v1.tar+gzip", &blob, &diff_id(b"other"));
    std::fs::write(place.path("context/Dockerfile"), "FROM bomb\nCOPY Dockerfile /\n").unwrap();
    // Seconds of the processor, which others on the machine do not make longer.
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -t 10; exec \"$@\"", "sh"]).arg(place.command().get_program());
    limited.args(["build", "--progress", "plain", "--data-dir", "data", "-o", "out"]);
    limited.args(["--build-context", "bomb=oci-layout://image", "context"]).current_dir(place.directory.path());
    let output = limited.output().unwrap();
    let said = shown(&output);
    assert!(!output.status.success() && said.contains("compressed bytes allow"), "{said}");
}

#[test]
fn a_sparse_file_comes_back_from_its_layer() {
    // SEC-m6: what a step leaves may be nothing but zeros, which zstd makes a ten-thousandth of.
    let place = Place::new();
    std::fs::copy("/bin/busybox", place.path("context/busybox")).unwrap();
    let dockerfile = "FROM scratch\nCOPY busybox /bin/sh\nCOPY busybox /bin/truncate\nRUN truncate -s 300M /sparse\n";
    std::fs::write(place.path("context/Dockerfile"), dockerfile).unwrap();
    for arguments in [&["-o", "type=oci,tar=false,dest=image,compression=zstd"], &["-o", "type=tar,dest=out.tar"]] {
        let output = place.command().args(arguments).arg("context").output().unwrap();
        assert!(output.status.success(), "{}", shown(&output));
    }
    std::fs::write(place.path("context/Dockerfile"), "FROM sparse\nCOPY Dockerfile /d\n").unwrap();
    let mut again = place.command();
    again.args(["--build-context", "sparse=oci-layout://image", "-o", "type=tar,dest=again.tar", "context"]);
    let output = again.output().unwrap();
    assert!(output.status.success(), "{}", shown(&output));
    let listed = run(Command::new("tar").arg("-tvf").arg(place.path("again.tar")));
    assert!(listed.contains(" 314572800 "), "{listed}");
}

#[test]
fn an_unchanged_directory_is_one_image() {
    // US-06
    let place = Place::new();
    std::fs::copy("/bin/busybox", place.path("context/busybox")).unwrap();
    for dockerfile in [
        "FROM scratch\nCOPY busybox /bin/sh\nWORKDIR /a/b\nRUN echo x > y\nCOPY <<F d/\nx\nF\nENV A=b\n",
        "FROM scratch\nENV A=b\n",
    ] {
        std::fs::write(place.path("context/Dockerfile"), dockerfile).unwrap();
        let digest = || run(place.command().args(["-q", "context"]));
        let first = digest();
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(1100));
            assert_eq!(digest(), first, "{dockerfile}");
        }
    }
}

#[test]
fn a_commit_is_one_image_whatever_the_cache_holds() {
    // US-06
    let place = Place::new();
    let busybox = std::fs::read("/bin/busybox").unwrap();
    let dockerfile =
        "FROM scratch\nCOPY busybox /bin/sh\nWORKDIR /w\nRUN echo x > y\nCOPY --link kept /k/\nCOPY changed /c\n";
    let prepare = "cp /bin/busybox busybox; export GIT_COMMITTER_DATE=2001-02-03T04:05:06Z;";
    place.repository("app", &[("Dockerfile", dockerfile), ("kept", "1"), ("changed", "1")], prepare);
    assert!(!busybox.is_empty());
    let build = |data: &str| {
        let mut command = crate::support::slipway();
        command.args(["build", "-q", "--data-dir"]).arg(place.path(data)).env_remove("SOURCE_DATE_EPOCH");
        run(command.arg(format!("{}/git/app.git#main", place.web)))
    };
    let first = build("one");
    let script = "echo 2 > changed; git add -A; \
                  GIT_COMMITTER_DATE=2011-02-03T04:05:06Z git -c user.name=t -c user.email=t@t commit -q -m two; \
                  git push -q ../git/app.git main";
    let mut commit = Command::new("sh");
    run(commit.args(["-ec", script]).current_dir(place.path("app.work")).env_remove("GIT_ALLOW_PROTOCOL"));
    let second = build("one");
    assert_ne!(second, first);
    assert_eq!(build("two"), second, "without the older commit's layers");
}

#[test]
fn a_source_that_is_missing_is_told_of_in_words() {
    // US-20
    let place = Place::new();
    std::fs::create_dir(place.path("context/assets")).unwrap();
    for file in ["assets/Logo.svg", "secret.key"] {
        std::fs::write(place.path("context").join(file), "x").unwrap();
    }
    std::fs::write(place.path("context/.dockerignore"), "# keys\n*.key\n").unwrap();
    let said = |dockerfile: &str| place.files(dockerfile, &[]).unwrap_err();
    for (line, expected) in [
        ("COPY assets/logo.svg /", "`assets/logo.svg` is not in the context (did you mean `assets/Logo.svg`?)"),
        ("ADD secret.key /", "`secret.key` is not in the context: it is excluded by .dockerignore line 2 (`*.key`)"),
        ("COPY secret.key/x /", "`secret.key/x` is not in the context: `secret.key` is a file, not a directory"),
        ("COPY none/*.x /", "`none` is not in the context"),
        ("COPY --from=first /d/sue /", "`d/sue` is not in stage `first` (did you mean `d/use`?)"),
        ("RUN --mount=type=bind,source=asets,target=/a true", "`asets` is not in the context (did you mean `assets`?)"),
    ] {
        let said = said(&format!("FROM scratch AS first\nCOPY assets/Logo.svg /d/use\nFROM scratch\n{line}\n"));
        assert!(said.contains(expected), "{line}: {said}");
    }
    std::fs::rename(place.path("context/Dockerfile"), place.path("context/Dockerfil")).unwrap();
    let output = place.command().arg("context").output().unwrap();
    assert!(shown(&output).contains("did you mean `Dockerfil`?"), "{}", shown(&output));
}

#[test]
fn a_build_that_is_interrupted_says_so() {
    // US-29
    let place = Place::new();
    std::fs::copy("/bin/busybox", place.path("context/busybox")).unwrap();
    let dockerfile = "FROM scratch\nCOPY busybox /bin/sh\nCOPY busybox /bin/sleep\nRUN sleep 600\n";
    std::fs::write(place.path("context/Dockerfile"), dockerfile).unwrap();
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let child = place.command().arg("context").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_secs(3));
        run(Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]));
        let output = child.wait_with_output().unwrap();
        let said = shown(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains("CANCELLED: the build was cancelled") && !said.contains("failed to solve"), "{said}");
    }
}

#[test]
fn a_file_is_checked_without_its_registry() {
    // A registry that takes a connection and says nothing.
    let place = Place::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let image = format!("{}/team/base", silent.local_addr().unwrap());
    std::fs::write(place.path("context/Dockerfile"), format!("FROM {image}\nMAINTAINER me\n")).unwrap();
    let began = Instant::now();
    let mut check = crate::support::slipway();
    let output = check.args(["check", "--data-dir"]).arg(place.path("data")).arg(place.path("context")).output();
    let said = shown(&output.unwrap());
    assert!(said.contains("no answer within 2 s") && said.contains("MaintainerDeprecated"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[test]
fn flags_that_mean_docker_say_what_becomes_of_them() {
    let place = Place::new();
    std::fs::write(place.path("context/Dockerfile"), "FROM scratch\nCOPY Dockerfile /d\n").unwrap();
    for (flags, expected) in [
        (&["--attest", "type=sbom"][..], "NOTE: --attest changes nothing: slipway makes no attestations"),
        (&["--allow", "network.host"], "NOTE: --allow changes nothing: steps never share the machine's network"),
        (&["--load", "-t", "a/b"], "NOTE: --load keeps the image in slipway's own store, not in docker's"),
        (&["--load"], "NOTE: --load needs a name to keep the image under (-t NAME:TAG)"),
        (
            &["-o", "type=docker", "-t", "a/b"],
            "NOTE: --output type=docker without dest keeps the image in slipway's own",
        ),
    ] {
        let output = place.command().args(flags).arg("context").output().unwrap();
        assert!(output.status.success() && shown(&output).contains(expected), "{flags:?}: {}", shown(&output));
    }
}

/// A further rule for a test's repository.
const RULE: &str = "[[repositories.rules]]\nname = \"labelled\"\nbranch = \"labelled\"\ntags = [\"n{number}-{sha7}\"]\n\
    labels = { \"of.commit\" = \"{branch}@{sha}\", \"org.opencontainers.image.version\" = \"\" }\n";

#[test]
fn labels_are_templates_and_images_tell_what_they_were_built_from() {
    // US-07, US-08
    let site = Site::start(RULE);
    let commit = site
        .commit(&[("Dockerfile", "FROM scratch\nCOPY Dockerfile /d\nLABEL org.opencontainers.image.source=mine\n")]);
    let bare = site.path("git/app.git");
    run(Command::new("git").arg("-C").arg(&bare).args(["branch", "-f", "labelled", &commit]));
    let config = |tag: &str| {
        let image = format!("docker://{}/team/app:{tag}", site.registry);
        let config = run(Command::new("skopeo").args(["inspect", "--config", "--tls-verify=false", &image]));
        serde_json::from_str::<serde_json::Value>(&config).unwrap()
    };
    let authorization = format!("Authorization: Bearer {TOKEN}");
    let asked = crate::support::curl(&[
        "-X",
        "POST",
        "-H",
        &authorization,
        "-H",
        "Content-Type: application/json",
        "-d",
        r#"{"ref":"labelled"}"#,
        &format!("{}/v1/repos/team/app/builds", site.url),
    ]);
    let id = asked.json()["builds"][0]["id"].as_str().unwrap_or_else(|| panic!("{}", asked.text)).to_owned();
    let build = site.succeeded(&id);
    let tag = format!("n{}-{}", build["number"], &commit[..7]);
    assert_eq!(build["tags"], serde_json::json!([format!("{}/team/app:{tag}", site.registry)]), "US-08");
    assert_eq!(build["tags"], build["image"]["tags"]);
    let labels = config(&tag)["config"]["Labels"].clone();
    assert_eq!(labels["of.commit"], format!("labelled@{commit}"), "US-07: {labels}");
    assert_eq!(labels["org.opencontainers.image.revision"], commit.as_str());
    assert_eq!(labels["org.opencontainers.image.source"], "mine", "the Dockerfile's own label counts");
    assert!(labels["org.opencontainers.image.created"].as_str().unwrap() > "2024", "{labels}");
    assert_eq!(labels["org.opencontainers.image.version"], serde_json::Value::Null, "the rule leaves it out");
    site.succeeded(&site.push(&commit));
    assert_eq!(config("latest")["config"]["Labels"]["org.opencontainers.image.version"], "latest");
}

#[test]
fn a_failure_is_told_once() {
    // US-24
    let site = Site::start("");
    site.push_base();
    let dockerfile = "ARG BASE\nFROM ${BASE}\nRUN echo just-once-$((40 + 2)); exit 3\n";
    let id = site.push(&site.commit(&[("Dockerfile", dockerfile)]));
    assert_eq!(site.finished(&id)["state"], "failed");
    let log = site.log(&id);
    assert!(!log.contains("critical path"), "{log}");
    assert_eq!(log.matches("just-once-42").count(), 1, "{log}");
    assert!(log.contains("[stage-0 2/2] RUN"), "steps are counted as `slipway build` counts them: {log}");
    let page = crate::support::curl(&[&format!("{}/builds/{id}", site.url)]).text;
    // Once in the answer at the top, once in the log.
    assert_eq!(page.matches("just-once-42").count(), 2, "{page}");
    assert_eq!(page.matches("did not complete successfully: exit code: 3").count(), 2, "{page}");
}
