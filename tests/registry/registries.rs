//! Pushing to registries: our own, Debian's, with a password and without.

use crate::service::push::commit_three_stages;
use crate::support::worker_pool::Yard;
use crate::support::{Process, Site, curl, free_port, pull_and_run, run, shown, slipway, wait_for};
use std::path::Path;
use std::process::{Command, Stdio};

/// Starts Debian's registry; with a password if there is one. It notes requests in `registry.log` of `directory`.
pub(crate) fn docker_registry(directory: &Path, password: Option<&str>) -> (Process, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let mut configuration = format!(
        "version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{address}'}}\nstorage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n",
        directory.join("registry").display()
    );
    if let Some(password) = password {
        let line = run(Command::new("htpasswd").args(["-Bbn", "me", password]));
        std::fs::write(directory.join("htpasswd"), line).unwrap();
        configuration.push_str(&format!(
            "auth: {{htpasswd: {{realm: test, path: {}}}}}\n",
            directory.join("htpasswd").display()
        ));
    }
    let file = directory.join("registry.yml");
    std::fs::write(&file, configuration).unwrap();
    let child = Command::new("docker-registry")
        .arg("serve")
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(directory.join("registry.log")).unwrap())
        .stderr(Stdio::null())
        .spawn();
    let process = Process(child.expect("docker-registry is installed"));
    wait_for("the registry", || {
        let asked =
            Command::new("curl").args(["-s", "-o", "/dev/null", &format!("http://{address}/v2/")]).status().unwrap();
        asked.success().then_some(())
    });
    (process, address)
}

#[test]
fn a_push_goes_to_debians_registry_with_and_without_a_password() {
    let directory = tempfile::tempdir().unwrap();
    for password in [None, Some("hush")] {
        let place = directory.path().join(password.unwrap_or("open"));
        std::fs::create_dir(&place).unwrap();
        let (_registry, address) = docker_registry(&place, password);
        let login = password.map_or(String::new(), |password| {
            format!("[registries.\"{address}\"]\nusername = \"me\"\npassword = \"{password}\"\n")
        });
        let site = Site::start(&format!(
            "[[repositories]]\nname = \"team/other\"\ngithub = \"Codertocat/Hello-World\"\nclone_url = \"http://127.0.0.1:1/x\"\nimage = \"{address}/x\"\n{login}"
        ).replace("Codertocat/Hello-World", "team/unused"));
        // The same repository, with its image elsewhere.
        let file = site.path("slipway.toml");
        let text = std::fs::read_to_string(&file)
            .unwrap()
            .replace(&format!("image = \"{}/team/app\"", site.registry), &format!("image = \"{address}/team/app\""));
        std::fs::write(&file, text).unwrap();
        let mut site = site;
        site.server = None;
        site.serve();
        site.push_base();
        let build = site.succeeded(&site.push(&commit_three_stages(&site)));
        assert!(build["image"]["tags"][0].as_str().unwrap().starts_with(&address), "{build:#}");
        let credentials: &[&str] = if password.is_some() { &["--src-creds", "me:hush"] } else { &[] };
        assert_eq!(
            pull_and_run(credentials, &format!("{address}/team/app:latest"), &["/bin/cat", "/srv/both.txt"]),
            "one\ntwo\n"
        );
    }
}

#[test]
fn what_strangers_wrote_is_built_without_the_service_s_logins() {
    // SEC-05
    let directory = tempfile::tempdir().unwrap();
    let (_registry, address) = docker_registry(directory.path(), Some("hush"));
    let login = format!("[registries.\"{address}\"]\nusername = \"me\"\npassword = \"hush\"\n");
    let (yard, _worker) = Yard::with_worker(&login);
    let (from, to) =
        (format!("docker://{}/base/busybox:latest", yard.registry), format!("docker://{address}/private/base:1"));
    run(Command::new("skopeo").args([
        "copy",
        "-q",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        "--dest-creds",
        "me:hush",
        &from,
        &to,
    ]));
    let commit = yard.commit(&[("Dockerfile", &format!("FROM {address}/private/base:1\nRUN true\n"))]);
    let mut request = yard.request(&commit);
    // A build that may read it comes first: what is here then already helps no stranger.
    yard.succeeded(&yard.queue(&request));
    (request.spec.options.trusted, request.spec.push) = (false, false);
    let by_tag = format!("{address}/private/base:1");
    let to = format!("docker://{by_tag}");
    let digest = run(Command::new("skopeo").args([
        "inspect",
        "--tls-verify=false",
        "--creds",
        "me:hush",
        "--format",
        "{{.Digest}}",
        &to,
    ]));
    for base in [by_tag, format!("{address}/private/base@{}", digest.trim())] {
        let commit = yard.commit(&[("Dockerfile", &format!("FROM {base}\nRUN true\n"))]);
        request.spec.commit = Some(commit);
        let (state, code, message) = yard.failed(&yard.queue(&request));
        assert_eq!((state.as_str(), code.as_str()), ("failed", "image_not_allowed"), "{message}");
        assert!(message.contains(&base), "{message}");
    }
}

#[test]
fn a_wrong_password_is_named() {
    // REG-20
    let directory = tempfile::tempdir().unwrap();
    let (_registry, address) = docker_registry(directory.path(), Some("hush"));
    let context = directory.path().join("context");
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("Dockerfile"), "FROM scratch\nCOPY Dockerfile /\n").unwrap();
    let home = directory.path().join("home");
    std::fs::create_dir_all(home.join(".docker")).unwrap();
    let wrong = "bWU6d3Jvbmc=";
    std::fs::write(home.join(".docker/config.json"), format!(r#"{{"auths":{{"{address}":{{"auth":"{wrong}"}}}}}}"#))
        .unwrap();
    let output = slipway()
        .args(["build", "--progress", "plain", "--push", "-t", &format!("{address}/x:1"), "--data-dir"])
        .arg(directory.path().join("data"))
        .arg(&context)
        .env("HOME", &home)
        .output()
        .unwrap();
    let said = crate::support::shown(&output);
    assert!(!output.status.success() && said.contains(&address), "{said}");
    assert!(!said.contains("wrong") && !said.contains(wrong), "{said}");
}

#[test]
fn the_embedded_registry_serves_other_tools() {
    let site = Site::start("");
    site.push_base();
    let registry = &site.registry;
    // Another tool pulls, pushes under a new name, lists and inspects.
    let (from, to) =
        (format!("docker://{registry}/base/busybox:latest"), format!("docker://{registry}/copies/busybox:v1"));
    run(Command::new("skopeo").args(["copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false", &from, &to]));
    let tags = curl(&[&format!("http://{registry}/v2/copies/busybox/tags/list")]);
    assert_eq!(tags.json()["tags"], serde_json::json!(["v1"]));
    let inspected = run(Command::new("skopeo").args(["inspect", "--tls-verify=false", &to]));
    assert!(inspected.contains("\"Digest\": \"sha256:"), "{inspected}");
    let missing = curl(&[&format!("http://{registry}/v2/copies/busybox/manifests/nosuch")]);
    assert_eq!((missing.status, &missing.json()["errors"][0]["code"]), (404, &"MANIFEST_UNKNOWN".into()));
    assert_eq!(
        pull_and_run(&[], &format!("{registry}/copies/busybox:v1"), &["/bin/busybox", "echo", "hello"]),
        "hello\n"
    );
}

#[test]
fn the_embedded_registry_asks_for_a_user_where_there_are_some() {
    let site = Site::start_with("registry_users = { ci = \"hush-hush\" }", "");
    let commit = site.commit(&[("Dockerfile", "FROM scratch\nCOPY a /a\n"), ("a", "1")]);
    // The server's own workers log in by themselves.
    let build = site.succeeded(&site.push(&commit));
    let manifest = format!("http://{}/v2/team/app/manifests/latest", site.registry);
    assert_eq!(curl(&[&manifest]).status, 401);
    assert_eq!(curl(&["-u", "ci:hush", &manifest]).status, 401);
    let image = format!("docker://{}/team/app:latest", site.registry);
    let inspect = ["inspect", "--tls-verify=false", "--creds", "ci:hush-hush", "--format", "{{.Digest}}", &image];
    assert_eq!(run(Command::new("skopeo").args(inspect)).trim(), build["image"]["digest"]);
}

#[test]
fn a_credential_helper_is_asked_once_and_for_the_registry() {
    let site = Site::start_with("registry_users = { ci = \"hush-hush\" }", "");
    let directory = tempfile::tempdir().unwrap();
    let (helper, asked) = (directory.path().join("docker-credential-counting"), directory.path().join("asked"));
    let script = format!(
        "#!/bin/sh\ncat >> {0}\necho >> {0}\necho '{{\"Username\":\"ci\",\"Secret\":\"hush-hush\"}}'\n",
        asked.display()
    );
    std::fs::write(&helper, script).unwrap();
    std::fs::set_permissions(&helper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(directory.path().join("config.json"), r#"{"credsStore":"counting"}"#).unwrap();
    let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
    let pull = slipway()
        .env("PATH", path)
        .env("DOCKER_CONFIG", directory.path())
        .args(["pull", &format!("{}/a/b/c/d:1", site.registry), "--data-dir"])
        .arg(site.path("by-hand"))
        .output()
        .unwrap();
    assert!(!pull.status.success(), "there is no such image: {}", shown(&pull));
    assert_eq!(std::fs::read_to_string(asked).unwrap(), format!("{}\n", site.registry), "{}", shown(&pull));
}

#[test]
fn a_registry_where_strangers_could_push_is_not_served() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("slipway.toml");
    let text = format!("[server]\nlisten = \"127.0.0.1:0\"\nregistry_listen = \"0.0.0.0:{}\"\n", free_port());
    std::fs::write(&file, text).unwrap();
    let output = slipway().arg("serve").arg("--data-dir").arg(directory.path()).output().unwrap();
    assert!(!output.status.success() && shown(&output).contains("[server.registry_users]"), "{}", shown(&output));
}
