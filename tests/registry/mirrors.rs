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
    let build = yard.succeeded(&yard.push(&[("Dockerfile", &dockerfile("cat /x"))]));
    assert!(build.warnings.is_empty(), "{:?}", build.warnings);
    drop(upstream);
    let id = yard.push(&[("Dockerfile", &dockerfile("cat /x /x"))]);
    let build = yard.succeeded(&id);
    let is_told = |text: &String| text.contains("as it was known earlier") && text.contains("base/busybox");
    assert!(build.warnings.iter().any(is_told), "{:?}", build.warnings);
    assert!(yard.log(&id).contains("WARNING: "), "{}", yard.log(&id));
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
