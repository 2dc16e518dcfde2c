//! Memory stays flat whatever passes: a large layer through registry, mirror and client, and a flood from a container.

use crate::support::bench::Bench;
use crate::support::raw_http::{peak, resident};
use crate::support::{Site, run, slipway};
use registry_client::{Digest, Hasher};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Growth that is allowed, in KiB.
const GROWTH: u64 = 64 * 1024;
/// MiB of the layer; all of its blocks are the same.
const LAYER_MIB: usize = 2048;
const BLOCK: usize = 1024 * 1024;

/// Starts a program, and returns the most memory that it had when it has ended well.
fn most_memory(command: &mut Command) -> u64 {
    let mut child: Child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    loop {
        if let Some(ended) = child.try_wait().unwrap() {
            assert!(ended.success(), "{command:?}");
            return most;
        }
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
        most = most.max(kib);
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Sends a blob of zeros to a registry as it is made; nobody has it whole in memory.
fn push_zeros(registry: &str, repository: &str) -> Digest {
    let block = vec![0; BLOCK];
    let mut hash = Hasher::new(Default::default());
    (0..LAYER_MIB).for_each(|_| hash.update(&block));
    let digest = hash.finish();
    let url = format!("http://{registry}/v2/{repository}/blobs/uploads/?digest={digest}");
    let mut curl = Command::new("curl")
        .args(["-sf", "-X", "POST", "-H", "Expect:", "-T", "-", &url])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = curl.stdin.take().unwrap();
    (0..LAYER_MIB).for_each(|_| input.write_all(&block).unwrap());
    drop(input);
    assert!(curl.wait().unwrap().success());
    digest
}

/// Puts an image with that layer.
fn put_image(registry: &str, repository: &str, layer: &Digest) {
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [layer.as_str()]},
    })
    .to_string();
    let send = |method: &str, kind: &str, path: &str, body: &str| {
        let (kind, url) = (format!("Content-Type: {kind}"), format!("http://{registry}/v2/{repository}/{path}"));
        run(Command::new("curl").args(["-sf", "-X", method, "-H", &kind, "--data-binary", body, &url]));
    };
    let digest = Digest::of(config.as_bytes());
    send("POST", "application/octet-stream", &format!("blobs/uploads/?digest={digest}"), &config);
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": kind,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest.as_str(), "size": config.len()},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer.as_str(), "size": LAYER_MIB * BLOCK}],
    });
    send("PUT", kind, "manifests/1", &manifest.to_string());
}

#[test]
#[ignore = "writes 8 GB: run it alone"]
fn a_layer_of_two_gigabytes_passes_registry_mirror_and_client_in_little_memory() {
    let upstream = Site::start("");
    let mirror = format!("[mirrors.\"big.example.com\"]\nurl = \"http://{}\"\n", upstream.registry);
    let site = Site::start(&mirror);
    let server = |site: &Site| site.server.as_ref().unwrap().0.id();
    let (idle, idle_mirror) = (resident(server(&upstream)), resident(server(&site)));
    let layer = push_zeros(&upstream.registry, "big/zeros");
    put_image(&upstream.registry, "big/zeros", &layer);
    let pushed = peak(server(&upstream)) - idle;
    let url = format!("http://{}/v2/big.example.com/big/zeros/blobs/{layer}", site.registry);
    run(Command::new("curl").args(["-sf", "-o", "/dev/null", &url]));
    let mirrored = peak(server(&site)) - idle_mirror;
    let data = upstream.path("client");
    let client = |arguments: &[&str]| most_memory(slipway().arg("--data-dir").arg(&data).args(arguments));
    let (from, to) = (format!("{}/big/zeros:1", upstream.registry), format!("{}/copy/zeros:1", site.registry));
    let idle_client = client(&["images"]);
    let pull = client(&["pull", "-q", &from]).saturating_sub(idle_client);
    client(&["tag", &from, &to]);
    let push = client(&["push", "-q", &to]).saturating_sub(idle_client);
    let pulled = peak(server(&upstream)) - idle;
    let received = peak(server(&site)) - idle_mirror;
    let all = [
        ("push", pushed),
        ("mirror", mirrored),
        ("pull", pull),
        ("client's push", push),
        ("served", pulled),
        ("received", received),
    ];
    eprintln!("KiB above idle: {all:?}");
    assert!(all.iter().all(|one| one.1 < GROWTH), "KiB above idle: {all:?}");
}

/// Returns the most memory that any of the program's processes for a data directory has had.
fn supervisors(data: &Path) -> u64 {
    let (data, mut most) = (data.to_str().unwrap().to_owned(), 0);
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(id) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let is_slipway = std::fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe.ends_with("slipway"));
        let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
        let is_ours = String::from_utf8_lossy(&[read("cmdline"), read("environ")].concat()).contains(&data);
        if is_slipway && is_ours {
            let status = String::from_utf8_lossy(&read("status")).into_owned();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
            most = most.max(line.trim().trim_end_matches(" kB").parse().unwrap_or(0));
            assert!(id > 0);
        }
    }
    most
}

#[test]
fn a_container_that_prints_much_costs_little_memory_and_a_bounded_log() {
    flood(96);
}

#[test]
#[ignore = "takes minutes where the program is not optimised"]
fn a_container_that_prints_a_gigabyte_costs_little_memory_and_a_bounded_log() {
    flood(1024);
}

fn flood(mib: usize) {
    let bench = Bench::new();
    bench.build("bb", "");
    // Lines of the length that programs print: each is a record of the log.
    let flood = format!("yes $(printf %0500d 0) | head -c {}; echo; echo last words; sleep 1", mib * BLOCK);
    let idle = most_memory(&mut bench.command(&["images"]));
    let foreground = most_memory(&mut bench.command(&["run", "--name", "front", "bb", "sh", "-c", &flood]));
    let id = bench.run(&["run", "-d", "--name", "back", "bb", "sh", "-c", &flood]).trim().to_owned();
    let mut background = 0;
    while !bench.run(&["ps", "-q"]).is_empty() {
        background = background.max(supervisors(&bench.path("data")));
        std::thread::sleep(Duration::from_millis(100));
    }
    eprintln!("KiB: idle {idle}, in front {foreground}, behind {background}");
    assert!(background > 0 && foreground.max(background) < idle + GROWTH, "{idle}, {foreground}, {background} KiB");
    for name in ["front", "back"] {
        assert!(bench.run(&["logs", "--tail", "1", name]).contains("last words"));
    }
    let kept = run(Command::new("du").arg("-sk").arg(bench.path("data/containers").join(id)));
    let kept: u64 = kept.split_whitespace().next().unwrap().parse().unwrap();
    assert!(kept < GROWTH, "{kept} KiB of log");
    bench.run(&["rm", "front", "back"]);
}
