//! Requests that schemathesis makes up from the OpenAPI document: no answer is an error of the server, and each is as documented.

use crate::service::api::{ADMIN, ADMIN_TOKEN};
use crate::support::{Site, run, shown};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version that the test was written with.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";
/// How long requests are made up, in seconds.
const MAX_TIME: &str = "60";
/// Checks that the service does not promise: it reads without a token where the operator allows that, and refuses what a schema
/// cannot say, such as a name that is taken.
const NOT_CHECKED: &str = "ignored_auth,missing_required_header,positive_data_acceptance";

/// Returns the program, installed below `target` on first use.
fn schemathesis() -> PathBuf {
    let environment = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/schemathesis");
    let program = environment.join("bin/st");
    let is_there =
        |program: &Path| Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !is_there(&program) {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment));
        run(Command::new(environment.join("bin/pip")).args(["install", "--quiet", SCHEMATHESIS]));
    }
    program
}

#[test]
fn generated_requests_get_documented_answers() {
    let program = schemathesis();
    let site = Site::start(ADMIN);
    site.push_base();
    let id = site.push(&site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN echo hello\n")]));
    site.succeeded(&id);
    let configuration = site.path("schemathesis.toml");
    let parameters = format!(
        "[parameters]\n\"path.namespace\" = \"team\"\n\"path.name\" = \"app\"\n\"path.number\" = \"1\"\n\"path.id\" = \"{id}\"\n"
    );
    std::fs::write(&configuration, parameters).unwrap();
    let mut command = Command::new(program);
    command.arg("--config-file").arg(&configuration).arg("run").arg(format!("{}/v1/openapi.json", site.url));
    command.arg("--header").arg(format!("Authorization: Bearer {ADMIN_TOKEN}"));
    command.args([
        "--max-time",
        MAX_TIME,
        "--seed",
        "1",
        "--max-examples",
        "20",
        "--request-timeout",
        "30",
        "--workers",
        "2",
    ]);
    command.args(["--phases", "coverage,fuzzing", "--suppress-health-check", "all", "--warnings", "off", "--no-color"]);
    let output = command.args(["--exclude-checks", NOT_CHECKED]).current_dir(site.directory.path()).output().unwrap();
    assert!(output.status.success(), "{}", shown(&output));
    let log = std::fs::read_to_string(site.path("serve.log")).unwrap_or_default();
    assert!(!log.contains("panicked"), "{log}");
}
