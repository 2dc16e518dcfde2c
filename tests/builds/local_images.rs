//! `FROM` of images that were built by hand: they come from the store, and only for who builds by hand.

use crate::support::{Site, push_base, run, shown, slipway};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A data directory and contexts.
struct Desk {
    directory: tempfile::TempDir,
}

impl Desk {
    fn new() -> Desk {
        Desk { directory: tempfile::tempdir().unwrap() }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Builds `dockerfile` in a context with busybox and returns whether that went well, and what was said.
    fn build(&self, data: &Path, dockerfile: &str, arguments: &[&str]) -> (bool, String) {
        let context = self.directory.path().join("context");
        std::fs::create_dir_all(&context).unwrap();
        std::fs::copy("/bin/busybox", context.join("busybox")).unwrap();
        std::fs::write(context.join("Dockerfile"), dockerfile).unwrap();
        let mut command = slipway();
        command.args(["build", "--progress", "plain", "--data-dir"]).arg(data).args(arguments).arg(&context);
        let output = command.output().unwrap();
        (output.status.success(), shown(&output))
    }

    fn built(&self, dockerfile: &str, arguments: &[&str]) -> String {
        let (built, said) = self.build(&self.data(), dockerfile, arguments);
        assert!(built, "{dockerfile}: {said}");
        said
    }
}

const BASE: &str = "FROM scratch\nCOPY busybox /bin/sh\nENV FROM=kept\nONBUILD ENV TRIGGERED=yes\n";

#[test]
fn an_image_that_was_built_here_is_a_base_and_a_source() {
    // The registry does not have it: what is found has come from the store.
    let (site, desk) = (Site::start(""), Desk::new());
    let name = format!("{}/team/base", site.registry);
    let from = format!("FROM {name}\nRUN echo $FROM, triggered: $TRIGGERED\n");
    let (built, said) = desk.build(&desk.data(), &from, &[]);
    assert!(!built && said.contains(&name), "nothing was built yet: {said}");
    desk.built(BASE, &["-t", &name, "-t", "mybase"]);
    assert!(desk.built(&from, &[]).contains("kept, triggered: yes"));
    let short = "FROM mybase AS one\nFROM scratch\nCOPY --from=mybase:latest /bin/sh /bin/sh\nRUN [\"/bin/sh\", \"-c\", \"echo copied $0\"]\n";
    assert!(desk.built(short, &[]).contains("copied"));
    let mounted = "FROM mybase\nRUN --mount=type=bind,from=docker.io/library/mybase,target=/m test -x /m/bin/sh && echo mounted\n";
    assert!(desk.built(mounted, &[]).contains("mounted"));
    // The last image of the name counts, and its digest names it too.
    let said = desk.built("FROM mybase\nENV FROM=again\nRUN true\n", &["-t", &name]);
    assert!(desk.built(&from, &[]).contains("again, triggered:"));
    let digest = said.lines().find_map(|line| line.strip_prefix("image ")?.split(' ').next()).unwrap();
    assert!(
        desk.built(&from.replace(&name, &format!("{name}@{digest}")), &["--no-cache"]).contains("again, triggered:")
    );
    let other = format!("FROM {name}@sha256:{}\n", "0".repeat(64));
    assert!(!desk.build(&desk.data(), &other, &[]).0, "another digest is another image");
    let (built, said) = desk.build(&desk.data(), &from, &["--pull"]);
    assert!(!built && said.contains("not found"), "--pull asks the registry: {said}");
}

#[test]
fn an_image_for_another_platform_is_not_meant() {
    let (site, desk) = (Site::start(""), Desk::new());
    let name = format!("{}/team/base", site.registry);
    let platforms = "linux/arm64,linux/s390x";
    desk.built("FROM scratch\nCOPY Dockerfile /d\n", &["-t", &name, "--platform", platforms]);
    let from = format!("FROM {name}\nCOPY Dockerfile /e\n");
    desk.built(&from, &["--platform", "linux/s390x"]);
    let (built, said) = desk.build(&desk.data(), &from, &["--platform", "linux/riscv64"]);
    assert!(!built && said.contains("not found"), "{said}");
    desk.built("FROM scratch\nCOPY Dockerfile /d\n", &["-t", &name, "--platform", "linux/arm64"]);
    let (built, said) = desk.build(&desk.data(), &from, &["--platform", "linux/riscv64"]);
    assert!(!built && said.contains("that was built here is for linux/arm64, not for linux/riscv64"), "{said}");
}

#[test]
fn a_kept_image_is_whole_though_nobody_needed_its_base() {
    let mut site = Site::start("");
    push_base(&site.path("data"), &site.registry);
    let desk = Desk::new();
    desk.built(&format!("FROM {}/base/busybox\nENV A=b\n", site.registry), &["-t", "kept"]);
    site.server.take();
    assert!(desk.built("FROM kept\nRUN echo A is $A\n", &[]).contains("A is b"));
}

#[test]
fn what_others_push_and_what_the_service_builds_has_nothing_to_do_with_it() {
    let site = Site::start("");
    push_base(&site.path("data"), &site.registry);
    let (desk, data) = (Desk::new(), site.path("data"));
    // A repository of the embedded registry whose name looks like another registry's image.
    let there = format!("docker://{}/example.invalid/spoof:latest", site.registry);
    let base = format!("docker://{}/base/busybox:latest", site.registry);
    let mut copy = Command::new("skopeo");
    run(copy.args(["copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false", &base, &there]));
    let (built, said) = desk.build(&data, "FROM example.invalid/spoof\nRUN echo spoofed\n", &[]);
    assert!(!built && said.contains("example.invalid cannot be reached"), "{said}");
    // A build by hand in the service's own data directory.
    let name = format!("{}/team/app/kept", site.registry);
    let (built, said) = desk.build(&data, BASE, &["-t", &name]);
    assert!(built, "{said}");
    let id = site.push(&site.commit(&[("Dockerfile", &format!("FROM {name}\nRUN echo reached\n"))]));
    assert_eq!(site.finished(&id)["state"], "failed");
    assert!(site.log(&id).contains("not found"), "{}", site.log(&id));
}
