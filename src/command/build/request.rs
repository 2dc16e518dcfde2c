//! Turns the arguments into a request to the builder.

use super::agent::Agents;
use super::context::{self, Finder};
use super::fields::{pairs, size};
use super::outputs::Outputs;
use super::session::Work as SessionWork;
use super::{Arguments, secrets};
use crate::clock::unix_seconds;
use crate::state::DataDir;
use builder::execute::Options;
use builder::git::{FetchSettings, Fetching, LfsAccess, LfsStore};
use builder::image::annotation::Annotation;
use builder::trace::Work;
use builder::{Form, LocalImages, Request, Services, Unordered};
use registry_client::report;
use registry_client::{Platform, Reach, Reference};
use runtime::CancellationToken;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// How long a fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// The arguments of a build, and the services to resolve them.
pub(crate) struct Asked<'a> {
    /// The command line.
    pub arguments: &'a Arguments,
    /// Its outputs.
    pub outputs: &'a Outputs,
    /// The data directory.
    pub data: &'a DataDir,
    /// Store, client, database.
    pub services: &'a Services,
    /// Agents for ssh.
    pub agents: &'a Agents,
    /// Its place in the session.
    pub work: &'a SessionWork,
}

impl Asked<'_> {
    /// Returns the request.
    pub(crate) fn request(&self, cancel: &CancellationToken) -> Result<Request, String> {
        let (arguments, trace) = (self.arguments, &self.work.trace);
        let mut build_args = pairs(&arguments.build_args, "--build-arg", true)?;
        if let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH") {
            build_args.entry("SOURCE_DATE_EPOCH".to_owned()).or_insert(epoch);
        }
        let tags = self.tags()?;
        if arguments.push || self.outputs.push {
            self.services.prepare_push(&tags);
        }
        let secrets = arguments.secrets.iter().map(|secret| secrets::secret(secret)).collect::<Result<_, _>>()?;
        let fetching = self.fetching(cancel);
        let finder = Finder { data: self.data, services: self.services, fetching: &fetching, secrets: &secrets };
        let span = trace.span(Work::Fetch, &arguments.context);
        let found = finder.find(arguments)?;
        let mut named = finder.named(&arguments.contexts)?;
        named.extend(self.work.linked.iter().map(|(name, image)| context::stored(name, image)));
        drop(span);
        let committed = found.time;
        let mut request = Request {
            context: found.context,
            named,
            dockerfile: found.dockerfile,
            build_args,
            labels: pairs(&arguments.labels, "--label", false)?,
            default_labels: BTreeMap::new(),
            previous: Vec::new(),
            target: arguments.target.clone(),
            platforms: self.platforms()?,
            tags,
            push: arguments.push || self.outputs.push,
            cache_namespace: "local".to_owned(),
            attempt: self.attempt(),
            options: self.options(committed, secrets, fetching)?,
            order: Box::new(Unordered),
            trace: trace.clone(),
            form: Form { annotations: self.annotations()? },
        };
        builder::settle_epoch(&mut request, self.services, cancel).map_err(|error| error.report())?;
        Ok(request)
    }

    /// Returns a name for directories; only this process has the first part of it.
    fn attempt(&self) -> String {
        match self.work.name.as_str() {
            "" => format!("local-{}", std::process::id()),
            name => format!("local-{}-{name}", std::process::id()),
        }
    }

    fn tags(&self) -> Result<Vec<Reference>, String> {
        let names = self.arguments.tags.iter().chain(&self.outputs.names);
        let tags = names.map(|name| Reference::parse(name)).collect::<Result<Vec<_>, _>>();
        let tags = tags.map_err(|error| report(&error))?;
        if (self.arguments.push || self.outputs.push) && tags.is_empty() {
            return Err("--push needs a name: add -t REGISTRY/NAME:TAG".to_owned());
        }
        Ok(tags)
    }

    fn platforms(&self) -> Result<Vec<Platform>, String> {
        let mut platforms = Vec::new();
        for text in self.arguments.platforms.iter().filter(|text| !text.is_empty()) {
            let platform: Platform = match text.as_str() {
                "local" => Platform::host(),
                text => text.parse().map_err(|error| format!("--platform: {error}"))?,
            };
            if !platforms.contains(&platform) {
                platforms.push(platform);
            }
        }
        if platforms.is_empty() {
            platforms.push(Platform::host());
        }
        Ok(platforms)
    }

    fn annotations(&self) -> Result<Vec<Annotation>, String> {
        let mut annotations = self.outputs.annotations.clone();
        for text in &self.arguments.annotations {
            annotations.extend(Annotation::parse(text)?);
        }
        Ok(annotations)
    }

    /// A local user could connect to any address anyway.
    fn fetching(&self, cancel: &CancellationToken) -> Fetching {
        let settings = FetchSettings {
            client: self.services.client.clone(),
            tokio: self.services.tokio.clone(),
            credentials: None,
            ssh: None,
            timeout: FETCH_TIMEOUT,
            cancel: cancel.clone(),
            reach: Reach::Anywhere,
            elsewhere: Reach::Anywhere,
            apart: false,
        };
        let lfs = LfsAccess {
            store: LfsStore::new(&self.data.join("git/lfs"), "by hand"),
            max_bytes: u64::MAX,
            elsewhere: Reach::Anywhere,
            trusts_commit: true,
        };
        Fetching { mirrors: self.data.join("git"), settings, lfs: Some(lfs), max_paths: self.arguments.max_paths }
    }

    fn options(
        &self,
        committed: Option<i64>,
        secrets: BTreeMap<String, Vec<u8>>,
        fetching: Fetching,
    ) -> Result<Options, String> {
        let arguments = self.arguments;
        let network = match arguments.network.as_str() {
            "default" | "" => true,
            "none" => false,
            "host" => return Err("--network=host is not allowed: steps never share the machine's network".to_owned()),
            other => return Err(format!("--network `{other}`: default or none is expected")),
        };
        let shm_size = arguments.shm_size.as_ref();
        Ok(Options {
            use_cache: !arguments.no_cache,
            secrets,
            ssh: self.agents.sockets.clone(),
            no_cache_stages: arguments.no_cache_filter.clone(),
            network,
            hosts: arguments.hosts.iter().map(|pair| host(pair)).collect::<Result<_, _>>()?,
            shm_bytes: shm_size.map(|text| size("--shm-size", text)).transpose()?,
            ulimits: arguments.ulimits.iter().map(|ulimit| ulimit.parse()).collect::<Result<_, _>>()?,
            latest: committed.map(|_| builder::COMMIT_FILES),
            created: committed,
            local_images: if arguments.pull { LocalImages::Ignore } else { LocalImages::Prefer },
            compression: self.outputs.compression,
            is_one_of_several: !self.work.name.is_empty(),
            ..Options::new(committed.map_or_else(unix_seconds, |_| builder::COMMIT_FILES), fetching)
        })
    }
}

/// Reads `NAME:ADDRESS` or `NAME=ADDRESS`; an IPv6 address may stand in brackets.
fn host(text: &str) -> Result<(String, String), String> {
    let bad = || format!("--add-host `{text}`: NAME:ADDRESS is expected, as in db:10.0.0.5");
    let (name, address) = text.split_once('=').or_else(|| text.split_once(':')).ok_or_else(bad)?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let valid = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    address.parse::<IpAddr>().ok().filter(|_| valid).ok_or_else(bad)?;
    Ok((name.to_owned(), address.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_a_name_and_an_address() {
        let pair = |text: &str| host(text).unwrap();
        assert_eq!(pair("db:10.0.0.5"), ("db".to_owned(), "10.0.0.5".to_owned()));
        assert_eq!(pair("db=::1").1, "::1");
        assert_eq!(pair("db:[fe80::1]").1, "fe80::1");
        for bad in ["db", "db:", ":1.2.3.4", "db:name", "d b:1.2.3.4", "db:1.2.3.4\n::1 x"] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }
}
