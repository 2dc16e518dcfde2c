//! `slipway sign-in` and `slipway sign-out`: a code is confirmed on a page of the server, and the token that comes of it is kept
//! for the commands that are given none.

use crate::client::{Connection, print_json};
use crate::stored_logins;
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use webhook::sanitize;

/// Where the name of this machine is read.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";
/// Longest name of a machine that is sent.
const MAX_NAME: usize = 40;

/// Arguments of `slipway sign-in` and `slipway sign-out`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// URL of the server
    #[arg(value_name = "URL")]
    server: String,
    /// Print what was done, as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `slipway sign-in`.
pub(crate) fn begin(arguments: &Arguments) -> Result<ExitCode, String> {
    let api = Connection::without_token(&arguments.server).open()?;
    let begun = api.send(Method::POST, "/v1/device", Some(&json!({ "name": machine() })), &[])?.body;
    let text = |key: &str| begun[key].as_str().map(sanitize).unwrap_or_default();
    eprintln!("Open {} and confirm the code {}", text("verification_uri_complete"), text("user_code"));
    let (wait, interval) = (seconds(&begun, "expires_in", 600), seconds(&begun, "interval", 2));
    let until = Instant::now() + wait;
    let question = json!({ "device_code": begun["device_code"] });
    let made = loop {
        std::thread::sleep(interval);
        match api.send(Method::POST, "/v1/device/token", Some(&question), &[]) {
            Ok(answer) => break answer.body,
            Err(problem) if problem.contains("(device_waiting,") && Instant::now() < until => {}
            Err(problem) => return Err(problem),
        }
    };
    let token = made["token"].as_str().ok_or("the server gave no token: is it a slipway of another version?")?;
    let file = stored_logins::put(&arguments.server, Some(token))?;
    let name = made["full_name"].as_str().map(sanitize).unwrap_or_default();
    if arguments.json {
        print_json(&json!({ "server": arguments.server, "token": name, "file": file }));
    } else {
        println!("signed in at {} with the token `{name}`, kept in {}", arguments.server, file.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs `slipway sign-out`: the token is revoked, and forgotten also where the server cannot be asked.
pub(crate) fn end(arguments: &Arguments) -> Result<ExitCode, String> {
    if stored_logins::token(&arguments.server)?.is_none() {
        return Err(format!("nobody is signed in at {}: `slipway sign-in {0}` does that", arguments.server));
    }
    let api = Connection::without_token(&arguments.server).open()?;
    let revoked = api.get("/v1/whoami").and_then(|who| {
        let name = who["token"].as_str().and_then(|name| name.rsplit('/').next()).unwrap_or_default().to_owned();
        api.send(Method::DELETE, &format!("/v1/tokens/{}", crate::client::encoded(&name)), None, &[]).map(drop)
    });
    stored_logins::put(&arguments.server, None)?;
    if let Err(problem) = &revoked {
        eprintln!("the token is forgotten here, but was not revoked: {problem}");
    }
    if arguments.json {
        print_json(&json!({ "server": arguments.server, "revoked": revoked.is_ok() }));
    } else {
        println!("signed out at {}", arguments.server);
    }
    Ok(ExitCode::SUCCESS)
}

fn seconds(begun: &Value, key: &str, usual: u64) -> Duration {
    Duration::from_secs(begun[key].as_u64().unwrap_or(usual).clamp(1, 3600))
}

/// Returns the name of this machine, in the characters that a name may have.
fn machine() -> String {
    let text = std::fs::read_to_string(HOST_NAME).unwrap_or_default();
    let is_fine = |char: &char| char.is_ascii_alphanumeric() || *char == '-';
    let name: String = text.trim().chars().filter(is_fine).take(MAX_NAME).collect();
    let name = name.trim_matches('-').to_owned();
    if name.is_empty() { "machine".to_owned() } else { name }
}
