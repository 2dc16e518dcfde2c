//! The services of a compose file as they are run: everything that a container of a test needs to know.

use super::document;
use super::environment::with_dot_env;
use super::granted::{GrantedFile, Kind, granted};
use super::words::{duration, words};
use crate::Error;
use crate::yaml::{Content, Node};
use std::collections::BTreeMap;
use std::time::Duration;

/// Keys that have no effect on a test: all services share one network, nothing is published, nobody types, and a service
/// that has ended is not started again.
const WITHOUT_EFFECT: [&str; 12] = [
    "ports",
    "expose",
    "restart",
    "container_name",
    "labels",
    "logging",
    "stdin_open",
    "tty",
    "init",
    "stop_grace_period",
    "pull_policy",
    "platform",
];

/// A service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Service {
    /// Its name, which is a name of its container in the network.
    pub name: String,
    /// The image that it runs; that of its build, if it has one.
    pub image: Option<String>,
    /// How its image is built.
    pub build: Option<ServiceBuild>,
    /// The command instead of the image's.
    pub command: Option<Vec<String>>,
    /// The entrypoint instead of the image's.
    pub entrypoint: Option<Vec<String>>,
    /// Variables.
    pub environment: BTreeMap<String, String>,
    /// Files with more of them, from the directory of the compose file.
    pub env_files: Vec<String>,
    /// Services that are started before it, and what is waited for.
    pub depends_on: Vec<(String, Condition)>,
    /// Volumes.
    pub volumes: Vec<Volume>,
    /// How it is found out whether it is healthy, if that is not the image's business.
    pub healthcheck: Option<Healthcheck>,
    /// Directories in memory.
    pub tmpfs: Vec<String>,
    /// The user.
    pub user: Option<String>,
    /// The working directory.
    pub working_dir: Option<String>,
    /// The host name.
    pub hostname: Option<String>,
    /// More names and their addresses.
    pub extra_hosts: Vec<(String, String)>,
    /// More names of its own container, and of others that it is linked with: a name and the service.
    pub aliases: Vec<(String, String)>,
    /// Files that it gets as secrets and configs.
    pub granted: Vec<GrantedFile>,
}

/// The build of a service's image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceBuild {
    /// The context, from the directory of the compose file.
    pub context: String,
    /// The Dockerfile, from the context.
    pub dockerfile: Option<String>,
    /// The stage.
    pub target: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
}

/// The state of another service that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It was started.
    Started,
    /// Its health check succeeded.
    Healthy,
    /// It ended well.
    Completed,
}

/// A volume of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// A path from the directory of the compose file, or the name of a volume; none for one without a name.
    pub source: Option<String>,
    /// Where it is in the container.
    pub target: String,
    /// Whether it can be written.
    pub writable: bool,
}

impl Volume {
    /// Returns whether it shows files of the checkout.
    pub fn is_path(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.starts_with(['.', '/', '~']))
    }
}

/// A health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healthcheck {
    /// The command; none if there is no check.
    pub test: Vec<String>,
    /// Time between two checks.
    pub interval: Duration,
    /// Time that one may take.
    pub timeout: Duration,
    /// Failures after which it is not healthy.
    pub retries: u32,
}

/// Reads the services of one compose file, in their order.
pub fn services(
    file: (&str, &str),
    environment: &BTreeMap<String, String>,
    dot_env: Option<&str>,
) -> Result<Vec<Service>, Error> {
    let variables = with_dot_env(environment, dot_env)?;
    let document = document::read(&[file], &variables)?;
    let found =
        document.get("services").ok_or_else(|| Error::new("the compose file has no `services`").at(file.0, None))?;
    let read = |(name, node): &(String, Node)| {
        let mut read = service(name, node, &variables, file.0)?;
        for kind in [Kind::Secret, Kind::Config] {
            read.granted.extend(granted(kind, node, &document, file.0)?);
        }
        Ok(read)
    };
    found.pairs().iter().map(read).collect()
}

fn service(name: &str, node: &Node, variables: &BTreeMap<String, String>, file: &str) -> Result<Service, Error> {
    let mut service = Service { name: name.to_owned(), ..Service::default() };
    for (key, value) in node.pairs().iter().filter(|(_, value)| value.content != Content::Null) {
        let within =
            |error: Error| error.within(&format!("`{key}` of the service `{name}`")).at(file, Some(value.line));
        set(&mut service, key, value, variables).map_err(within)?;
    }
    if service.image.is_none() && service.build.is_none() {
        return Err(
            Error::new(format!("the service `{name}` has neither `image` nor `build`")).at(file, Some(node.line))
        );
    }
    Ok(service)
}

fn set(service: &mut Service, key: &str, node: &Node, variables: &BTreeMap<String, String>) -> Result<(), Error> {
    match key {
        "image" => service.image = Some(text(node)?),
        "build" => service.build = Some(build(node, variables)?),
        "command" => service.command = Some(command(node)?),
        "entrypoint" => service.entrypoint = Some(command(node)?),
        "environment" => service.environment = pairs(node, variables),
        "env_file" => service.env_files = texts(node)?,
        "depends_on" => service.depends_on = depends_on(node)?,
        "links" => {
            for link in texts(node)? {
                let (of, alias) = link.split_once(':').unwrap_or((&link, &link));
                service.depends_on.push((of.to_owned(), Condition::Started));
                service.aliases.push((alias.to_owned(), of.to_owned()));
            }
        }
        "networks" => {
            let aliases = node.pairs().iter().filter_map(|(_, network)| network.get("aliases"));
            for alias in aliases.map(texts).collect::<Result<Vec<_>, _>>()?.concat() {
                service.aliases.push((alias, service.name.clone()));
            }
        }
        "volumes" => service.volumes = node.list().iter().map(volume).collect::<Result<_, _>>()?,
        "healthcheck" => service.healthcheck = Some(healthcheck(node)?),
        "tmpfs" => service.tmpfs = texts(node)?.iter().map(|text| before_colon(text)).collect(),
        "user" => service.user = Some(text(node)?),
        "working_dir" => service.working_dir = Some(text(node)?),
        "hostname" => service.hostname = Some(text(node)?),
        "extra_hosts" => service.extra_hosts = hosts(node)?,
        // Read with what the whole file says of them.
        "extends" | "secrets" | "configs" => {}
        key if key.starts_with("x-") || WITHOUT_EFFECT.contains(&key) => {}
        _ => return Err(Error::new("this is not known of a service in a test")),
    }
    Ok(())
}

fn text(node: &Node) -> Result<String, Error> {
    node.scalar().ok_or_else(|| Error::new(format!("a text is expected, not {}", node.kind())))
}

fn texts(node: &Node) -> Result<Vec<String>, Error> {
    match &node.content {
        Content::List(list) => list.iter().map(text).collect(),
        Content::Map(pairs) => Ok(pairs.iter().map(|(name, _)| name.clone()).collect()),
        _ => Ok(vec![text(node)?]),
    }
}

/// Reads a command: a list of words, or a line that is split as a shell splits it.
fn command(node: &Node) -> Result<Vec<String>, Error> {
    match &node.content {
        Content::List(_) => texts(node),
        _ => words(&text(node)?),
    }
}

fn build(node: &Node, variables: &BTreeMap<String, String>) -> Result<ServiceBuild, Error> {
    let mut build = ServiceBuild { context: ".".to_owned(), ..ServiceBuild::default() };
    for (key, value) in node.pairs().iter().filter(|(_, value)| value.content != Content::Null) {
        match key.as_str() {
            "context" => build.context = text(value)?,
            "dockerfile" => build.dockerfile = Some(text(value)?),
            "target" => build.target = Some(text(value)?),
            "args" => build.args = pairs(value, variables),
            "cache_from" | "labels" | "pull" => {}
            key if key.starts_with("x-") => {}
            key => return Err(Error::new(format!("`{key}` is not known of the build of a service in a test"))),
        }
    }
    Ok(build)
}

/// Reads pairs; a name alone has the value of the variable, if there is one.
fn pairs(node: &Node, variables: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let value = |(name, node): &(String, Node)| {
        let value = node.scalar().or_else(|| variables.get(name).cloned())?;
        Some((name.clone(), value))
    };
    node.pairs().iter().filter_map(value).collect()
}

fn depends_on(node: &Node) -> Result<Vec<(String, Condition)>, Error> {
    if !matches!(node.content, Content::Map(_)) {
        return Ok(texts(node)?.into_iter().map(|name| (name, Condition::Started)).collect());
    }
    let one = |(name, node): &(String, Node)| {
        let condition = match node.get("condition").and_then(Node::scalar).as_deref() {
            None | Some("service_started") => Condition::Started,
            Some("service_healthy") => Condition::Healthy,
            Some("service_completed_successfully") => Condition::Completed,
            Some(other) => return Err(Error::new(format!("the condition `{other}` is not known"))),
        };
        Ok((name.clone(), condition))
    };
    node.pairs().iter().map(one).collect()
}

fn volume(node: &Node) -> Result<Volume, Error> {
    if let Content::Map(_) = node.content {
        let part = |key: &str| node.get(key).and_then(Node::scalar);
        let target = part("target").ok_or_else(|| Error::new("`target` of a volume is missing"))?;
        let writable = part("read_only").as_deref() != Some("true");
        return match part("type").as_deref() {
            None | Some("bind" | "volume") => Ok(Volume { source: part("source"), target, writable }),
            Some(other) => Err(Error::new(format!("a volume of the type `{other}` is not known"))),
        };
    }
    let written = text(node)?;
    let parts: Vec<&str> = written.split(':').collect();
    let (source, target, mode) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] => (Some(*source), *target, ""),
        [source, target, mode] => (Some(*source), *target, *mode),
        _ => return Err(Error::new(format!("`{written}`: SOURCE:TARGET[:MODE] is expected"))),
    };
    if !target.starts_with('/') {
        return Err(Error::new(format!("`{written}`: the place in the container begins with `/`")));
    }
    let writable = !mode.split(',').any(|word| word == "ro");
    Ok(Volume { source: source.map(str::to_owned), target: target.to_owned(), writable })
}

fn healthcheck(node: &Node) -> Result<Healthcheck, Error> {
    let span = |key: &str, usual: u64| match node.get(key) {
        Some(node) => duration(&text(node)?),
        None => Ok(Duration::from_secs(usual)),
    };
    let test = match node.get("test") {
        Some(test) if matches!(test.content, Content::List(_)) => texts(test)?,
        Some(test) => vec!["CMD-SHELL".to_owned(), text(test)?],
        None => Vec::new(),
    };
    let is_off = node.get("disable").and_then(Node::scalar).as_deref() == Some("true");
    let test = match test.split_first() {
        _ if is_off => Vec::new(),
        Some((kind, rest)) if kind == "CMD" => rest.to_vec(),
        Some((kind, [line])) if kind == "CMD-SHELL" => ["/bin/sh", "-c", line].map(str::to_owned).to_vec(),
        Some((kind, [])) if kind == "NONE" => Vec::new(),
        None => Vec::new(),
        Some(_) => return Err(Error::new("`test` begins with CMD, CMD-SHELL or NONE")),
    };
    let retries = node.get("retries").and_then(Node::scalar).map_or(Ok(3), |text| text.parse());
    let retries = retries.map_err(|_| Error::new("`retries` is a number"))?;
    Ok(Healthcheck { test, interval: span("interval", 30)?, timeout: span("timeout", 30)?, retries })
}

fn hosts(node: &Node) -> Result<Vec<(String, String)>, Error> {
    if let Content::Map(pairs) = &node.content {
        return pairs.iter().map(|(name, node)| Ok((name.clone(), text(node)?))).collect();
    }
    let one = |text: String| {
        let pair = text.split_once('=').or_else(|| text.split_once(':'));
        let (name, address) = pair.ok_or_else(|| Error::new(format!("`{text}`: NAME:ADDRESS is expected")))?;
        Ok((name.to_owned(), address.to_owned()))
    };
    texts(node)?.into_iter().map(one).collect()
}

fn before_colon(text: &str) -> String {
    text.split(':').next().unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Service>, String> {
        let environment = [("TAG".to_owned(), "9".to_owned()), ("HOME".to_owned(), "/h".to_owned())].into();
        services(("docker-compose.test.yml", text), &environment, None).map_err(|error| error.to_string())
    }

    #[test]
    fn the_keys_of_a_test_are_read() {
        let text = r#"
services:
  sut:
    build: { context: ., dockerfile: Dockerfile.test, args: { A: "b" } }
    command: ./run.sh 'a b' --c
    environment: [HOME, "X=y"]
    env_file: test.env
    links: ["db:database"]
    depends_on:
      db: { condition: service_healthy }
    volumes: [".:/app:ro", "data:/data", "/tmp/x"]
    tmpfs: /run:size=1m
    working_dir: /app
    user: "1000"
    extra_hosts: ["one:10.0.0.1"]
  db:
    image: postgres:${TAG}
    ports: ["5432:5432"]
    healthcheck: { test: pg_isready, interval: 1m30s, retries: 5 }
"#;
        let services = read(text).unwrap();
        let sut = &services[0];
        assert_eq!(sut.build.as_ref().unwrap().dockerfile.as_deref(), Some("Dockerfile.test"));
        assert_eq!(sut.command.as_ref().unwrap(), &["./run.sh", "a b", "--c"]);
        assert_eq!(sut.environment, [("HOME".into(), "/h".into()), ("X".into(), "y".into())].into());
        assert!(sut.depends_on.contains(&("db".to_owned(), Condition::Healthy)));
        assert_eq!(sut.aliases, [("database".to_owned(), "db".to_owned())]);
        assert!(sut.volumes[0].is_path() && !sut.volumes[0].writable && !sut.volumes[1].is_path());
        assert_eq!((sut.volumes[2].source.as_ref(), sut.tmpfs[0].as_str()), (None, "/run"));
        assert_eq!(services[1].image.as_deref(), Some("postgres:9"));
        let check = services[1].healthcheck.as_ref().unwrap();
        assert_eq!(
            (check.test.as_slice(), check.retries),
            (&["/bin/sh", "-c", "pg_isready"].map(str::to_owned)[..], 5)
        );
        assert_eq!(check.interval, Duration::from_secs(90));
    }

    #[test]
    fn keys_that_are_not_known_are_named() {
        for (text, expected) in [
            ("services:\n  sut:\n    image: x\n    privileged: true\n", "`privileged` of the service `sut`"),
            ("services:\n  sut:\n    build: {context: ., ssh: [default]}\n", "`ssh` is not known of the build"),
            ("services:\n  sut:\n    command: x\n", "neither `image` nor `build`"),
            ("version: '2'\n", "no `services`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
