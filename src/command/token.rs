//! `slipway token`: tokens of the API, made and revoked in the database that the server uses.

use super::local_database::LocalDatabase;
use super::status::table;
use crate::client::print_json;
use crate::clock::unix_ms;
use clap::{Args, Subcommand};
use database::{Database, NewToken, TokenRecord};
use registry_client::report;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use webhook::Scope;

/// Arguments of `slipway token`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    local: LocalDatabase,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a token; it is shown once, only its hash is kept
    Create(Create),
    /// List tokens
    List,
    /// Revoke a token: it is good for nothing from then on
    Revoke {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
struct Create {
    /// Scope of the token: read, trigger or admin; each includes those before it
    #[arg(long, value_parser = scope, value_name = "SCOPE")]
    scope: Scope,
    /// Its name, shown with the builds that it starts [default: one made up of scope and repository]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Only good for this repository; may be given several times [default: all]
    #[arg(long = "repo", value_name = "REPOSITORY")]
    repositories: Vec<String>,
    /// How long it is good: 30d, 12h [default: until it is revoked]
    #[arg(long, value_name = "TIME", value_parser = span)]
    expires: Option<i64>,
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).ok_or_else(|| "there are read, trigger and admin".to_owned())
}

/// Returns milliseconds.
pub(super) fn span(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is not a duration: write 30d, 12h or 90m");
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let minutes = match unit {
        "m" => 1,
        "h" => 60,
        "d" => 24 * 60,
        _ => return Err(wrong()),
    };
    let count: i64 = digits.parse().ok().filter(|count| (1..=36_500).contains(count)).ok_or_else(wrong)?;
    Ok(count * minutes * 60_000)
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    let json = arguments.local.json;
    arguments.local.with(data_dir, async |configuration, database| match &arguments.command {
        Command::Create(create) => {
            let mut known = configuration.repository_names();
            known.extend(database.repository_names().await.map_err(|error| report(&error))?);
            check_repositories(&create.repositories, &known)?;
            self::create(database, create, json).await
        }
        Command::List => list(database, json).await,
        Command::Revoke { name } => revoke(database, name).await,
    })
}

/// Refuses repositories that only a slip of the pen can mean; one that is not there yet is said.
fn check_repositories(asked: &[String], known: &[String]) -> Result<(), String> {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    for name in asked.iter().filter(|name| !known.contains(&name.as_str())) {
        if name.split('/').count() != 2 || name.split('/').any(str::is_empty) {
            return Err(format!("`{name}` does not name a repository: write `namespace/name`"));
        }
        match webhook::nearest(name, &known) {
            Some(meant) => return Err(format!("there is no repository `{name}`; did you mean `{meant}`?")),
            None => eprintln!("there is no repository `{name}` yet: the token is good for it when there is"),
        }
    }
    Ok(())
}

async fn create(database: &Database, create: &Create, json: bool) -> Result<ExitCode, String> {
    let token = webhook::token::generate().ok_or("making a token: the system gives no random numbers")?;
    let scope = create.scope.as_str();
    let digits: String = token.hash[..3].iter().map(|byte| format!("{byte:02x}")).collect();
    let place = create.repositories.first().map_or("all", String::as_str);
    let name = create.name.clone().unwrap_or_else(|| format!("{scope}-{}-{digits}", place.replace('/', "-")));
    let new = NewToken {
        name: name.clone(),
        hash: token.hash,
        scopes: vec![scope.to_owned()],
        repositories: create.repositories.clone(),
        expires_ms: create.expires.map(|span| unix_ms() + span),
        identity: None,
    };
    if !database.create_token(&new).await.map_err(|error| report(&error))? {
        return Err(format!("there is a token called `{name}` already: give this one another --name"));
    }
    if json {
        print_json(&json!({ "name": name, "token": token.text, "scope": scope, "repositories": create.repositories }));
    } else {
        eprintln!("token `{name}`, scope {scope}, {}: shown now and never again", repositories(&create.repositories));
        println!("{}", token.text);
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(database: &Database, json: bool) -> Result<ExitCode, String> {
    let tokens = database.tokens().await.map_err(|error| report(&error))?;
    if json {
        print_json(&tokens.iter().map(shown).collect::<Value>());
        return Ok(ExitCode::SUCCESS);
    }
    let rows = tokens.iter().map(|token| {
        [
            token.name.clone(),
            token.scopes.join(" "),
            repositories(&token.repositories),
            state(token).to_owned(),
            used(token),
        ]
    });
    table(["TOKEN", "SCOPE", "REPOSITORIES", "STATE", "LAST USED"], rows.collect());
    Ok(ExitCode::SUCCESS)
}

async fn revoke(database: &Database, name: &str) -> Result<ExitCode, String> {
    if !database.revoke_token(name).await.map_err(|error| report(&error))? {
        return Err(format!("there is no token `{name}` that could be revoked: `slipway token list` shows them"));
    }
    println!("{name} revoked");
    Ok(ExitCode::SUCCESS)
}

fn shown(token: &TokenRecord) -> Value {
    json!({
        "name": token.name, "scopes": token.scopes, "repositories": token.repositories, "state": state(token),
        "created_ms": token.created_ms, "expires_ms": token.expires_ms, "last_used_ms": token.last_used_ms,
    })
}

fn state(token: &TokenRecord) -> &'static str {
    match (token.revoked_ms, token.expires_ms) {
        (Some(_), _) => "revoked",
        (None, Some(at)) if at <= unix_ms() => "expired",
        _ => "good",
    }
}

fn used(token: &TokenRecord) -> String {
    match token.last_used_ms {
        None => "never".to_owned(),
        Some(at) => format!("{} min ago", (unix_ms() - at).max(0) / 60_000),
    }
}

fn repositories(names: &[String]) -> String {
    if names.is_empty() { "all repositories".to_owned() } else { names.join(" ") }
}
