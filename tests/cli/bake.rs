//! `slipway bake`: real builds of bake files and compose files.

use crate::support::{shown, slipway};
use std::path::{Path, PathBuf};
use std::process::Output;

/// A directory with busybox and files, and a data directory beside it.
struct Kitchen(tempfile::TempDir);

impl Kitchen {
    fn new(files: &[(&str, &str)]) -> Self {
        let kitchen = Kitchen(tempfile::tempdir().unwrap());
        std::fs::create_dir_all(kitchen.place().join("lib")).unwrap();
        for directory in ["", "lib"] {
            std::fs::copy("/bin/busybox", kitchen.place().join(directory).join("busybox")).unwrap();
        }
        for (name, text) in files {
            std::fs::write(kitchen.place().join(name), text).unwrap();
        }
        kitchen
    }

    fn place(&self) -> PathBuf {
        self.0.path().join("context")
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn bake(&self, arguments: &[&str]) -> Output {
        let mut command = slipway();
        command.args(["bake", "--progress", "plain", "--data-dir"]).arg(self.data()).args(arguments);
        command.env("WHO", "you").current_dir(self.place()).output().unwrap()
    }

    fn baked(&self, arguments: &[&str]) -> String {
        let output = self.bake(arguments);
        assert!(output.status.success(), "{}", shown(&output));
        shown(&output)
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.bake(arguments);
        assert!(!output.status.success(), "{}", shown(&output));
        shown(&output)
    }

    fn images(&self) -> String {
        shown(&slipway().arg("images").arg("--data-dir").arg(self.data()).output().unwrap())
    }
}

const DOCKERFILE: &str = "FROM scratch AS shared\nCOPY busybox /bin/sh\nRUN echo ran-shared > /shared; cat /shared\n\
     FROM shared AS one\nARG WHO\nRUN echo hello $WHO\nFROM shared AS two\nRUN echo two\n";

const BAKE: &str = r#"
variable "WHO" { default = "nobody" }
group "default" { targets = ["numbers"] }
target "numbers" {
  name   = n
  matrix = { n = ["one", "two"] }
  target = n
  args   = { WHO = WHO }
  tags   = ["baked/${n}:1"]
}
"#;

fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

#[test]
fn targets_of_one_dockerfile_share_their_stages() {
    let kitchen = Kitchen::new(&[("Dockerfile", DOCKERFILE), ("docker-bake.hcl", BAKE)]);
    let first = kitchen.baked(&[]);
    assert!(first.contains("hello you"), "{first}");
    // The line of the command begins with RUN; only its output has the word after the time.
    let executed = first.lines().filter(|line| line.ends_with(" ran-shared")).count();
    assert_eq!(executed, 1, "the shared stage is executed once:\n{first}");
    let images = kitchen.images();
    assert!(images.contains("baked/one") && images.contains("baked/two"), "{images}");
    let again = kitchen.baked(&[]);
    assert!(!again.contains("hello you") && count(&again, "CACHED") == 6, "{again}");
    let other = kitchen.baked(&["one", "--var", "WHO=ada", "--set", "one.tags=baked/other"]);
    assert!(other.contains("hello ada") && !other.contains("[two]"), "{other}");
    assert!(kitchen.images().contains("baked/other"));
    let all = kitchen.baked(&["one", "--no-cache"]);
    assert!(all.lines().any(|line| line.ends_with(" ran-shared")), "{all}");
}

#[test]
fn a_target_is_the_context_of_another_and_its_files_go_to_a_directory() {
    let kitchen = Kitchen::new(&[(
        "docker-bake.hcl",
        r#"
target "base" {
  context           = "lib"
  dockerfile-inline = <<EOT
FROM scratch
COPY busybox /bin/sh
RUN echo from-base > /base.txt
EOT
}
target "default" {
  contexts          = { base = "target:base" }
  dockerfile-inline = <<EOT
FROM base AS made
RUN cat /base.txt > /made.txt
FROM scratch
COPY --from=made /made.txt /
COPY --from=base /base.txt /
EOT
  output = ["out"]
}
"#,
    )]);
    for _ in 0..2 {
        kitchen.baked(&[]);
        let read = |name: &str| std::fs::read_to_string(kitchen.place().join("out").join(name)).unwrap();
        assert_eq!((read("made.txt").as_str(), read("base.txt").as_str()), ("from-base\n", "from-base\n"));
        std::fs::remove_dir_all(kitchen.place().join("out")).unwrap();
    }
    // A target that is only a context is not kept under a name.
    assert_eq!(kitchen.images().lines().count(), 1, "{}", kitchen.images());
}

#[test]
fn services_of_a_compose_file_are_built_and_its_other_services_are_not() {
    let compose = "services:\n  web:\n    build: {context: ., target: one, args: [WHO]}\n    image: baked/web\n  db: {image: nosuch.invalid/db}\n";
    let kitchen = Kitchen::new(&[("Dockerfile", DOCKERFILE), ("compose.yaml", compose)]);
    assert!(kitchen.baked(&[]).contains("hello you"));
    assert!(kitchen.images().contains("baked/web"));
}

#[test]
fn the_target_that_fails_is_named_and_ends_the_others() {
    let bake = "group \"default\" { targets = [\"bad\", \"slow\"] }\n\
         target \"bad\" { dockerfile = \"Bad\" }\n\
         target \"slow\" { dockerfile = \"Slow\" }\n";
    let base = "FROM scratch\nCOPY busybox /bin/sh\n";
    let (bad, slow) = (format!("{base}RUN exit 7\n"), format!("{base}RUN sleep 1000\n"));
    let kitchen = Kitchen::new(&[("docker-bake.hcl", bake), ("Bad", &bad), ("Slow", &slow)]);
    let said = kitchen.refused(&[]);
    assert!(said.contains("[bad] ERROR: failed to solve") && said.contains("exit code: 7"), "{said}");
}

#[test]
fn nothing_is_ignored_in_silence() {
    let kitchen = Kitchen::new(&[
        ("Dockerfile", "FROM scratch\nCOPY busybox /\n"),
        ("docker-bake.hcl", "target \"default\" {}\n"),
    ]);
    let cases: [(&[&str], &str); 10] = [
        (&["nosuch"], "there is no target `nosuch`; default are known"),
        (&["--set", "default.network=host"], "target `default`: --network=host is not allowed"),
        (&["--set", "default.resources.cpu-shares=2"], "`cpu-shares` of resources cannot be limited"),
        (&["--set", "default.output=type=bogus"], "unknown type `bogus`"),
        (&["--set", "default.entitlements=device=gpu"], "target `default`: invalid value 'device=gpu'"),
        (&["--push"], "target `default`: --push needs a name"),
        (&["--file", "nosuch.hcl"], "reading `nosuch.hcl`: there is no such file"),
        (&["--var", "X"], "--var `X`: NAME=VALUE is expected"),
        (&["https://example.invalid/repo.git"], "is a repository"),
        (&["--set", "default.policy=x"], "evaluates no policies"),
    ];
    for (arguments, expected) in cases {
        let said = kitchen.refused(arguments);
        assert!(said.contains(expected), "{arguments:?}: `{expected}` is missing:\n{said}");
    }
    let noted = kitchen.baked(&["--set", "*.cache-to=type=gha", "--provenance", "mode=max"]);
    assert!(noted.contains("NOTE: --cache-to changes nothing") && noted.contains("NOTE: --attest changes"), "{noted}");
    std::fs::remove_file(kitchen.place().join("docker-bake.hcl")).unwrap();
    assert!(kitchen.refused(&[]).contains("there is no bake file here"));
}

#[test]
fn targets_are_printed_listed_asked_and_reported() {
    let kitchen = Kitchen::new(&[("Dockerfile", DOCKERFILE), ("docker-bake.hcl", BAKE)]);
    let printed: serde_json::Value = serde_json::from_str(&kitchen.baked(&["--print", "one"])).unwrap();
    assert_eq!(printed["target"]["one"]["args"]["WHO"], "you");
    assert_eq!(printed["group"]["default"]["targets"], serde_json::json!(["one"]));
    let listed = kitchen.baked(&["--list", "targets"]);
    assert!(listed.contains("numbers\tone, two"), "{listed}");
    let outline = kitchen.baked(&["--call", "outline", "one"]);
    assert!(outline.starts_with("one\n") && outline.contains("WHO"), "{outline}");
    assert!(!Path::new(&kitchen.data()).join("metadata.json").exists());
    kitchen.baked(&["--metadata-file", "metadata.json"]);
    let metadata = std::fs::read_to_string(kitchen.place().join("metadata.json")).unwrap();
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    assert_eq!(metadata["two"]["image.name"], "docker.io/baked/two:1", "{metadata}");
}
