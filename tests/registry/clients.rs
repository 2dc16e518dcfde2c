//! Other programs with the embedded registry: skopeo, podman and buildah push, pull, copy, list and delete, with and without a
//! login, in plain HTTP and with TLS; and images go on from there to Debian's registry and back.

use super::registries::docker_registry;
use crate::support::{Process, Site, busybox_context, free_port, run, slipway, wait_for};
use serde_json::Value;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// Speaks TLS in front of the registry.
const PROXY: &str = r#"
import socket, ssl, sys, threading
port, target, place = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(place + "/cert.pem", place + "/key.pem")
def copy(one, other):
    try:
        while data := one.recv(65536): other.sendall(data)
    except OSError: pass
    try: other.shutdown(socket.SHUT_RDWR)
    except OSError: pass
def serve(plain):
    try: near = context.wrap_socket(plain, server_side=True)
    except OSError: return
    far = socket.create_connection(("127.0.0.1", target))
    threading.Thread(target=copy, args=(far, near), daemon=True).start()
    copy(near, far)
server = socket.create_server(("127.0.0.1", port))
while True: threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"#;

fn tls_proxy(place: &Path, port: u16, registry: &str) -> Process {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    openssl.args(["-subj", "/CN=test", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
    openssl.arg("-keyout").arg(place.join("key.pem")).arg("-out").arg(place.join("cert.pem"));
    run(openssl.stderr(Stdio::null()));
    // Clients look for authorities in files of this ending, and for keys in others.
    std::fs::create_dir_all(place.join("certs")).unwrap();
    std::fs::copy(place.join("cert.pem"), place.join("certs/ca.crt")).unwrap();
    let target = registry.rsplit_once(':').unwrap().1;
    let mut python = Command::new("python3");
    python.args(["-c", PROXY, &port.to_string(), target]).arg(place).stdin(Stdio::null());
    let process = Process(python.spawn().unwrap());
    wait_for("the proxy", || TcpStream::connect(("127.0.0.1", port)).ok());
    process
}

/// A client with a place of its own for images and logins.
struct Client<'c> {
    name: &'static str,
    place: &'c Path,
}

impl Client<'_> {
    fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(self.name);
        command.env("REGISTRY_AUTH_FILE", self.place.join("auth.json")).env("HOME", self.place);
        if self.name != "skopeo" {
            command.args(["--storage-driver", "vfs", "--root"]).arg(self.place.join("storage"));
            command.arg("--runroot").arg(self.place.join("run"));
        }
        run(command.args(arguments))
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Pushes, pulls, copies, lists and deletes with all clients at `registry`; `flags` say how it is spoken to.
fn works(place: &Path, registry: &str, flags: &[&str], login: Option<&str>) {
    let clients = ["skopeo", "podman", "buildah"].map(|name| Client { name, place });
    let [skopeo, podman, buildah] = &clients;
    let with = |first: &[&str], rest: &[&str]| [first, flags, rest].concat().join("\n");
    let call = |client: &Client<'_>, first: &[&str], rest: &[&str]| {
        client.run(&with(first, rest).split('\n').collect::<Vec<_>>())
    };
    if let Some(password) = login {
        for client in &clients {
            call(client, &["login"], &["-u", "ci", "-p", password, registry]);
        }
    }
    let context = busybox_context("FROM scratch\nCOPY busybox /bin/busybox\nCMD [\"/bin/busybox\", \"true\"]\n");
    let image = |name: &str| format!("{registry}/clients/{name}");
    let context = context.path().join("context");
    buildah.run(&["bud", "-q", "--isolation", "chroot", "-t", &image("built"), context.to_str().unwrap()]);
    call(buildah, &["push", "-q"], &[&image("built"), &format!("docker://{}", image("built:1"))]);
    call(podman, &["pull", "-q"], &[&image("built:1")]);
    podman.run(&["tag", &image("built:1"), &image("again:2")]);
    call(podman, &["push", "-q"], &[&image("again:2")]);
    let tls = flags.first().map_or(Vec::new(), |flag| match flag.strip_prefix("--") {
        Some(flag) => vec![format!("--src-{flag}"), format!("--dest-{flag}")],
        None => Vec::new(),
    });
    let copy = ["copy", "-q"].into_iter().chain(tls.iter().map(String::as_str));
    let (from, to) = (format!("docker://{}", image("again:2")), format!("docker://{}", image("copied:3")));
    skopeo.run(&copy.chain([from.as_str(), to.as_str()]).collect::<Vec<_>>());
    let digest =
        |name: &str| json(&call(skopeo, &["inspect"], &[&format!("docker://{}", image(name))]))["Digest"].clone();
    assert_eq!(digest("again:2"), digest("copied:3"));
    let tags = json(&call(skopeo, &["list-tags"], &[&format!("docker://{}", image("copied"))]));
    assert_eq!(tags["Tags"], serde_json::json!(["3"]));
    call(skopeo, &["delete"], &[&format!("docker://{}", image("copied:3"))]);
    let tags = json(&call(skopeo, &["list-tags"], &[&format!("docker://{}", image("copied"))]));
    assert_eq!(tags["Tags"].as_array().map_or(0, Vec::len), 0, "{tags}");
    call(buildah, &["pull", "-q"], &[&image("again:2")]);
}

#[test]
fn skopeo_podman_and_buildah_use_the_registry_with_and_without_a_login_and_tls() {
    for login in [None, Some("hush-hush")] {
        let users = login.map_or(String::new(), |password| format!("registry_users = {{ ci = \"{password}\" }}"));
        let port = free_port();
        // Clients are sent to the registry's tokens by the name that they know it by.
        let public =
            login.map_or(String::new(), |_| format!("[registry]\npublic_url = \"https://localhost:{port}\"\n"));
        let site = Site::start_with(&users, &public);
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("auth.json"), "{}").unwrap();
        if login.is_none() {
            works(place.path(), &site.registry, &["--tls-verify=false"], login);
        } else {
            let _proxy = tls_proxy(place.path(), port, &site.registry);
            let address = format!("localhost:{port}");
            let certificates = format!("--cert-dir={}", place.path().join("certs").display());
            works(place.path(), &address, &[&certificates], login);
        }
    }
}

#[test]
fn images_go_on_to_debians_registry_and_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let (_debian, debian) = docker_registry(directory.path(), None);
    let site = Site::start("");
    let place = directory.path().join("clients");
    std::fs::create_dir(&place).unwrap();
    std::fs::write(place.join("auth.json"), "{}").unwrap();
    let skopeo = Client { name: "skopeo", place: &place };
    let data = directory.path().join("data");
    let command = |arguments: &[&str]| {
        let mut command = slipway();
        run(command.arg("--data-dir").arg(&data).args(arguments))
    };
    site.push_base();
    let copy = ["copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false"];
    let at = |registry: &str, name: &str| format!("docker://{registry}/{name}");
    // An image goes from this registry to the other, where docker's form is asked for, and slipway pulls it there.
    let (from, to) = (at(&site.registry, "base/busybox:latest"), at(&debian, "team/base:docker"));
    skopeo.run(&[&copy[..], &["--format", "v2s2", &from, &to]].concat());
    let there = format!("{debian}/team/base:docker");
    assert!(command(&["pull", &there]).contains("Downloaded newer image"));
    // It is pushed here, and the other registry gets it back as it is.
    let here = format!("{}/team/back:1", site.registry);
    command(&["tag", &there, &here]);
    command(&["push", &here]);
    skopeo.run(&[&copy[..], &[&at(&site.registry, "team/back:1"), &at(&debian, "team/back:1")]].concat());
    let raw = |registry: &str| skopeo.run(&["inspect", "--raw", "--tls-verify=false", &at(registry, "team/back:1")]);
    assert_eq!(raw(&site.registry), raw(&debian));
    assert!(command(&["pull", &format!("{debian}/team/back:1")]).contains("team/back:1"));
}
