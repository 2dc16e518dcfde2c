//! `slipway repo`: the repositories that a server builds.

use super::status::table;
use super::{forge_deliveries, import, shadow};
use crate::client::{Connection, encoded, print_json, read, repository_name};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use webhook::sanitize;
use webhook::view::repository::{ConnectedView, DeployKeyView, RepositoryList, RepositoryMeta, RepositoryView};

/// Arguments of `slipway repo`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the repositories
    List(List),
    /// Show one repository with its rules
    Show(Named),
    /// Add a repository, or replace one with --replace
    Add(Add),
    /// Register the repository's webhook on its forge, or repair it, with the server's token
    Connect(Connect),
    /// Show the deliveries of the repository's webhook as its forge tells them, and have it send again what failed
    Deliveries(forge_deliveries::Arguments),
    /// Show the deploy key by which commits are fetched over ssh; make it, if there is none
    Key(Key),
    /// Compare what is built here with the image that another service builds of the same source (shadow_of)
    Shadow(shadow::Shadow),
    /// Let the images take the place of those that shadow_of names
    Switch(shadow::Switch),
    /// Turn the settings of Docker Hub's Automated Builds into repositories of slipway.toml
    Import(import::Arguments),
    /// Remove a repository; its queued builds are cancelled
    Rm(Named),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
struct Named {
    /// namespace/name
    #[arg(value_parser = repository_name)]
    name: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
struct Connect {
    #[command(flatten)]
    repository: Named,
    /// Give the webhook another secret, here and on the forge
    #[arg(long)]
    rotate: bool,
    /// Refuse deliveries that are signed with the secret before at once
    #[arg(long, requires = "rotate")]
    drop_previous: bool,
}

#[derive(Debug, Args)]
struct Key {
    #[command(flatten)]
    repository: Named,
    /// Make another key in place of the one that there is
    #[arg(long)]
    rotate: bool,
}

#[derive(Debug, Args)]
struct Add {
    /// namespace/name
    #[arg(value_parser = repository_name)]
    name: String,
    /// A document in TOML: the keys of a repository in slipway.toml
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Where commits are fetched from
    #[arg(long, value_name = "URL")]
    clone_url: Option<String>,
    /// Where images go, without a tag
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// The forge's name of the repository, if it differs from its name here
    #[arg(long, value_name = "OWNER/NAME")]
    forge_name: Option<String>,
    /// File that holds the webhook's secret; `-` for standard input
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Take the place of a repository that is there
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    match &arguments.command {
        Command::List(list) => self::list(list),
        Command::Show(named) => show(named),
        Command::Add(add) => self::add(add),
        Command::Connect(named) => connect(named),
        Command::Deliveries(arguments) => forge_deliveries::run(arguments),
        Command::Key(arguments) => key(arguments),
        Command::Shadow(arguments) => shadow::compare(arguments),
        Command::Switch(arguments) => shadow::switch(arguments),
        Command::Import(arguments) => import::run(arguments),
        Command::Rm(named) => remove(named),
    }
}

fn list(arguments: &List) -> Result<ExitCode, String> {
    let api = arguments.connection.open()?;
    let (mut all, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let next = cursor.map(|cursor| format!("&cursor={}", encoded(&cursor))).unwrap_or_default();
        let answer = api.get(&format!("/v1/repos?limit=200{next}"))?;
        let mut list: RepositoryList = read(&answer)?;
        all.append(&mut list.repositories);
        cursor = list.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    if arguments.connection.json {
        print_json(&json!({ "repositories": all }));
        return Ok(ExitCode::SUCCESS);
    }
    let rows = all.iter().map(|one| {
        let (document, meta) = (&one.document, &one.meta);
        let rules = if document.own_rules.is_some() { "its own".to_owned() } else { meta.rules.len().to_string() };
        let [name, image] = [&document.name, &document.image].map(|text| sanitize(text));
        [name, image, sanitize(&document.clone_url), rules, sanitize(&meta.defined_in)]
    });
    table(["REPOSITORY", "IMAGE", "SOURCE", "RULES", "DEFINED IN"], rows.collect());
    Ok(ExitCode::SUCCESS)
}

fn show(arguments: &Named) -> Result<ExitCode, String> {
    let api = arguments.connection.open()?;
    let mut repository = api.get(&format!("/v1/repos/{}", encoded(&arguments.name)))?;
    if arguments.connection.json {
        print_json(&repository);
        return Ok(ExitCode::SUCCESS);
    }
    // As it would stand in slipway.toml.
    let meta: RepositoryMeta =
        read(&repository.as_object_mut().and_then(|object| object.remove("meta")).unwrap_or_default())?;
    let text = toml::to_string_pretty(&repository).map_err(|error| format!("writing the repository: {error}"))?;
    println!("# defined in: {}; secret: {}", sanitize(&meta.defined_in), if meta.has_secret { "set" } else { "none" });
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}

fn add(arguments: &Add) -> Result<ExitCode, String> {
    let api = arguments.connection.open()?;
    let document = document(arguments)?;
    let answer = if arguments.replace {
        api.send(Method::PUT, &format!("/v1/repos/{}", encoded(&arguments.name)), Some(&document), &[])?
    } else {
        api.send(Method::POST, "/v1/repos", Some(&document), &[])?
    };
    if arguments.connection.json {
        print_json(&answer.body);
    } else {
        let done = if answer.status == reqwest::StatusCode::CREATED { "added" } else { "replaced" };
        println!("{} {done}", arguments.name);
        let stored: RepositoryView = read(&answer.body)?;
        println!("webhook: {}", sanitize(&stored.meta.links.hook));
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the document to send: the file's keys, and those of the command line over them.
fn document(arguments: &Add) -> Result<Value, String> {
    let mut document = match &arguments.file {
        None => json!({}),
        Some(path) => {
            let failed = |error: String| format!("reading `{}`: {error}", path.display());
            let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
            toml::from_str(&text).map_err(|error| failed(error.to_string()))?
        }
    };
    document["name"] = arguments.name.as_str().into();
    let texts =
        [("clone_url", &arguments.clone_url), ("image", &arguments.image), ("forge_name", &arguments.forge_name)];
    for (key, text) in texts {
        if let Some(text) = text {
            document[key] = text.as_str().into();
        }
    }
    if let Some(path) = &arguments.secret_file {
        document["secret"] = read_secret(path)?.into();
    }
    Ok(document)
}

/// Reads a secret from a file or standard input; one line break at its end does not count.
fn read_secret(path: &std::path::Path) -> Result<String, String> {
    let mut text = String::new();
    let read = match path.to_str() {
        Some("-") => std::io::stdin().read_to_string(&mut text).map(drop),
        _ => std::fs::read_to_string(path).map(|content| text = content),
    };
    read.map_err(|error| format!("reading the secret `{}`: {error}", path.display()))?;
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}

fn connect(arguments: &Connect) -> Result<ExitCode, String> {
    let Named { name, connection } = &arguments.repository;
    let api = connection.open()?;
    let body = arguments.rotate.then(|| json!({ "rotate": true, "drop_previous": arguments.drop_previous }));
    let answer = api.send(Method::POST, &format!("/v1/repos/{}/connect", encoded(name)), body.as_ref(), &[])?;
    if connection.json {
        print_json(&answer.body);
        return Ok(ExitCode::SUCCESS);
    }
    let connected: ConnectedView = read(&answer.body)?;
    let [forge, action, url] = [&connected.forge, &connected.action, &connected.url].map(|text| sanitize(text));
    println!("{name}: the webhook on {forge} was {action}: {url}");
    if arguments.rotate && !arguments.drop_previous {
        println!("  it has another secret; the one before counts until the next rotation");
    }
    connected.faults.iter().for_each(|fault| println!("  {}", sanitize(fault)));
    Ok(ExitCode::SUCCESS)
}

fn key(arguments: &Key) -> Result<ExitCode, String> {
    let Named { name, connection } = &arguments.repository;
    let api = connection.open()?;
    let body = json!({ "rotate": arguments.rotate });
    let answer = api.send(Method::POST, &format!("/v1/repos/{}/key", encoded(name)), Some(&body), &[])?;
    if connection.json {
        print_json(&answer.body);
        return Ok(ExitCode::SUCCESS);
    }
    let key: DeployKeyView = read(&answer.body)?;
    println!("{}", sanitize(&key.public_key));
    if answer.status == reqwest::StatusCode::CREATED {
        eprintln!(
            "a new key ({}): add it to the repository on its forge, for reading only",
            sanitize(&key.fingerprint)
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn remove(arguments: &Named) -> Result<ExitCode, String> {
    let api = arguments.connection.open()?;
    api.send(Method::DELETE, &format!("/v1/repos/{}", encoded(&arguments.name)), None, &[])?;
    if arguments.connection.json {
        print_json(&json!({ "removed": arguments.name }));
    } else {
        println!("{} removed", arguments.name);
    }
    Ok(ExitCode::SUCCESS)
}
