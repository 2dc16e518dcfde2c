//! The commands that speak to a server, and Docker Hub's triggers, which are commands in other people's scripts.

use crate::service::api::{ADMIN, ADMIN_TOKEN};
use crate::support::{Site, curl, run, shown, slipway};
use serde_json::{Value, json};
use std::process::{Command, Output, Stdio};

/// Runs a command against the site's server.
fn command(site: &Site, arguments: &[&str]) -> Output {
    let mut command = slipway();
    command.args(arguments).env("SLIPWAY_URL", &site.url).env("SLIPWAY_TOKEN", ADMIN_TOKEN);
    command.stdin(Stdio::null()).output().unwrap()
}

fn good(site: &Site, arguments: &[&str]) -> String {
    let output = command(site, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", shown(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_commands_carry_a_build_through_its_life() {
    let site = Site::start(ADMIN);
    site.push_base();
    let commit = site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN echo hello from the step\n")]);
    let planned = good(&site, &["trigger", "team/app", "--ref", "main", "--dry-run"]);
    assert!(planned.starts_with("main ") && planned.contains(":latest"), "{planned}");
    // The commit of a bare ref is known to the worker first: the tag is filled in there.
    let followed = command(&site, &["trigger", "team/app", "--ref", "main", "--reason", "by hand", "--follow"]);
    let text = shown(&followed);
    assert!(followed.status.success() && text.contains("hello from the step"), "{text}");
    let build: Value = serde_json::from_str(&good(&site, &["status", "team/app#latest", "--json"])).unwrap();
    assert_eq!(build["image"]["tags"][1], format!("{}/team/app:{}", site.registry, &commit[..7]), "{build:#}");
    let status = good(&site, &["status", "team/app#1"]);
    assert!(status.contains("succeeded") && status.contains("RUN echo hello"), "{status}");
    assert!(good(&site, &["status", "--repo", "team/app"]).contains("team/app#1"));
    assert!(good(&site, &["logs", "team/app#1"]).contains("hello from the step"));
    assert_eq!(good(&site, &["logs", "team/app", "--tail", "1"]).lines().count(), 1);
    let again = good(&site, &["retry", "team/app#1", "--from", "start", "-f"]);
    assert!(again.contains("repeats") && again.contains("hello from the step"), "{again}");
    let finished = command(&site, &["cancel", "team/app"]);
    assert!(finished.status.code() == Some(1) && shown(&finished).contains("already_finished"), "{}", shown(&finished));
    site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN exit 7\n")]);
    let failed = command(&site, &["trigger", "team/app", "-f"]);
    assert_eq!(failed.status.code(), Some(3), "{}", shown(&failed));
    site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN sleep 1000\n")]);
    good(&site, &["trigger", "team/app"]);
    assert!(good(&site, &["cancel", "team/app"]).contains("asked to end"));
    let waited = command(&site, &["status", "team/app", "--wait"]);
    assert!(waited.status.code() == Some(3) && shown(&waited).contains("cancelled"), "{}", shown(&waited));
}

#[test]
fn repositories_rules_and_secrets_are_managed_from_the_command_line() {
    let site = Site::start(ADMIN);
    let file = site.path("repository.toml");
    let clone_url = site.get("/v1/repos/team/app")["clone_url"].as_str().unwrap().to_owned();
    let text = "[[rules]]\nname = \"releases\"\ntag = '/^v/'\ntags = ['{semver.*}']\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let added =
        good(&site, &["repo", "add", "a/b", "--file", file, "--clone-url", &clone_url, "--image", "127.0.0.1:1/a/b"]);
    assert!(added.contains("a/b added\nwebhook: "), "{added}");
    let twice =
        command(&site, &["repo", "add", "a/b", "--file", file, "--clone-url", &clone_url, "--image", "x.test/a"]);
    assert!(!twice.status.success() && shown(&twice).contains("`slipway repo add --replace`"), "{}", shown(&twice));
    assert!(good(&site, &["repo", "list"]).contains("a/b"));
    let written = good(&site, &["repo", "show", "a/b"]);
    assert!(written.contains("[[rules]]") && written.contains("releases"), "{written}");
    let matched = good(&site, &["rules", "test", "v1.2.3", "--repo", "a/b"]);
    assert!(matched.contains("127.0.0.1:1/a/b:1.2.3") && matched.contains("127.0.0.1:1/a/b:1\n"), "{matched}");
    let none = command(&site, &["rules", "test", "main", "--repo", "a/b"]);
    assert!(none.status.code() == Some(3) && shown(&none).contains("is for tags"), "{}", shown(&none));
    let own = site.path("own.toml");
    std::fs::write(&own, "[[rules]]\nbranhc = \"main\"\n").unwrap();
    let wrong = command(&site, &["rules", "test", "main", "--repo", "a/b", "--file", own.to_str().unwrap()]);
    assert!(
        shown(&wrong).contains("line 2, column 1: unknown key `branhc`; did you mean `branch`?"),
        "{}",
        shown(&wrong)
    );
    let mut set = slipway();
    set.args(["secret", "set", "a/b", "npm"]).env("SLIPWAY_URL", &site.url).env("SLIPWAY_TOKEN", ADMIN_TOKEN);
    let value = std::fs::File::open(file).unwrap();
    assert!(set.stdin(value).status().unwrap().success());
    assert_eq!(good(&site, &["secret", "list", "a/b"]), "npm\n");
    let key = good(&site, &["repo", "key", "a/b"]);
    assert!(key.starts_with("ssh-ed25519 AAAA") && key.ends_with(" slipway a/b\n"), "{key}");
    let shown_key: Value = serde_json::from_str(&good(&site, &["repo", "key", "a/b", "--json"])).unwrap();
    assert!(shown_key["public_key"] == key.trim() && shown_key["fingerprint"].as_str().unwrap().starts_with("SHA256:"));
    assert_eq!(good(&site, &["repo", "key", "a/b"]), key, "it stays");
    assert_ne!(good(&site, &["repo", "key", "a/b", "--rotate"]), key);
    assert_eq!(good(&site, &["secret", "list", "a/b"]), "npm\n");
    good(&site, &["repo", "rm", "a/b"]);
    assert_eq!(command(&site, &["repo", "show", "a/b"]).status.code(), Some(1));
    let away = slipway().args(["status", "--server", "http://127.0.0.1:9"]).output().unwrap();
    assert!(
        away.status.code() == Some(1) && shown(&away).contains("does not answer: Connection refused"),
        "{}",
        shown(&away)
    );
}

#[test]
fn docker_hub_s_trigger_urls_still_work() {
    let extra = format!(
        "{ADMIN}[[repositories]]\nname = \"hub/app\"\nclone_url = \"http://127.0.0.1:1/x.git\"\nimage = \"@REGISTRY@/hub/app\"\n\
         [[repositories.rules]]\nbranch = \"master\"\ntags = [\"latest\"]\n[[repositories.rules]]\nbranch = \"staging\"\ntags = [\"staging\"]\n\
         [[repositories.rules]]\ntag = '/^v([0-9.]+)$/'\ntags = ['{{\\1}}']\n"
    );
    let site = Site::start(&extra.replace("{{", "{").replace("}}", "}"));
    let mut create = slipway();
    create.args(["token", "create", "--scope", "trigger", "--repo", "hub/app", "--data-dir"]).arg(site.path("data"));
    let token = run(create.arg("--config").arg(site.path("slipway.toml"))).trim().to_owned();
    let url = format!("{}/u/hub/app/trigger/{token}/", site.url);
    let refs = |answer: &Value| {
        answer["builds"].as_array().unwrap().iter().map(|build| build["ref"].clone()).collect::<Vec<_>>()
    };
    let json_type = "Content-Type: application/json";
    let all = curl(&["-X", "POST", "-d", "build=true", &url]);
    assert_eq!((all.status, &all.json()["state"]), (202, &json!("Queued")), "{}", all.text);
    assert_eq!(refs(&all.json()), ["refs/heads/master", "refs/heads/staging"]);
    let tag = curl(&["-X", "POST", "-H", json_type, "-d", r#"{"docker_tag":"staging"}"#, &url]);
    assert_eq!(refs(&tag.json()), ["refs/heads/staging"]);
    let source = curl(&["-X", "POST", "-H", json_type, "-d", r#"{"source_type":"Tag","source_name":"v1.1"}"#, &url]);
    assert_eq!(
        source.json()["builds"][0]["tags"],
        json!([format!("{}/hub/app:1.1", site.registry)]),
        "{}",
        source.text
    );
    let none = curl(&["-X", "POST", "-H", json_type, "-d", r#"{"source_type":"Branch","source_name":"x"}"#, &url]);
    assert_eq!((none.status, &none.json()["code"]), (409, &json!("no_rule_matched")), "never OK when nothing is built");
    assert_eq!(curl(&["-X", "POST", &url.replace("slp_", "slp_0")]).status, 404);
    assert_eq!(curl(&["-X", "POST", &url.replace("hub/app", "team/app")]).status, 404);
}

#[test]
fn help_says_what_there_is() {
    let help = run(Command::new(env!("CARGO_BIN_EXE_slipway")).arg("--help"));
    for name in ["repo", "trigger", "status", "logs", "cancel", "retry", "rules", "secret", "token"] {
        assert!(help.contains(&format!("\n  {name} ")), "{name}: {help}");
    }
}

#[test]
fn a_token_that_is_missing_and_one_that_is_unknown_are_told_apart() {
    let site = Site::start("");
    let asked = |token: &str| {
        let output =
            slipway().args(["repo", "list", "--server", &site.url]).env("SLIPWAY_TOKEN", token).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
        shown(&output)
    };
    let without =
        slipway().args(["repo", "add", "a/b", "--server", &site.url]).env_remove("SLIPWAY_TOKEN").output().unwrap();
    assert!(shown(&without).contains("`slipway token create` makes one"), "{}", shown(&without));
    let unknown = asked("slp_0123456789abcdef");
    assert!(unknown.contains("HTTP 401") && unknown.contains("not known there, revoked or too old"), "{unknown}");
}

#[test]
fn a_repository_with_rules_of_its_own_is_listed_as_such() {
    let rules = "[[repositories]]\nname = \"team/own\"\nclone_url = \"https://git.example/own.git\"\nimage = \"registry.example/own\"\nown_rules = {}\n";
    let site = Site::start(&format!("{rules}{ADMIN}"));
    let listed = good(&site, &["repo", "list"]);
    let own = listed.lines().find(|line| line.starts_with("team/own")).unwrap_or_default();
    assert!(own.contains("its own"), "{listed}");
}

#[test]
fn a_server_that_cannot_start_says_once_why_and_what_would_be_right() {
    let directory = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let file = directory.path().join("slipway.toml");
    let started = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let output = slipway().arg("serve").arg("--data-dir").arg(directory.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
        shown(&output)
    };
    let busy = started(&format!("[server]\nlisten = \"{}\"\n", taken.local_addr().unwrap()));
    assert!(
        busy.contains("another program listens there: end it, or choose another address in `server.listen`"),
        "{busy}"
    );
    let wrong = started("[server]\nlisten = \"8080\"\n");
    assert!(wrong.contains("listening on 8080") && wrong.contains("as in 127.0.0.1:8080"), "{wrong}");
    let typo = started("[server]\nlistne = \"127.0.0.1:8080\"\n");
    assert_eq!(typo.matches("line 2, column 1: unknown key `listne`; did you mean `listen`?").count(), 1, "{typo}");
    assert!(!busy.contains('\x1b'), "no colours where there is no terminal: {busy:?}");
}

#[test]
fn a_reader_that_goes_away_ends_a_command_without_a_report() {
    let site = Site::start(ADMIN);
    let mut child = slipway()
        .args(["repo", "list", "--server", &site.url])
        .env("SLIPWAY_TOKEN", ADMIN_TOKEN)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), shown(&output).as_str()), (Some(141), ""));
    let context = site.path("context");
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("Dockerfile"), "FROM scratch\nCOPY Dockerfile /\n").unwrap();
    let mut build = slipway();
    build.args(["build", "--data-dir"]).arg(site.path("by-hand")).arg(&context);
    let mut child = build.stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(141));
}
