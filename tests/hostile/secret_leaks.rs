//! Secrets do not get into images, and are nowhere in what a build leaves: logs, layers, database, mirrors.

use crate::support::worker_pool::Yard;
use crate::support::{curl, run, shown, slipway};
use database::BuildRequest;
use std::path::Path;
use std::process::Command;

const VALUE: &str = "canary-3c59dc048e88";
const BASE64: &str = "Y2FuYXJ5LTNjNTlkYzA0OGU4OA";

fn with_secret(yard: &Yard, dockerfile: &str) -> BuildRequest {
    yard.tokio.block_on(yard.database.put_secret("team/app", "key", VALUE.as_bytes())).unwrap();
    let mut request = yard.request(&yard.commit(&[("Dockerfile", dockerfile)]));
    request.spec.options.secrets.push("key".to_owned());
    request
}

/// Returns the files below `directory` that hold the secret, what is compressed in them included.
fn files_with_secret(directory: &Path) -> Vec<String> {
    let script = format!(
        "find {} -type f | while read -r file; do (cat \"$file\"; zcat -f \"$file\" 2>/dev/null) | \
         grep -qaF -e '{VALUE}' -e '{BASE64}' && echo \"$file\"; done; true",
        directory.display()
    );
    run(Command::new("sh").args(["-c", &script])).lines().map(str::to_owned).collect()
}

#[test]
fn a_step_that_writes_a_secret_into_the_image_fails_and_is_not_pushed() {
    // SEC-02
    let (yard, _worker) = Yard::with_worker("");
    for command in ["cat /run/secrets/key > /x", "base64 /run/secrets/key > /x", "ln -s $(cat /run/secrets/key) /x"] {
        let step = format!("RUN --mount=type=secret,id=key {command}");
        let request = with_secret(&yard, &format!("ARG BASE\nFROM ${{BASE}}\nRUN echo first > /first\n{step}\n"));
        // Nor is the layer cached: it fails again.
        for _ in 0..2 {
            let (state, code, message) = yard.failed(&yard.queue(&request));
            assert_eq!((state.as_str(), code.as_str()), ("failed", "secret_in_layer"), "{command}: {message}");
            assert!(message.contains("`key`") && message.contains(&step) && !message.contains(VALUE), "{message}");
        }
    }
    let listed = curl(&[&format!("http://{}/v2/team/app/tags/list", yard.registry)]);
    assert_eq!(listed.json()["tags"], serde_json::json!([]), "{}", listed.text);
    yard.nothing_left();
    assert_eq!(files_with_secret(&yard.path("data")), Vec::<String>::new());
}

#[test]
fn a_build_that_uses_a_secret_leaves_it_nowhere() {
    // SEC-03, SEC-08
    let (yard, _worker) = Yard::with_worker("");
    let dockerfile = "ARG BASE\nFROM ${BASE}\nRUN --mount=type=secret,id=key wc -c < /run/secrets/key > /size\n\
        RUN --mount=type=secret,id=key,env=KEY echo \"$KEY\" | md5sum > /sum; echo \"<$KEY>\"\n";
    let request = with_secret(&yard, dockerfile);
    let id = yard.queue(&request);
    let image = yard.succeeded(&id).image.unwrap();
    assert!(yard.log(&id).contains("<***>"), "{}", yard.log(&id));
    yard.nothing_left();
    assert_eq!(files_with_secret(&yard.path("data")), Vec::<String>::new());
    assert!(!std::fs::read_to_string(yard.path("worker.log")).unwrap().contains(VALUE));
    // The search finds what is there: the same secret, written by a step that does not mount it.
    let careless = format!("ARG BASE\nFROM ${{BASE}}\nRUN echo {VALUE} > /x\n");
    let other = yard.succeeded(&yard.push(&[("Dockerfile", &careless)])).image.unwrap();
    assert_ne!(image.digest, other.digest);
    assert!(files_with_secret(&yard.path("data/images")).len() >= 2, "layer and configuration");
}

#[test]
fn who_builds_by_hand_is_warned() {
    // SEC-02
    let (yard, _worker) = Yard::with_worker("");
    let context = yard.path("context");
    std::fs::create_dir_all(&context).unwrap();
    let text =
        format!("FROM {}/base/busybox\nRUN --mount=type=secret,id=key cat /run/secrets/key > /x\n", yard.registry);
    std::fs::write(context.join("Dockerfile"), text).unwrap();
    std::fs::write(yard.path("secret"), VALUE).unwrap();
    let mut command = slipway();
    command
        .args(["build", "--progress", "plain", "--secret"])
        .arg(format!("id=key,src={}", yard.path("secret").display()));
    let output = command.arg("--data-dir").arg(yard.path("hand")).arg(&context).output().unwrap();
    let said = shown(&output);
    assert!(output.status.success() && said.contains("secret_in_layer") && said.contains("`key`"), "{said}");
    assert!(!said.contains(VALUE), "{said}");
}
