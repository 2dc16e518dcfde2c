//! Mirrors: builds and commands by hand read other registries through them.

use crate::support::worker_pool::Yard;
use crate::support::{push_base, run, slipway};

#[test]
fn builds_and_pulls_read_through_a_mirror_which_serves_while_the_registry_is_away() {
    let upstream = Yard::start("");
    push_base(&upstream.path("data"), &upstream.registry);
    let url = format!("url = \"http://{}\"", upstream.registry);
    let yard = Yard::start(&format!("[mirrors.\"mirrored.example.com\"]\n{url}\nfresh_minutes = 0\n"));
    let _worker = yard.worker(&[]);
    let image = "mirrored.example.com/base/busybox";
    let dockerfile = |step: &str| format!("FROM {image}\nCOPY Dockerfile /x\nRUN {step}\n");
    let id = yard.push(&[("Dockerfile", &dockerfile("cat /x"))]);
    yard.succeeded(&id);
    assert!(!yard.log(&id).contains("WARNING"), "{}", yard.log(&id));
    drop(upstream);
    let id = yard.push(&[("Dockerfile", &dockerfile("cat /x /x"))]);
    yard.succeeded(&id);
    let log = yard.log(&id);
    let is_told = |line: &str| line.starts_with("WARNING: ") && line.contains("as it was known earlier");
    assert!(log.lines().any(is_told), "{log}");
    let build = yard.build(&id);
    assert!(build.warnings.len() == 1 && build.warnings[0].contains("as it was known earlier"), "{:?}", build.warnings);
    // Commands by hand read the same configuration; what builds brought is here.
    std::fs::copy(yard.path("slipway.toml"), yard.path("data/slipway.toml")).unwrap();
    let pull = |image: &str| {
        let mut command = slipway();
        command.arg("--data-dir").arg(yard.path("data")).args(["pull", image]);
        command
    };
    assert!(run(&mut pull(image)).contains("Downloaded newer image"));
    let missing = pull("mirrored.example.com/base/other").output().unwrap();
    assert!(!missing.status.success());
}
