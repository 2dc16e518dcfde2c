//! `slipway login` and `slipway logout`: the logins that docker and slipway share in `config.json`.

use crate::command::build::registries;
use crate::configuration::docker_config;
use crate::hand::{Failure, Hand, runtime, told};
use clap::Args;
use container::{Account, ConfigFile};
use registry_client::{Credentials, Reference};
use std::collections::HashMap;
use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// The registry that is meant when none is named.
const HUB: &str = "docker.io";

/// Arguments of `slipway login`.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// Host of the registry [default: docker.io]
    server: Option<String>,
    /// The user
    #[arg(short, long)]
    username: Option<String>,
    /// The password or token; other accounts of this machine can see it: --password-stdin hides it
    #[arg(short, long, conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Speak to a registry otherwise than docker does by default
    #[arg(long = "registry", value_name = "HOST=plain-http|tls|insecure|ca=FILE")]
    registries: Vec<String>,
}

/// Arguments of `slipway logout`.
#[derive(Debug, Args)]
pub(crate) struct Logout {
    /// Host of the registry [default: docker.io]
    server: Option<String>,
}

/// Runs `slipway login`.
pub(crate) fn login(arguments: &Login, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let registry = host(arguments.server.as_deref());
        let account = ask(arguments, &registry)?;
        let hand = Hand::open(data_dir)?;
        let mut settings = registries::parse_all(&arguments.registries)?;
        let known = (account.user.clone(), account.password.clone());
        settings.credentials = Credentials::Fixed(HashMap::from([(registry.clone(), known)]));
        let reference = Reference::parse(&format!("{registry}/library/login"))
            .map_err(|_| Failure::from(format!("`{registry}` is not the host of a registry")))?;
        let checked = runtime()?.block_on(hand.client(settings)?.check_login(&reference));
        checked.map_err(container::Error::from)?;
        let mut config = ConfigFile::open(&config_path()?)?;
        config.store(&account)?;
        if config.helper(&registry).is_none() {
            eprintln!(
                "WARNING! Your credentials are stored unencrypted in '{}'.\nConfigure a credential helper to remove this warning.",
                config.path().display()
            );
        }
        println!("Login Succeeded");
        Ok(ExitCode::SUCCESS)
    })
}

/// Runs `slipway logout`.
pub(crate) fn logout(arguments: &Logout) -> Result<ExitCode, String> {
    told(|| {
        let registry = host(arguments.server.as_deref());
        let mut config = ConfigFile::open(&config_path()?)?;
        match config.erase(&registry)? {
            true => println!("Removing login credentials for {registry}"),
            false => println!("Not logged in to {registry}"),
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Returns the host that is meant.
fn host(server: Option<&str>) -> String {
    let server = server.unwrap_or(HUB);
    let server = server.trim_start_matches("https://").trim_start_matches("http://");
    match server.split('/').next().unwrap_or(server) {
        "" | "index.docker.io" | "registry-1.docker.io" => HUB.to_owned(),
        host => host.to_owned(),
    }
}

/// Finds user and password: from flags, from standard input, or by asking on the terminal.
fn ask(arguments: &Login, registry: &str) -> Result<Account, Failure> {
    let is_terminal = std::io::stdin().is_terminal();
    if arguments.password.is_some() {
        eprintln!("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
    }
    if arguments.password_stdin && arguments.username.is_none() {
        return Err("Must provide --username with --password-stdin".to_owned().into());
    }
    let user = match &arguments.username {
        Some(user) => user.clone(),
        None if is_terminal => line("Username: ")?,
        None => return Err("Error: Cannot perform an interactive login from a non TTY device".to_owned().into()),
    };
    let password = match &arguments.password {
        Some(password) => password.clone(),
        None if arguments.password_stdin => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|error| Failure::from(error.to_string()))?;
            text.trim_end_matches(['\n', '\r']).to_owned()
        }
        None if is_terminal => {
            let _hidden = runtime::hide_input();
            let password = line("Password: ")?;
            eprintln!();
            password
        }
        None => return Err("Error: Cannot perform an interactive login from a non TTY device".to_owned().into()),
    };
    match user.is_empty() || password.is_empty() {
        true => Err("Error: Password Required".to_owned().into()),
        false => Ok(Account { registry: registry.to_owned(), user, password }),
    }
}

fn line(question: &str) -> Result<String, Failure> {
    eprint!("{question}");
    let _ = std::io::stderr().flush();
    let mut text = String::new();
    std::io::stdin().read_line(&mut text).map_err(|error| Failure::from(error.to_string()))?;
    Ok(text.trim().to_owned())
}

fn config_path() -> Result<PathBuf, Failure> {
    Ok(docker_config().ok_or("no place for logins: set DOCKER_CONFIG or HOME".to_owned())?)
}
