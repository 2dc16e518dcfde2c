//! A rule with several platforms: one index under its tags, or nothing.

use crate::support::curl;
use crate::support::worker_pool::Yard;
use database::BuildState;
use serde_json::Value;
use std::path::Path;

const COPIED: &str = "FROM scratch\nARG TARGETARCH\nCOPY file-${TARGETARCH} /file\nLABEL made=yes\n";

fn manifest(yard: &Yard, reference: &str) -> Value {
    let types = "Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json";
    let answer = curl(&["-H", types, &format!("http://{}/v2/team/app/manifests/{reference}", yard.registry)]);
    if answer.status == 200 { answer.json() } else { Value::Null }
}

fn platforms(index: &Value) -> Vec<String> {
    let manifests = index["manifests"].as_array().unwrap_or_else(|| panic!("{index:#}"));
    let shown = |entry: &Value| {
        let platform = &entry["platform"];
        format!("{}/{}", platform["os"].as_str().unwrap(), platform["architecture"].as_str().unwrap())
    };
    manifests.iter().map(shown).collect()
}

fn with_platforms(yard: &Yard, commit: &str, platforms: &[&str]) -> database::BuildRequest {
    let mut request = yard.request(commit);
    request.spec.tags.push(format!("{}/team/app:second", yard.registry));
    request.spec.options.platforms = platforms.iter().map(|name| (*name).to_owned()).collect();
    request
}

/// Returns a platform whose programs the kernel has no handler for.
fn foreign() -> &'static str {
    let handlers = Path::new("/proc/sys/fs/binfmt_misc");
    let known = [("s390x", "linux/s390x"), ("riscv64", "linux/riscv64"), ("loongarch64", "linux/loong64")];
    let missing = known.iter().find(|(name, _)| !handlers.join(format!("qemu-{name}")).exists());
    missing.expect("a platform that nobody emulates here").1
}

#[test]
fn copies_make_an_index_of_all_platforms() {
    let (yard, _worker) = Yard::with_worker("");
    let files = [("Dockerfile", COPIED), ("file-amd64", "amd"), ("file-arm64", "arm"), ("file-s390x", "s")];
    let commit = yard.commit(&files);
    let id = yard.queue(&with_platforms(&yard, &commit, &["linux/amd64", "linux/arm64", "linux/s390x", "linux/arm64"]));
    let build = yard.succeeded(&id);
    let image = build.image.unwrap();
    assert_eq!(image.tags.len(), 2);
    for tag in ["latest", "second"] {
        let index = manifest(&yard, tag);
        assert_eq!(platforms(&index), ["linux/amd64", "linux/arm64", "linux/s390x"], "{index:#}");
        for (entry, text) in index["manifests"].as_array().unwrap().iter().zip(["amd", "arm", "s"]) {
            let part = manifest(&yard, entry["digest"].as_str().unwrap());
            let layer = part["layers"][0]["digest"].as_str().unwrap();
            let command = format!("curl -s http://{}/v2/team/app/blobs/{layer} | tar -xzO file", yard.registry);
            assert_eq!(crate::support::run(std::process::Command::new("sh").args(["-c", &command])), text);
        }
    }
    // Steps and log say whose they are, and none is left as if it had not run.
    let steps = yard.tokio.block_on(yard.database.steps(&id)).unwrap();
    let stages: Vec<_> = steps.iter().map(|step| step.stage.as_str()).collect();
    assert_eq!(stages.len(), 9, "{steps:#?}");
    assert!(stages[0].starts_with("linux/amd64 ") && stages[8].starts_with("linux/s390x "), "{stages:?}");
    assert!(steps.iter().all(|step| step.state == database::StepState::Succeeded), "{steps:#?}");
    let log = yard.log(&id);
    assert!(log.contains("[linux/arm64 stage-0 ") && log.contains("] COPY file-${TARGETARCH} /file"), "{log}");
    // A second time nothing is made.
    let again = yard.queue(&with_platforms(&yard, &commit, &["linux/amd64", "linux/arm64", "linux/s390x"]));
    assert_eq!(yard.succeeded(&again).image.unwrap().digest, image.digest);
    let steps = yard.tokio.block_on(yard.database.steps(&again)).unwrap();
    assert!(steps.iter().filter(|step| step.layer_digest.is_some()).all(|step| step.cached), "{steps:#?}");
}

#[test]
fn nothing_is_tagged_when_one_platform_cannot_be_built() {
    let (yard, _worker) = Yard::with_worker("");
    let missing = yard.commit(&[("Dockerfile", COPIED), ("file-amd64", "amd")]);
    let id = yard.queue(&with_platforms(&yard, &missing, &["linux/amd64", "linux/arm64"]));
    let (state, code, message) = yard.failed(&id);
    assert_eq!((state.as_str(), code.as_str()), ("failed", "file_not_found"), "{message}");
    assert!(message.starts_with("linux/arm64: ") && message.contains("COPY file-${TARGETARCH}"), "{message}");
    let foreign = foreign();
    let ran = yard.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nCOPY file-amd64 /f\nRUN echo ran\n")]);
    let id = yard.queue(&with_platforms(&yard, &ran, &["linux/amd64", foreign]));
    let (state, code, message) = yard.failed(&id);
    assert_eq!((state.as_str(), code.as_str()), ("failed", "platform_unsupported"), "{message}");
    for part in [foreign, "binfmt_misc", "qemu-user-static", "RUN echo ran"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(!yard.log(&id).contains("\nran\n"), "what cannot be finished is not begun: {}", yard.log(&id));
    assert_eq!((manifest(&yard, "latest"), manifest(&yard, "second")), (Value::Null, Value::Null));
    let id = yard.queue(&with_platforms(&yard, &ran, &["linux/amd64", "no/such/plat/form"]));
    assert_eq!(yard.failed(&id).1, "invalid_platform");
    yard.nothing_left();
}

#[test]
fn an_index_does_not_go_back_to_an_older_commit() {
    // R5, RL14
    let yard = Yard::start("");
    crate::support::push_base(&yard.path("data"), &yard.registry);
    let slow = "ARG BASE\nFROM ${BASE}\nRUN echo waiting; while ! test -e /c/go; do sleep 0.1; done\n";
    let slow = slow.replace("RUN ", "RUN --mount=type=cache,target=/c ");
    let older =
        yard.queue(&with_platforms(&yard, &yard.commit(&[("Dockerfile", &slow)]), &["linux/amd64", "linux/386"]));
    let _worker = yard.worker(&["--builds", "2"]);
    yard.wait_for_log(&older, "\nwaiting\n");
    let quick = "ARG BASE\nFROM ${BASE}\nRUN echo quick\n";
    let newer =
        yard.queue(&with_platforms(&yard, &yard.commit(&[("Dockerfile", quick)]), &["linux/amd64", "linux/386"]));
    let newest = yard.succeeded(&newer).image.unwrap();
    // Only now the older build goes on.
    let go = "ARG BASE\nFROM ${BASE}\nRUN --mount=type=cache,target=/c touch /c/go\n";
    let mut going = yard.request(&yard.commit(&[("Dockerfile", go)]));
    going.spec.tags = vec![format!("{}/team/app:go", yard.registry)];
    yard.succeeded(&yard.queue(&going));
    let build = yard.finished(&older);
    assert_eq!(build.state, BuildState::Superseded, "{}", yard.log(&older));
    let shown = curl(&["-I", &format!("http://{}/v2/team/app/manifests/latest", yard.registry)]).text;
    assert!(shown.to_lowercase().contains(&newest.digest), "{shown}");
    assert_eq!(platforms(&manifest(&yard, "second")), ["linux/amd64", "linux/386"]);
}
