//! The tests of a repository: the services of a `*.test.yml` are built and run, and the exit code of `sut` decides.

use super::checkout::DIRECTORY;
use super::container::{HookContainer, copy_request};
use super::engine::{Engine, Failed};
use super::machine::{Machine, Place, Shared, Wanted, code_of, follow};
use super::progress::Phases;
use super::service_states::{SUT, ServiceState, ServiceStates, order};
use crate::context::{Context, NamedContext, Tarball};
use crate::error::Code;
use crate::event::{Observer, Silent};
use crate::image::assemble::Form;
use crate::image::push::Unordered;
use crate::secrets::Masks;
use crate::{Error, Image, Platforms, Request};
use bake::{Healthcheck, Service, ServiceBuild};
use files::tar::EntryKind;
use registry_client::Platform;
use runtime::{CancellationToken, ContainerRun, Exit, Mount, MountKind};
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;
use std::time::{Duration, Instant};

/// Largest file that is read.
const MAX_FILE: u64 = 1024 * 1024;
/// How long a service may take to become healthy, in intervals beyond its retries.
const CHECKS_PER_RETRY: u32 = 2;

/// One compose file of tests.
pub(crate) struct Test<'t> {
    /// The engine of the attempt.
    pub engine: &'t Arc<Engine>,
    /// Where the checkout is.
    pub container: &'t HookContainer,
    /// The directory of the file, from the root of the checkout.
    pub directory: &'t str,
    /// The file's name.
    pub file: &'t str,
    /// Variables of the build, for `${NAME}`.
    pub variables: &'t BTreeMap<String, String>,
    /// Hides the build's secrets.
    pub masks: &'t Masks,
    /// The steps of the build.
    pub phases: &'t Phases<'t>,
    /// The number of the test's step.
    pub step: usize,
}

impl Test<'_> {
    /// Runs the test and returns the exit code of `sut`; all its containers are removed.
    pub(crate) fn run(&self) -> Result<u8, Error> {
        let services = self.services().map_err(|failed| self.failed(&failed.text))?;
        let order = order(&services).map_err(|problem| self.failed(&problem))?;
        let mut images = Vec::new();
        for service in &order {
            images.push(self.image(service)?);
        }
        let (running, cancel) = (ServiceStates::default(), self.engine.terms.cancel.child_token());
        let machines = self.machines(&order, &images);
        let machines = machines.map_err(|failed| self.failed(&failed.text))?;
        let ended = std::thread::scope(|scope| {
            let ended = self.start(&order, &machines, &running, &cancel, scope);
            cancel.cancel();
            ended
        });
        for machine in &machines {
            let _ = self.engine.sandbox.remove_container(&machine.id);
        }
        if self.engine.terms.cancel.is_cancelled() {
            return Err(Error::cancelled());
        }
        ended.map_err(|problem| self.failed(&problem))
    }

    fn failed(&self, problem: &str) -> Error {
        Error::new(Code::TestFailed, format!("Tests in {} failed: {problem}", self.file))
    }

    fn services(&self) -> Result<Vec<Service>, Failed> {
        let text = self.text(self.file)?;
        let dot_env = self.text(".env").ok();
        let read = bake::services((self.file, &text), self.variables, dot_env.as_deref());
        read.map_err(|error| Failed { code: 1, text: error.to_string() })
    }

    fn path(&self, name: &str) -> String {
        if name.starts_with('/') { name.to_owned() } else { format!("{DIRECTORY}/{}/{name}", self.directory) }
    }

    fn hook(&self) -> Place<'_> {
        Place { id: self.container.id(), layers: Some(self.container.layers()) }
    }

    /// Reads a file of the checkout that is text.
    fn text(&self, name: &str) -> Result<String, Failed> {
        let failed = |error| Failed { code: 1, text: format!("reading {name}: {error}") };
        String::from_utf8(self.read(name)?).map_err(failed)
    }

    /// Reads a file of the checkout.
    fn read(&self, name: &str) -> Result<Vec<u8>, Failed> {
        let request = copy_request(Some(self.container.layers().to_vec()), &self.path(name));
        let failed = |error: String| Failed { code: 1, text: format!("reading {name}: {error}") };
        let found = self.engine.sandbox.copy_from_container(self.container.id(), &request);
        let (_, tar) = found.map_err(|error| failed(error.to_string()))?;
        let mut reader = files::tar::Reader::new(tar);
        match reader.next_entry().map_err(|error| failed(error.to_string()))?.map(|entry| entry.kind) {
            Some(EntryKind::File { size }) if size <= MAX_FILE => {}
            Some(EntryKind::File { .. }) => return Err(failed(format!("it has more than {MAX_FILE} bytes"))),
            _ => return Err(failed("it is not a file".to_owned())),
        }
        let mut content = Vec::new();
        reader.take(MAX_FILE).read_to_end(&mut content).map_err(|error| failed(error.to_string()))?;
        Ok(content)
    }

    /// Builds or finds the image of a service.
    fn image(&self, service: &Service) -> Result<Image, Error> {
        if let Some(build) = &service.build {
            self.say(&format!("Building {}\n", service.name));
            return self.build(build);
        }
        let name = service.image.as_deref().unwrap_or_default();
        if let Some(known) = self.engine.images.get(name) {
            return Ok(known.image);
        }
        self.say(&format!("Pulling {} ({name})\n", service.name));
        let services = &self.engine.terms.services;
        let wanted = std::iter::once((name.to_owned(), Platform::host()));
        let found = crate::image::resolve::images(services, &self.engine.terms.cancel, wanted).next();
        let found = found.unwrap_or_else(|| Err(Error::cancelled()))?;
        crate::image::local::image_of(services, &found)
    }

    fn build(&self, build: &ServiceBuild) -> Result<Image, Error> {
        let terms = &self.engine.terms;
        let path = format!("{}/.", self.path(&build.context));
        let request = copy_request(Some(self.container.layers().to_vec()), &path);
        let found = self.engine.sandbox.copy_from_container(self.container.id(), &request);
        let (_, mut tar) = found.map_err(|error| self.failed(&format!("the context {}: {error}", build.context)))?;
        let mut read = Tarball::read(&build.context, &mut tar, &terms.scratch).map_err(Error::source)?;
        read.leave_out(b".git");
        let context = Context::Tarball(read);
        let name = build.dockerfile.as_deref().unwrap_or("Dockerfile");
        let dockerfile = crate::context::find_dockerfile(&context, name)?;
        let ignore = crate::context::find_ignore(&context, name, "")?;
        let mut options = terms.options.clone();
        options.sandbox = Some(self.engine.sandbox.clone());
        options.own_images = Some(self.engine.images.clone());
        let request = Request {
            context: NamedContext { context, ignore },
            named: HashMap::new(),
            dockerfile,
            build_args: build.args.clone(),
            labels: BTreeMap::new(),
            default_labels: BTreeMap::new(),
            target: build.target.clone(),
            platforms: vec![Platform::host()],
            tags: Vec::new(),
            previous: Vec::new(),
            push: false,
            cache_namespace: terms.cache_namespace.clone(),
            attempt: format!("{}-{}", terms.attempt, self.engine.number()),
            options,
            order: Box::new(Unordered),
            trace: terms.trace.clone(),
            form: Form::default(),
        };
        let printed = Lines { test: self };
        let platforms = Platforms::new(&request, &terms.services, &Silent)?;
        Ok(platforms.build(&terms.services, &printed, &terms.cancel)?.image)
    }

    fn machines(&self, order: &[&Service], images: &[Image]) -> Result<Vec<Machine>, Failed> {
        let addresses: BTreeMap<&str, String> =
            order.iter().enumerate().map(|(at, service)| (service.name.as_str(), address(at))).collect();
        let all: Vec<(String, String)> = order
            .iter()
            .flat_map(|service| service.aliases.iter().map(|(alias, of)| (alias.clone(), of.as_str())))
            .chain(order.iter().map(|service| (service.name.clone(), service.name.as_str())))
            .filter_map(|(name, of)| Some((name, addresses.get(of)?.clone())))
            .collect();
        let made = order.iter().zip(images).map(|(service, image)| {
            let mut wanted = Wanted {
                entrypoint: service.entrypoint.clone(),
                command: service.command.clone().or_else(|| service.entrypoint.as_ref().map(|_| Vec::new())),
                environment: self.environment(service)?,
                directory: service.working_dir.clone(),
                user: service.user.clone(),
                hostname: Some(service.hostname.clone().unwrap_or_else(|| service.name.clone())),
                hosts: [all.clone(), service.extra_hosts.clone()].concat(),
                has_network: true,
                ..Wanted::default()
            };
            let tmpfs = service.tmpfs.iter().cloned();
            wanted.mounts = tmpfs.map(|target| Mount { target, kind: MountKind::Tmpfs { size: None } }).collect();
            for file in &service.granted {
                let (mode, uid, gid) = (file.mode, file.uid, file.gid);
                let kind = MountKind::Secret { content: self.read(&file.source)?, mode, uid, gid };
                wanted.mounts.push(Mount { target: file.target.clone(), kind });
            }
            for volume in &service.volumes {
                let Some(source) = &volume.source else { continue };
                if volume.is_path() {
                    let (source, target) = (self.path(source), volume.target.clone());
                    // A test leaves nothing behind: what it writes stays its own.
                    wanted.files.push(Shared { source, target, writable: false });
                } else if order.iter().any(|other| other.name != service.name && uses(other, source)) {
                    let text =
                        format!("the volume `{source}` is that of several services: each has its own files here");
                    return Err(Failed { code: 1, text });
                }
            }
            self.engine.machine(image, wanted, self.hook())
        });
        made.collect()
    }

    fn environment(&self, service: &Service) -> Result<Vec<String>, Failed> {
        let mut all = BTreeMap::new();
        for file in &service.env_files {
            let text = self.text(file)?;
            let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
            let pairs = lines.filter_map(|line| line.split_once('='));
            all.extend(pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())));
        }
        all.extend(service.environment.clone());
        Ok(all.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
    }

    /// Starts the services in their order and waits for `sut`, the last one.
    fn start<'scope>(
        &'scope self,
        order: &'scope [&'scope Service],
        machines: &'scope [Machine],
        running: &'scope ServiceStates,
        cancel: &'scope CancellationToken,
        scope: &'scope Scope<'scope, '_>,
    ) -> Result<u8, String> {
        for (service, machine) in order.iter().zip(machines) {
            for (name, condition) in &service.depends_on {
                running.wait(name, *condition, cancel)?;
            }
            let process = self.engine.start(machine).map_err(|failed| failed.text)?;
            running.set(&service.name, ServiceState::Started);
            let follow_it = move || {
                let masker = Mutex::new(self.masks.masker());
                let line = |bytes: &[u8]| self.print(&service.name, bytes);
                let print = |_: bool, bytes: &[u8]| {
                    masker.lock().unwrap_or_else(PoisonError::into_inner).push(bytes, &mut |bytes| line(bytes));
                };
                let ended = follow(process, None, &print, cancel);
                masker.lock().unwrap_or_else(PoisonError::into_inner).finish(&mut |bytes| line(bytes));
                match ended {
                    Ok(exit) => {
                        if !matches!(exit, Exit::Code(_) | Exit::Cancelled) {
                            self.say(&format!("{} | {exit:?}\n", service.name));
                        }
                        running.set(&service.name, ServiceState::Ended(code_of(&exit)));
                    }
                    Err(error) => {
                        self.say(&format!("{} | {error}\n", service.name));
                        running.set(&service.name, ServiceState::Ended(127));
                    }
                }
            };
            let thread = scope.spawn(follow_it);
            if service.name == SUT {
                let _ = thread.join();
            } else {
                scope.spawn(move || self.check(service, machine, running, cancel));
            }
        }
        match running.get(SUT) {
            Some(ServiceState::Ended(code)) => Ok(code),
            _ => Err("the service `sut` did not run".to_owned()),
        }
    }

    /// Asks a service again and again whether it is healthy, until it is.
    fn check(&self, service: &Service, machine: &Machine, running: &ServiceStates, cancel: &CancellationToken) {
        let Some(check) = service.healthcheck.clone().or_else(|| of_image(machine)) else { return };
        if check.test.is_empty() {
            return;
        }
        for _ in 0..check.retries.max(1).saturating_mul(CHECKS_PER_RETRY) {
            let began = Instant::now();
            let mut step = machine.beside(check.test.clone());
            step.timeout = Some(check.timeout);
            let run = ContainerRun { terminal: false, read_only: false, init: false };
            let process = self.engine.sandbox.exec(&machine.id, &step, run);
            let exit = process.and_then(|process| follow(process, None, &|_, _| {}, cancel));
            if matches!(exit, Ok(Exit::Code(0))) {
                return running.set(&service.name, ServiceState::Healthy);
            }
            cancel.wait_timeout(check.interval.saturating_sub(began.elapsed()));
            if cancel.is_cancelled() {
                return;
            }
        }
        self.say(&format!("{} | it did not become healthy\n", service.name));
        running.set(&service.name, ServiceState::Ended(1));
    }

    fn say(&self, text: &str) {
        self.phases.print(self.step, self.masks.text(text).as_bytes());
    }

    /// Prints what a service says, each line with its name.
    fn print(&self, service: &str, bytes: &[u8]) {
        let mut text = Vec::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            text.extend_from_slice(format!("{service} | ").as_bytes());
            text.extend_from_slice(line);
            if line.last() != Some(&b'\n') {
                text.push(b'\n');
            }
        }
        self.phases.print(self.step, &text);
    }
}

/// Prints the steps of a service's build into the log of the test.
struct Lines<'t> {
    test: &'t Test<'t>,
}

impl Observer for Lines<'_> {
    fn observe(&self, event: crate::event::Event<'_>) {
        match event {
            crate::event::Event::Output { bytes, .. } => self.test.phases.print(self.test.step, bytes),
            crate::event::Event::Warning(text) | crate::event::Event::StaleImage(text) => {
                self.test.say(&format!("WARNING: {text}\n"));
            }
            _ => {}
        }
    }
}

/// Returns the address of a service: all are on one loopback, each at a place of its own.
fn address(at: usize) -> String {
    format!("127.0.0.{}", at + 2)
}

fn uses(service: &Service, volume: &str) -> bool {
    service.volumes.iter().any(|other| other.source.as_deref() == Some(volume))
}

fn of_image(machine: &Machine) -> Option<Healthcheck> {
    let check = machine.config.healthcheck.as_ref()?;
    let test = match check.test.split_first()? {
        (kind, rest) if kind == "CMD" => rest.to_vec(),
        (kind, [line]) if kind == "CMD-SHELL" => ["/bin/sh", "-c", line].map(str::to_owned).to_vec(),
        _ => return None,
    };
    let span = |nanoseconds: i64| match u64::try_from(nanoseconds) {
        Ok(0) | Err(_) => Duration::from_secs(30),
        Ok(nanoseconds) => Duration::from_nanos(nanoseconds),
    };
    let retries = u32::try_from(check.retries).ok().filter(|retries| *retries > 0).unwrap_or(3);
    Some(Healthcheck { test, interval: span(check.interval), timeout: span(check.timeout), retries })
}
