//! Archives of images and containers: written, read back, and refused where they lie.

use crate::support::bench::Bench;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::process::Command;

fn shell(directory: &Path, script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json_of(directory: &Path, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(directory.join(name)).unwrap()).unwrap()
}

#[test]
fn one_platform_of_an_image_is_saved_and_loaded() {
    let (bench, other) = (Bench::new(), Bench::new());
    let context = bench.path("context");
    std::fs::create_dir_all(&context).unwrap();
    std::fs::write(context.join("Dockerfile"), "FROM scratch\nARG TARGETARCH\nCOPY Dockerfile /$TARGETARCH\n").unwrap();
    let platforms = "--platform=linux/amd64,linux/arm64";
    crate::support::run(bench.command(&["build", "-q", "-t", "both", platforms]).arg(&context));
    let architecture = |bench: &Bench| bench.run(&["inspect", "-f", "{{.Architecture}}", "both"]);
    let (one, all) = (bench.path("one.tar"), bench.path("all.tar"));
    bench.run(&["save", "--platform", "linux/arm64", "-o", one.to_str().unwrap(), "both"]);
    assert_eq!(other.run(&["load", "-i", one.to_str().unwrap()]), "Loaded image: both:latest\n");
    assert_eq!(architecture(&other), "arm64\n");
    bench.run(&["save", "-o", all.to_str().unwrap(), "both"]);
    let third = Bench::new();
    third.run(&["load", "--platform", "linux/arm64", "-i", all.to_str().unwrap()]);
    assert_eq!(architecture(&third), "arm64\n");
    let (code, said) = bench.fails(&["save", "--platform", "linux/s390x", "-o", one.to_str().unwrap(), "both"]);
    assert!(code == 1 && said.contains("does not match the specified platform: wanted linux/s390x"), "{said}");
    let (_, said) = Bench::new().fails(&["load", "--platform", "linux/s390x", "-i", all.to_str().unwrap()]);
    assert!(said.contains("wanted linux/s390x"), "{said}");
}

#[test]
fn images_are_saved_and_loaded_with_their_names() {
    let (bench, other) = (Bench::new(), Bench::new());
    bench.build("team/app:v1", "CMD [\"echo\", \"hi\"]\n");
    bench.run(&["tag", "team/app:v1", "team/app:v2"]);
    bench.build("more", "CMD [\"echo\", \"more\"]\n");
    let id = bench.run(&["images", "-q", "--no-trunc", "team/app:v1"]).trim().to_owned();
    let (file, place) = (bench.path("saved.tar"), bench.path("unpacked"));
    // A repository means all its tags.
    bench.run(&["save", "-o", file.to_str().unwrap(), "team/app", "more:latest"]);
    std::fs::create_dir(&place).unwrap();
    shell(&place, "tar -xf ../saved.tar");
    let list = json_of(&place, "manifest.json");
    assert_eq!(list[0]["RepoTags"], json!(["team/app:v1", "team/app:v2"]));
    assert_eq!(list[1]["RepoTags"], json!(["more:latest"]));
    assert_eq!(list[0]["Config"], format!("blobs/sha256/{}", &id[7..]));
    let index = json_of(&place, "index.json");
    let annotations = &index["manifests"][1]["annotations"];
    assert_eq!(annotations["io.containerd.image.name"], "docker.io/team/app:v2");
    assert_eq!(annotations["org.opencontainers.image.ref.name"], "v2");
    assert_eq!(json_of(&place, "oci-layout")["imageLayoutVersion"], "1.0.0");
    shell(&place, "cd blobs/sha256 && for file in *; do echo \"$file  $file\"; done | sha256sum -c --quiet");
    let loaded = "Loaded image: team/app:v1\nLoaded image: team/app:v2\nLoaded image: more:latest\n";
    assert_eq!(other.run(&["load", "-i", file.to_str().unwrap()]), loaded);
    assert_eq!(other.run(&["images", "-q", "--no-trunc", "team/app:v2"]).trim(), id);
    assert_eq!(other.run(&["run", "--rm", "team/app:v1"]), "hi\n");
    // By its id an image has no name; compressed archives are read, too.
    let piped = bench.path("piped.tar.gz");
    shell(
        &bench.path(""),
        &format!("exec 3>{} && {} | gzip >&3", piped.display(), command_line(&bench, &["save", &id[7..19]])),
    );
    let third = Bench::new();
    assert_eq!(third.run(&["load", "-q", "-i", piped.to_str().unwrap()]), format!("Loaded image ID: {id}\n"));
    let (code, said) = bench.fails(&["save", "nosuch"]);
    assert_eq!((code, said.as_str()), (1, "Error response from daemon: No such image: nosuch:latest\n"));
    // Another image of the name is told of.
    third.build("more", "CMD [\"true\"]\n");
    let before = third.run(&["images", "-q", "--no-trunc", "more"]);
    let said = third.run(&["load", "-i", file.to_str().unwrap()]);
    let renamed = format!(
        "The image more:latest already exists, renaming the old one with ID {} to empty string\n",
        before.trim()
    );
    assert!(said.contains(&renamed), "{said}");
}

fn command_line(bench: &Bench, arguments: &[&str]) -> String {
    let command = bench.command(arguments);
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn archives_of_older_dockers_are_loaded_and_their_layers_checked() {
    let bench = Bench::new();
    let place = bench.path("old");
    for directory in ["one", "two", "root"] {
        std::fs::create_dir_all(place.join(directory)).unwrap();
    }
    shell(&place, "mkdir root/bin && cp /bin/busybox root/bin/busybox && tar -C root -cf one/layer.tar bin");
    // A layer that comes twice is a link, and one may be compressed.
    shell(
        &place,
        "ln -s ../one/layer.tar two/layer.tar && echo x > root/x && tar -C root -cf x.tar x && gzip -k x.tar",
    );
    let digest =
        |name: &str| format!("sha256:{}", hex::encode(Sha256::digest(std::fs::read(place.join(name)).unwrap())));
    let (base, top) = (digest("one/layer.tar"), digest("x.tar"));
    let config = json!({
        "architecture": bench_architecture(),
        "os": "linux",
        "config": { "Cmd": ["/bin/busybox", "cat", "/x"] },
        "rootfs": { "type": "layers", "diff_ids": [base, base, top] },
    });
    let write = |config: &Value| {
        let bytes = config.to_string();
        let name = format!("{}.json", hex::encode(Sha256::digest(&bytes)));
        std::fs::write(place.join(&name), bytes).unwrap();
        let layers = ["one/layer.tar", "two/layer.tar", "x.tar.gz"];
        let list = json!([{ "Config": name, "RepoTags": ["old:1"], "Layers": layers }]);
        std::fs::write(place.join("manifest.json"), list.to_string()).unwrap();
        shell(&place, &format!("tar -cf ../old.tar manifest.json {name} one two x.tar.gz"));
        name
    };
    let name = write(&config);
    let file = bench.path("old.tar");
    assert_eq!(bench.run(&["load", "-i", file.to_str().unwrap()]), "Loaded image: old:1\n");
    let id = bench.run(&["images", "-q", "--no-trunc", "old:1"]);
    assert_eq!(id.trim(), format!("sha256:{}", name.strip_suffix(".json").unwrap()));
    assert_eq!(bench.run(&["run", "--rm", "old:1"]), "x\n");
    // Other bytes than the configuration names.
    let mut wrong = config.clone();
    wrong["rootfs"]["diff_ids"][2] = json!(base);
    write(&wrong);
    let (code, said) = bench.fails(&["load", "-i", file.to_str().unwrap()]);
    assert!(code == 1 && said.contains("invalid archive: invalid diffID for a layer"), "{said}");
    assert_eq!(bench.run(&["images", "-q", "--no-trunc", "old:1"]), id);
    std::fs::write(&file, "no tar at all").unwrap();
    let (code, said) = bench.fails(&["load", "-i", file.to_str().unwrap()]);
    assert_eq!((code, said.as_str()), (1, "Error response from daemon: invalid archive: it is not a tar\n"));
    let missing = bench.fails(&["load", "-i", "/nosuch.tar"]);
    assert_eq!(missing, (1, "open /nosuch.tar: no such file or directory\n".to_owned()));
}

fn bench_architecture() -> &'static str {
    if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" }
}

#[test]
fn a_tar_of_files_becomes_an_image() {
    let bench = Bench::new();
    bench.build("bb", "RUN echo x > /own\n");
    bench.run(&["create", "--name", "cc", "bb", "true"]);
    bench.run(&["start", "cc"]);
    bench.run(&["wait", "cc"]);
    let file = bench.path("files.tar");
    bench.run(&["export", "-o", file.to_str().unwrap(), "cc"]);
    let change = "CMD [\"cat\", \"/own\"]";
    let id = bench.run(&["import", "-c", change, "-m", "a note", file.to_str().unwrap(), "flat:1"]);
    assert_eq!(bench.run(&["images", "-q", "--no-trunc", "flat"]), id);
    assert_eq!(bench.run(&["run", "--rm", "flat:1"]), "x\n");
    assert_eq!(bench.run(&["inspect", "-f", "{{.Comment}} {{len .RootFS.Layers}}", "flat:1"]), "a note 1\n");
    shell(&bench.path(""), "gzip -k files.tar");
    let compressed = bench.path("files.tar.gz");
    let line = command_line(&bench, &["import", "-", "piped"]);
    shell(&bench.path(""), &format!("{line} < {}", compressed.display()));
    assert_eq!(bench.run(&["inspect", "-f", "{{.Comment}}", "piped"]), "Imported from -\n");
    let missing = bench.fails(&["import", "/nosuch.tar"]);
    assert_eq!(missing, (1, "open /nosuch.tar: no such file or directory\n".to_owned()));
    assert_eq!(bench.fails(&["import", "-c", "RUN true", file.to_str().unwrap()]).0, 1);
}

#[test]
fn an_archive_gets_nothing_that_it_only_names() {
    let bench = Bench::new();
    bench.build("private", "RUN echo hidden > /file\nCMD [\"cat\", \"/file\"]\n");
    let (file, place) = (bench.path("saved.tar"), bench.path("unpacked"));
    bench.run(&["save", "-o", file.to_str().unwrap(), "private"]);
    std::fs::create_dir(&place).unwrap();
    shell(&place, "tar -xf ../saved.tar && sed -i s,library/private,library/foreign, index.json");
    let manifest = json_of(&place, "index.json")["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let layer = json_of(&place, &format!("blobs/sha256/{}", &manifest[7..]))["layers"][0]["digest"].clone();
    let layer = place.join("blobs/sha256").join(&layer.as_str().unwrap()[7..]);
    let bytes = std::fs::read(&layer).unwrap();
    let load = |expected: &str| {
        shell(&place, "rm -f manifest.json && tar -cf ../saved.tar *");
        let (code, said) = bench.fails(&["load", "-i", file.to_str().unwrap()]);
        assert!(code == 1 && said.contains(expected), "{said}");
        assert_eq!(bench.run(&["images", "-q", "foreign"]), "");
    };
    std::fs::remove_file(&layer).unwrap();
    load("invalid archive: it does not contain layer sha256:");
    std::fs::write(&layer, [&bytes[..], b"x"].concat()).unwrap();
    load("digest mismatch: blobs/sha256/");
}
