//! `slipway registry`: accounts of the embedded registry, their rights and what they changed, in the database that the
//! server uses.

use super::local_database::LocalDatabase;
use super::restore;
use super::status::table;
use super::token::span;
use crate::client::print_json;
use crate::clock::unix_ms;
use crate::state::DataDir;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use database::{Account, Change, ChangeFilter, Database, NewAccount, Right};
use registry_client::report;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use webhook::sanitize;

/// Arguments of `slipway registry`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    local: LocalDatabase,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Manage accounts
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// Let an account, or everybody, do something in the repositories of a pattern
    Allow(Allow),
    /// Take a right away
    Deny(Deny),
    /// List rights
    Rights,
    /// List who pushed and deleted what, the newest first
    Audit(Audit),
    /// List deleted tags that can be restored
    Deleted(restore::Deleted),
    /// Put a deleted tag back, on the machine that serves the registry
    Restore(restore::Restore),
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Make an account; its password is generated and shown once, unless it is read from standard input
    Add(Add),
    /// List accounts
    List,
    /// Give an account another password
    Password {
        /// Its name
        name: String,
        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Remove an account with its rights
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
struct Add {
    /// Its name
    name: String,
    /// A program uses it, and no person
    #[arg(long)]
    robot: bool,
    /// How long it is good: 30d, 12h [default: until it is removed]
    #[arg(long, value_name = "TIME", value_parser = span)]
    expires: Option<i64>,
    /// Right in the form 'team/*=pull,push'; may be given several times
    #[arg(long = "allow", value_name = "PATTERN=ACTIONS")]
    rights: Vec<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Args)]
struct Holder {
    /// The account
    // An empty name stands for everybody.
    #[arg(
        long,
        value_name = "NAME",
        required_unless_present = "everybody",
        conflicts_with = "everybody",
        value_parser = NonEmptyStringValueParser::new()
    )]
    user: Option<String>,
    /// Everybody, also without a login
    #[arg(long)]
    everybody: bool,
}

impl Holder {
    fn name(&self) -> &str {
        self.user.as_deref().unwrap_or_default()
    }
}

#[derive(Debug, Args)]
struct Allow {
    /// Path of repositories, with * for a part of it and ** for any number of parts
    pattern: String,
    /// pull, push and delete, separated by commas; * for all
    actions: String,
    #[command(flatten)]
    holder: Holder,
}

#[derive(Debug, Args)]
struct Deny {
    /// The pattern as it was allowed
    pattern: String,
    #[command(flatten)]
    holder: Holder,
}

#[derive(Debug, Args)]
struct Audit {
    /// Only this repository
    #[arg(long, value_name = "REPOSITORY")]
    repo: Option<String>,
    /// Only this account
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    limit: i64,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    let json = arguments.local.json;
    let images = DataDir::open(data_dir.clone())?.join("images");
    arguments.local.with(data_dir, async |configuration, database| {
        let adds = matches!(arguments.command, Command::User { .. } | Command::Allow(_));
        if configuration.registry_users.is_empty() && adds {
            eprintln!(
                "the registry asks nobody who they are: name its first user in `[server.registry_users]` of slipway.toml, \
                 and accounts count from the next start on"
            );
        }
        match &arguments.command {
            Command::User { command: UserCommand::Add(add) } => {
                if configuration.registry_users.iter().any(|login| login.username == add.name) {
                    return Err(format!("`{}` is a user of `[server.registry_users]`: choose another name", add.name));
                }
                self::add(database, add, json).await
            }
            Command::User { command: UserCommand::List } => list(database, json).await,
            Command::User { command: UserCommand::Password { name, password_stdin } } => {
                change_password(database, name, *password_stdin, json).await
            }
            Command::User { command: UserCommand::Remove { name } } => remove(database, name, json).await,
            Command::Allow(allow) => self::allow(database, allow, json).await,
            Command::Deny(deny) => self::deny(database, deny, json).await,
            Command::Rights => rights(database, json).await,
            Command::Audit(audit) => self::audit(database, audit, json).await,
            Command::Deleted(deleted) => restore::list(&images, deleted, json),
            Command::Restore(asked) => restore::run(&images, database, asked, json).await,
        }
    })
}

async fn add(database: &Database, add: &Add, json: bool) -> Result<ExitCode, String> {
    database::check_account_name(&add.name)?;
    let rights = add.rights.iter().map(|text| {
        let (pattern, actions) =
            text.split_once('=').ok_or_else(|| format!("`{text}` is not a right: write 'team/*=pull,push'"))?;
        Right::new(&add.name, pattern, actions)
    });
    let rights: Vec<Right> = rights.collect::<Result<_, _>>()?;
    let password = password(add.password_stdin)?;
    let account = NewAccount {
        name: add.name.clone(),
        is_robot: add.robot,
        password_hash: hash(&password)?,
        expires_ms: add.expires.map(|span| unix_ms() + span),
    };
    if !database.add_account(&account, &rights).await.map_err(|error| report(&error))? {
        return Err(format!("there is an account `{}` already: `slipway registry user list` shows them", add.name));
    }
    if json {
        let password = (!add.password_stdin).then_some(&password);
        print_json(&json!({ "name": add.name, "is_robot": add.robot, "password": password }));
    } else if add.password_stdin {
        println!("{} added", add.name);
    } else {
        eprintln!("account `{}`: its password is shown now and never again", add.name);
        println!("{password}");
    }
    if rights.is_empty() {
        eprintln!("it may do nothing yet: `slipway registry allow PATTERN ACTIONS --user {}`", add.name);
    }
    Ok(ExitCode::SUCCESS)
}

fn password(is_read: bool) -> Result<String, String> {
    if !is_read {
        return database::generate_password()
            .ok_or_else(|| "making a password: the system gives no randomness".to_owned());
    }
    let text = std::io::read_to_string(std::io::stdin());
    let text = text.map_err(|error| format!("reading the password from standard input: {error}"))?;
    let password = text.trim_end_matches(['\n', '\r']);
    database::check_password(password).map(|()| password.to_owned())
}

fn hash(password: &str) -> Result<String, String> {
    database::hash_password(password).ok_or_else(|| "hashing the password: the system gives no randomness".to_owned())
}

async fn list(database: &Database, json: bool) -> Result<ExitCode, String> {
    let accounts = database.accounts().await.map_err(|error| report(&error))?;
    let rights = database.rights().await.map_err(|error| report(&error))?;
    let of = |account: &Account| -> Vec<String> {
        let own = rights.iter().filter(|right| right.account == account.name);
        own.map(|right| format!("{}={}", right.pattern, right.actions)).collect()
    };
    if json {
        let shown = accounts.iter().map(|account| {
            json!({
                "name": account.name, "is_robot": account.is_robot, "created_ms": account.created_ms,
                "expires_ms": account.expires_ms, "rights": of(account),
            })
        });
        print_json(&shown.collect::<Value>());
        return Ok(ExitCode::SUCCESS);
    }
    let rows = accounts.iter().map(|account| {
        let kind = if account.is_robot { "robot" } else { "user" };
        let is_over = account.expires_ms.is_some_and(|at| at <= unix_ms());
        let state = if is_over { "expired" } else { "good" };
        [account.name.clone(), kind.to_owned(), state.to_owned(), of(account).join(" ")]
    });
    table(["ACCOUNT", "KIND", "STATE", "RIGHTS"], rows.collect());
    Ok(ExitCode::SUCCESS)
}

async fn change_password(database: &Database, name: &str, is_read: bool, json: bool) -> Result<ExitCode, String> {
    let password = password(is_read)?;
    if !database.change_password(name, &hash(&password)?).await.map_err(|error| report(&error))? {
        return Err(no_account(name));
    }
    if json {
        print_json(&json!({ "name": name, "password": (!is_read).then_some(&password) }));
    } else if is_read {
        println!("{name} has another password");
    } else {
        eprintln!("the new password of `{name}` is shown now and never again");
        println!("{password}");
    }
    Ok(ExitCode::SUCCESS)
}

async fn remove(database: &Database, name: &str, json: bool) -> Result<ExitCode, String> {
    if !database.remove_account(name).await.map_err(|error| report(&error))? {
        return Err(no_account(name));
    }
    match json {
        true => print_json(&json!({ "removed": name })),
        false => println!("{name} removed"),
    }
    Ok(ExitCode::SUCCESS)
}

fn no_account(name: &str) -> String {
    format!("there is no account `{name}`: `slipway registry user list` shows them")
}

async fn allow(database: &Database, allow: &Allow, json: bool) -> Result<ExitCode, String> {
    let right = Right::new(allow.holder.name(), &allow.pattern, &allow.actions)?;
    if right.account.is_empty() && right.actions != "pull" {
        eprintln!("everybody who reaches the registry may {} there without a login", right.actions);
    }
    if !database.put_right(&right).await.map_err(|error| report(&error))? {
        return Err(no_account(&right.account));
    }
    match json {
        true => print_json(&shown_right(&right)),
        false => println!("{}: {}={}", holder(&right.account), right.pattern, right.actions),
    }
    Ok(ExitCode::SUCCESS)
}

async fn deny(database: &Database, deny: &Deny, json: bool) -> Result<ExitCode, String> {
    let account = deny.holder.name();
    if !database.remove_right(account, &deny.pattern).await.map_err(|error| report(&error))? {
        let whose = holder(account);
        return Err(format!("{whose} has no right for `{}`: `slipway registry rights` shows them", deny.pattern));
    }
    match json {
        true => print_json(&json!({ "user": user(account), "pattern": deny.pattern })),
        false => println!("{}: {} taken away", holder(account), deny.pattern),
    }
    Ok(ExitCode::SUCCESS)
}

async fn rights(database: &Database, json: bool) -> Result<ExitCode, String> {
    let rights = database.rights().await.map_err(|error| report(&error))?;
    if json {
        print_json(&rights.iter().map(shown_right).collect::<Value>());
        return Ok(ExitCode::SUCCESS);
    }
    let rows =
        rights.iter().map(|right| [holder(&right.account).to_owned(), right.pattern.clone(), right.actions.clone()]);
    table(["ACCOUNT", "PATTERN", "ACTIONS"], rows.collect());
    Ok(ExitCode::SUCCESS)
}

fn shown_right(right: &Right) -> Value {
    json!({ "user": user(&right.account), "pattern": right.pattern, "actions": right.actions })
}

/// Returns the account as JSON has it: null stands for everybody.
fn user(account: &str) -> Option<&str> {
    Some(account).filter(|name| !name.is_empty())
}

fn holder(account: &str) -> &str {
    if account.is_empty() { "everybody" } else { account }
}

async fn audit(database: &Database, audit: &Audit, json: bool) -> Result<ExitCode, String> {
    let filter = ChangeFilter { repository: audit.repo.clone(), account: audit.user.clone(), before: None };
    let changes = database.changes(&filter, audit.limit).await.map_err(|error| report(&error))?;
    if json {
        print_json(&changes.iter().map(shown).collect::<Value>());
        return Ok(ExitCode::SUCCESS);
    }
    let rows = changes.iter().map(|change| {
        let minutes = (unix_ms() - change.at_ms).max(0) / 60_000;
        let who = if change.account.is_empty() { "-" } else { &change.account };
        [
            format!("{minutes} min ago"),
            sanitize(who),
            change.address.clone(),
            change.action.clone(),
            format!("{}@{}", change.repository, change.reference),
        ]
    });
    table(["WHEN", "ACCOUNT", "ADDRESS", "ACTION", "WHAT"], rows.collect());
    Ok(ExitCode::SUCCESS)
}

fn shown(change: &Change) -> Value {
    json!({
        "id": change.id, "at_ms": change.at_ms, "account": change.account, "address": change.address,
        "action": change.action, "repository": change.repository, "reference": change.reference, "digest": change.digest,
    })
}
