//! `slipway run` and `slipway create`: a new container of an image.

use super::attach::{Connection, check_terminal, exit_code, follow, warn};
use super::flags::{cpus, environment, memory, merge, pids, port, refused};
use super::mounts::{MountFlags, Mounts};
use super::stop::number;
use crate::command::image::layers::Layers;
use crate::command::image::pull::{Pull, platform};
use crate::hand::{Failure, Hand, told};
use clap::Args;
use container::{Catalog, Client, Container, Containers, Error, Image, Message, Record, Request};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `slipway run`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name or id of the image
    image: String,
    /// The command and its arguments, in place of the image's
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
    /// Run in the background and print the container's id
    #[arg(short, long)]
    detach: bool,
    /// Pass on what is typed
    #[arg(short, long)]
    interactive: bool,
    /// Give the container a terminal
    #[arg(short, long)]
    tty: bool,
    /// Remove the container when it ends
    #[arg(long)]
    rm: bool,
    /// Name of the container
    #[arg(long)]
    name: Option<String>,
    /// Set a variable; without a value it is taken from the environment
    #[arg(short, long = "env", value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Read variables from a file
    #[arg(long = "env-file", value_name = "FILE")]
    env_files: Vec<String>,
    /// Put a label on the container
    #[arg(short, long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// Working directory
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// User of the command
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// The beginning of the command, in place of the image's
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
    /// Host name
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// The network: default or none
    #[arg(long, visible_alias = "net", value_name = "default|none", default_value = "default")]
    network: String,
    /// Publish a port on this machine's loopback
    #[arg(short, long = "publish", value_name = "[PORT:]PORT")]
    ports: Vec<String>,
    /// Start the command by an init process, which passes signals on and takes in orphans
    #[arg(long)]
    init: bool,
    /// Make the root read-only
    #[arg(long)]
    read_only: bool,
    /// Mount an empty directory in memory
    #[arg(long, value_name = "PATH[:size=SIZE]")]
    tmpfs: Vec<String>,
    /// Mount something: type=volume,source=NAME,target=PATH or type=tmpfs,target=PATH
    #[arg(long = "mount", value_name = "FIELDS")]
    mounts: Vec<String>,
    /// Mount a volume, which outlives the container if it has a name
    #[arg(short, long = "volume", value_name = "[NAME:]PATH[:ro]")]
    volumes: Vec<String>,
    /// Memory that the container may use
    #[arg(short, long, value_name = "SIZE")]
    memory: Option<String>,
    /// Processor time that the container may use, in cores
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    cpus: Option<f64>,
    /// Processes that the container may have; -1 for any number
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pids_limit: Option<i64>,
    /// The signal that asks the container to end
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<String>,
    /// When the image is pulled
    #[arg(long, value_name = "WHEN", default_value = "missing", value_parser = ["always", "missing", "never"])]
    pull: String,
    /// Platform of the image [default: this machine]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
    /// Print nothing of a pull
    #[arg(short, long)]
    quiet: bool,
    /// Whether the container is started again when it ends; only no
    #[arg(long, value_name = "POLICY", default_value = "no")]
    restart: String,
    /// All rights; refused
    #[arg(long)]
    privileged: bool,
    /// More rights; refused
    #[arg(long, value_name = "RIGHT")]
    cap_add: Vec<String>,
    /// Other confinement; refused
    #[arg(long, value_name = "OPTION")]
    security_opt: Vec<String>,
    /// Devices; refused
    #[arg(long, value_name = "DEVICE")]
    device: Vec<String>,
    /// Namespaces of others; refused
    #[arg(long, value_name = "MODE")]
    pid: Option<String>,
    /// Speak to a registry otherwise than docker does by default
    #[arg(long = "registry", value_name = "HOST=plain-http|tls|insecure|ca=FILE")]
    registries: Vec<String>,
}

/// Runs `slipway run`.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let connection = arguments.connection();
        if !arguments.detach {
            check_terminal(connection)?;
        }
        let hand = Hand::open(data_dir)?;
        let container = made(arguments, &hand)?;
        let client = Client::spawn(&container, hand.data.path())?;
        client.ask(&Request::Start { attach: !arguments.detach })?;
        if !arguments.detach {
            return follow(&client, &container, connection);
        }
        started(&client)?;
        println!("{}", container.record.id);
        Ok(ExitCode::SUCCESS)
    })
}

/// Runs `slipway create`.
pub(crate) fn create(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let hand = Hand::open(data_dir)?;
        println!("{}", made(arguments, &hand)?.record.id);
        Ok(ExitCode::SUCCESS)
    })
}

/// Waits until the command of a container is executed.
pub(crate) fn started(client: &Client) -> Result<(), Failure> {
    loop {
        match client.receive()? {
            Some(Message::Started) => return Ok(()),
            Some(Message::Exit(end)) if end.error.is_empty() => return Ok(()),
            Some(Message::Exit(end)) => return exit_code(end.code, &end.error).map(drop),
            Some(Message::Warning(text)) => warn(&text),
            Some(_) => {}
            None => {
                let text = "slipway: the supervisor of the container is gone".to_owned();
                return Err(Failure { text, code: 125, is_missing: false });
            }
        }
    }
}

/// Makes the container; what goes wrong with that has the exit code 125, as in docker.
fn made(arguments: &Arguments, hand: &Hand) -> Result<Container, Failure> {
    let container = arguments.make(hand);
    container.map_err(|failure| {
        let text = match failure.text.starts_with("slipway: ") {
            true => failure.text,
            false => format!("slipway: {}", failure.text),
        };
        Failure { text, code: 125, ..failure }
    })
}

/// Makes the container and its volumes, none of which is removed meanwhile.
fn create_with_volumes(containers: &Containers, record: &mut Record) -> Result<Container, Error> {
    if record.volumes.is_empty() {
        return containers.create(record.clone());
    }
    let volumes = containers.volumes()?;
    let _lock = volumes.lock()?;
    let named: Vec<String> = record.volumes.iter().map(|mount| mount.volume.clone()).collect();
    volumes.create_for(&mut record.volumes)?;
    let created = containers.create(record.clone());
    if created.is_err() {
        let new = record.volumes.iter().zip(named).filter(|pair| pair.1.is_empty()).map(|pair| pair.0.clone());
        volumes.forget_anonymous(&new.collect::<Vec<_>>());
    }
    created
}

impl Arguments {
    fn connection(&self) -> Connection {
        Connection { terminal: self.tty, interactive: self.interactive, signals: !self.tty }
    }

    fn make(&self, hand: &Hand) -> Result<Container, Failure> {
        self.refuse()?;
        let image = self.find_image(hand)?;
        let sandbox = hand.sandbox()?;
        let layers = hand.snapshots(&image, &sandbox)?;
        let mut record = self.record(&image, layers)?;
        container::keep_for_container(&hand.store, &record.id, &image.kept)?;
        let id = record.id.clone();
        let created = create_with_volumes(&hand.containers()?, &mut record);
        if created.is_err() {
            container::release_container(&hand.store, &id)?;
        }
        Ok(created?)
    }

    /// Refuses what would weaken the confinement or cannot be done.
    fn refuse(&self) -> Result<(), Failure> {
        let confined = "containers are confined as the steps of builds are";
        match self.restart.as_str() {
            "no" | "" => {}
            other => {
                let reason = format!(
                    "`{other}`: nothing here runs all the time to start a container again; let the service manager of this machine do that"
                );
                return Err(refused("--restart", &reason));
            }
        }
        if self.privileged {
            return Err(refused("--privileged", confined));
        }
        let lists = [("--cap-add", &self.cap_add), ("--security-opt", &self.security_opt), ("--device", &self.device)];
        if let Some((flag, _)) = lists.iter().find(|(_, values)| !values.is_empty()) {
            return Err(refused(flag, confined));
        }
        if self.pid.is_some() {
            return Err(refused("--pid", confined));
        }
        match self.network.as_str() {
            "default" | "bridge" | "none" | "" => Ok(()),
            "host" => Err(refused("--network=host", "containers never share the machine's network")),
            other => Err(refused("--network", &format!("`{other}`: default or none is expected"))),
        }
    }

    fn find_image(&self, hand: &Hand) -> Result<Image, Failure> {
        let platform = platform(self.platform.as_deref())?;
        let pull = || {
            let layers = Layers::new(self.quiet, true);
            let platform = platform.clone();
            Pull { image: &self.image, platform, registries: &self.registries, layers: &layers }.run(hand)
        };
        if self.pull == "always" {
            pull()?;
        }
        let is_other = |image: &Image| self.platform.is_some() && !image.config.platform().satisfies(&platform);
        match Catalog::load(&hand.store)?.find_own(&hand.store, &self.image) {
            Ok(image) if is_other(&image) && self.pull == "never" => {
                return Err(Error::other_platform(&self.image, &platform, &image.config.platform()).into());
            }
            Ok(image) if !is_other(&image) && image.is_whole(&hand.store) => return Ok(image),
            Err(error) if self.pull == "never" => return Err(error.into()),
            _ => {}
        }
        if !self.quiet {
            let last = self.image.rsplit('/').next().unwrap_or_default();
            let tag = if last.contains([':', '@']) { "" } else { ":latest" };
            eprintln!("Unable to find image '{}{tag}' locally", self.image);
        }
        pull()?;
        Ok(Catalog::load(&hand.store)?.find_own(&hand.store, &self.image)?)
    }

    fn record(&self, image: &Image, layers: Vec<runtime::SnapshotId>) -> Result<Record, Failure> {
        let mut config = image.config.config.clone();
        config.env = merge(&config.env, &environment(&self.env_files, &self.env)?);
        for label in &self.labels {
            let (key, value) = label.split_once('=').unwrap_or((label, ""));
            config.labels.insert(key.to_owned(), value.to_owned());
        }
        config.user = self.user.clone().unwrap_or(config.user);
        config.working_dir = self.workdir.clone().unwrap_or(config.working_dir);
        if let Some(signal) = &self.stop_signal {
            number(signal)?;
            config.stop_signal.clone_from(signal);
        }
        if let Some(entrypoint) = &self.entrypoint {
            config.entrypoint = Some(vec![entrypoint.clone()]).filter(|_| !entrypoint.is_empty());
            config.cmd = None;
        }
        if !self.command.is_empty() {
            config.cmd = Some(self.command.clone());
        }
        let flags = MountFlags { volumes: &self.volumes, tmpfs: &self.tmpfs, mounts: &self.mounts };
        let mounts = Mounts::read(&flags, config.volumes.keys())?;
        let entrypoint = config.entrypoint.clone().unwrap_or_default();
        let argv: Vec<String> = entrypoint.iter().chain(config.cmd.iter().flatten()).cloned().collect();
        if argv.is_empty() {
            return Err(Error::Invalid("no command specified".to_owned()).into());
        }
        let id = container::new_id()?;
        Ok(Record {
            name: self.name.clone().unwrap_or_default(),
            created: container::now(),
            image: image.id.clone(),
            image_name: self.image.clone(),
            manifest: image.kept.clone(),
            layers,
            argv,
            entrypoint_words: entrypoint.len(),
            config,
            hostname: self.hostname.clone().unwrap_or_else(|| id[..12].to_owned()),
            terminal: self.tty,
            interactive: self.interactive,
            init: self.init,
            read_only: self.read_only,
            no_network: self.network == "none",
            auto_remove: self.rm,
            tmpfs: mounts.tmpfs,
            volumes: mounts.volumes,
            ports: self.ports.iter().map(|text| port(text)).collect::<Result<_, _>>()?,
            memory_bytes: self.memory.as_ref().map_or(Ok(None), |text| memory(text))?,
            cpus: self.cpus.map_or(Ok(None), cpus)?,
            pids: self.pids_limit.map(pids).transpose()?,
            id,
        })
    }
}
