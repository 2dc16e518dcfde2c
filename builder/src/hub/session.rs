//! A build with Docker Hub's hooks and tests, phase by phase, in Docker Hub's order and with its words.
//!
//! This room stands above `build`, `image` and `platforms`, which do slipway's own part of the work, and below `worker`,
//! which knows the rule, the rights and the order of tags. `found` says which hooks there are, `variables` what they are
//! told, `container` runs them, `socket` brings what their `docker` asks to `engine`, and its commands answer.
//!
//! All hooks of an attempt run in one sandbox, that of the attempt, in which the steps of its builds run, too: the limits,
//! the network and the cancellation are the build's. A hook is a container of its own over the files that the hooks before
//! it left. Slipway's build reads the files as the hooks before it left them; where no hook could have changed any, it reads
//! the commit, as ever.

use super::autotest::Test;
use super::checkout::{Commit, DIRECTORY};
use super::container::{HookCommand, HookContainer};
use super::engine::{Engine, Terms};
use super::found::{Found, Hook};
use super::images::named;
use super::progress::Phases;
use super::socket::Socket;
use super::variables::Facts;
use crate::context::Context;
use crate::error::Code;
use crate::event::{Observer, Phase};
use crate::image::uploads;
use crate::key::KeyBuilder;
use crate::secrets::Masks;
use crate::{Built, Error, Image, Platforms, Request, Services};
use database::BaseImage;
use registry_client::Reference;
use runtime::Exit;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A build with hooks or tests.
pub(crate) struct Session<'s> {
    /// The hooks and tests.
    pub found: &'s Found,
    /// The commit.
    pub commit: Commit<'s>,
    /// The facts that the hooks are told.
    pub facts: Facts,
    /// The terms of their `docker`.
    pub terms: Terms,
    /// Reads the image that they run in.
    pub image_services: &'s Services,
    /// That image.
    pub image: &'s str,
    /// How long one hook may run.
    pub timeout: Duration,
    /// Hides the build's secrets.
    pub masks: &'s Masks,
    /// Makes the request for slipway's own build of these files; `None` for those of the commit.
    pub request: &'s dyn Fn(Option<Context>) -> Result<Request, Error>,
}

/// The end of a build with hooks.
pub(crate) struct Ended {
    /// The image, and what was pushed.
    pub built: Built,
    /// The key of what it was made from.
    pub inputs_key: String,
    /// The images of registries that it was made from.
    pub base_images: Vec<BaseImage>,
}

/// A session whose container is there.
struct Running<'s> {
    session: &'s Session<'s>,
    container: HookContainer,
    engine: Arc<Engine>,
    socket: Socket,
    phases: Phases<'s>,
    environment: Vec<String>,
}

impl Session<'_> {
    /// Runs all phases.
    pub(crate) fn run(&self, observer: &dyn Observer) -> Result<Ended, Error> {
        let terms = &self.terms;
        observer.observe(crate::event::Event::Phase(Phase::Preparing, "preparing the container of the hooks"));
        let container =
            HookContainer::new(self.image_services, self.image, &terms.attempt, &self.commit, &terms.cancel)?;
        let engine = Arc::new(Engine::new(terms.clone(), container.sandbox().clone(), container.id().clone()));
        let answering = engine.clone();
        let socket = Socket::open(
            &terms.cancel,
            Arc::new(move |call, caller| super::commands::answer(&answering, call, caller)),
        )
        .map_err(|error| Error::new(Code::Sandbox, "opening the socket of the hooks").with_cause(error))?;
        let steps = |hooks: &[Hook]| {
            let found = hooks.iter().filter(|hook| self.runs(**hook));
            found.map(|hook| format!("hooks/{}", hook.name())).collect::<Vec<_>>()
        };
        let (before, after) = Hook::ALL.split_at(3);
        let (until_tests, after_tests) = after.split_at(3);
        let tests = if self.runs(Hook::Test) { &[][..] } else { &self.found.tests };
        let after = [steps(until_tests), tests.to_vec(), steps(after_tests)].concat();
        let phases = Phases::new(observer, steps(before), after);
        let environment = self.facts.environment();
        let environment = environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Running { session: self, container, engine, socket, phases, environment }.run()
    }

    fn runs(&self, hook: Hook) -> bool {
        self.found.hooks.contains(&hook) && (self.facts.push || !hook.is_of_push())
    }
}

impl Running<'_> {
    fn run(&self) -> Result<Ended, Error> {
        let session = self.session;
        self.hook(Hook::PostCheckout)?;
        self.hook(Hook::PreBuild)?;
        let inputs_key = match session.runs(Hook::Build) {
            true => {
                self.hook(Hook::Build)?;
                KeyBuilder::new("inputs.hook.1").text(self.session.commit.tree.id()).finish()
            }
            false => self.build()?,
        };
        self.hook(Hook::PostBuild)?;
        self.hook(Hook::PreTest)?;
        if session.runs(Hook::Test) {
            self.hook(Hook::Test)?
        } else {
            self.tests()?
        }
        self.hook(Hook::PostTest)?;
        if session.facts.push {
            self.phases.say(Phase::Pushing, "pushing the image");
            self.hook(Hook::PrePush)?;
            if session.runs(Hook::Push) {
                self.hook(Hook::Push)?
            } else {
                self.push()?
            }
            self.hook(Hook::PostPush)?;
        }
        self.phases.say(if session.facts.push { Phase::Pushing } else { Phase::Building }, "Build finished");
        let base_images = self.engine.base_images();
        Ok(Ended { built: self.built()?, inputs_key, base_images })
    }

    /// Runs a hook, if there is one.
    fn hook(&self, hook: Hook) -> Result<(), Error> {
        if !self.session.runs(hook) {
            return Ok(());
        }
        let name = hook.name();
        self.phases.say(
            if hook.is_of_push() { Phase::Pushing } else { Phase::Building },
            &format!("Executing {name} hook..."),
        );
        let exit = self.command(&format!("hooks/{name}"), &format!("hooks/{name}"))?;
        match exit {
            Exit::Code(0) => Ok(()),
            Exit::Code(code) => Err(Error::new(Code::HookFailed, format!("{name} hook failed! ({code})"))),
            Exit::Signal(signal) => {
                Err(Error::new(Code::HookFailed, format!("{name} hook failed! ({})", 128 + signal)))
            }
            other => Err(ended(other, &format!("hooks/{name}"), self.session.timeout)),
        }
    }

    /// Runs a command beside the Dockerfile as the step `step`.
    fn command(&self, step: &str, command: &str) -> Result<Exit, Error> {
        let session = self.session;
        let number = self.phases.begin(step);
        let began = Instant::now();
        let directory = match session.found.directory.as_str() {
            "" => DIRECTORY.to_owned(),
            below => format!("{DIRECTORY}/{below}"),
        };
        // A hook without a first line that names its shell is one of the shell's, as on Docker Hub.
        let argv = ["/bin/bash", "-c", "exec 2>&1 \"$0\"", command].map(str::to_owned).to_vec();
        let (environment, timeout, socket) = (self.environment.clone(), session.timeout, &self.socket);
        let command = HookCommand { argv, environment, directory, timeout, socket };
        let mut masker = session.masks.masker();
        let phases = &self.phases;
        let mut show = |bytes: &[u8]| phases.print(number, bytes);
        let exit = self.container.run(&command, &mut |bytes| masker.push(bytes, &mut show), &session.terms.cancel);
        masker.finish(&mut |bytes| self.phases.print(number, bytes));
        let code = match &exit {
            Ok(Exit::Code(code)) => Some(*code),
            Ok(Exit::Signal(signal)) => Some(128 + signal),
            Ok(Exit::Cancelled) => None,
            _ => Some(1),
        };
        self.phases.end(number, code, began.elapsed());
        exit
    }

    /// Builds as slipway does, and gives the image all its names; returns the key of what it was made from.
    fn build(&self) -> Result<String, Error> {
        let session = self.session;
        let facts = &session.facts;
        self.phases.say(Phase::Building, &format!("Starting build of {}...", facts.image_name()));
        let changed = session.found.changes_files();
        let files = changed.then(|| self.container.checkout(&session.terms.scratch)).transpose()?;
        let mut request = (session.request)(files.map(Context::Tarball))?;
        request.push = false;
        request.options.sandbox = Some(self.container.sandbox().clone());
        request.options.own_images = Some(self.engine.images.clone());
        let (services, cancel) = (&session.terms.services, &session.terms.cancel);
        let platforms = Platforms::new(&request, services, &self.phases)?;
        let inputs_key = KeyBuilder::new("inputs.hub.1").text(&platforms.inputs_key()?).finish();
        self.engine.note_bases(platforms.base_images()?);
        let built = platforms.build(services, &self.phases, cancel)?;
        // On Docker Hub the image is called `this` besides, for its tests.
        let mut names: Vec<Reference> = named("this").into_iter().chain(named(&facts.image_name())).collect();
        names.extend(session.terms.tags.iter().cloned());
        self.engine.images.add(built.image, &names).map_err(|problem| Error::new(Code::Image, problem))?;
        Ok(inputs_key)
    }

    /// Runs the tests of all compose files, one after the other.
    fn tests(&self) -> Result<(), Error> {
        let session = self.session;
        let variables = session.facts.environment();
        for file in &session.found.tests {
            self.phases.say(Phase::Building, &format!("Starting Test in {file}..."));
            let (step, began) = (self.phases.begin(file), Instant::now());
            let test = Test {
                engine: &self.engine,
                container: &self.container,
                directory: &session.found.directory,
                file,
                variables: &variables,
                masks: session.masks,
                phases: &self.phases,
                step,
            };
            let ended = test.run();
            let code = match &ended {
                Ok(code) => Some(i32::from(*code)),
                Err(error) if error.code() == Code::Cancelled => None,
                Err(_) => Some(1),
            };
            self.phases.end(step, code, began.elapsed());
            match ended? {
                0 => self.phases.say(Phase::Building, &format!("Tests in {file} succeeded")),
                code => return Err(Error::new(Code::TestFailed, format!("Tests in {file} failed ({code})"))),
            }
        }
        Ok(())
    }

    /// Pushes each tag of the rule.
    fn push(&self) -> Result<(), Error> {
        let terms = &self.session.terms;
        let Some(known) = self.engine.images.get(&self.session.facts.image_name()) else { return Err(self.no_image()) };
        for tag in &terms.tags {
            self.phases.say(Phase::Pushing, &format!("Pushing {tag}..."));
            // A hook may have given the tag another image.
            let image =
                self.engine.images.get(&tag.to_string()).map_or_else(|| known.image.clone(), |known| known.image);
            let resources = self.engine.resources(&terms.services, &terms.cancel)?;
            let pushed = uploads::whole(&resources, &image, std::slice::from_ref(tag), terms.order.as_ref())?;
            self.engine.note_pushed(pushed, &image);
            self.phases.say(Phase::Pushing, "Done!");
        }
        Ok(())
    }

    /// Returns the image that the build is known by: the one of its name, else the last that was pushed or built.
    fn built(&self) -> Result<Built, Error> {
        let (terms, pushed) = (&self.session.terms, self.engine.pushed());
        let by_name = self.engine.images.get(&self.session.facts.image_name()).map(|known| known.image);
        let last = || pushed.last().map(|(_, image)| image.clone());
        let any = || self.engine.images.all().first().map(|known| known.image.clone());
        let image: Image = by_name.or_else(last).or_else(any).ok_or_else(|| self.no_image())?;
        let pushed: Vec<Reference> = pushed.into_iter().map(|(tag, _)| tag).collect();
        let replaced = self.session.runs(Hook::Push);
        let superseded = !replaced && self.session.facts.push && !terms.tags.iter().all(|tag| pushed.contains(tag));
        Ok(Built { image, pushed, superseded, same_as: None })
    }

    fn no_image(&self) -> Error {
        let name = self.session.facts.image_name();
        let text =
            format!("no image is called `{name}`: hooks/build has to build or tag it (`docker build -t $IMAGE_NAME`)");
        Error::new(Code::HookImageMissing, text)
    }
}

/// Returns the error of a command that did not end by itself.
fn ended(exit: Exit, command: &str, limit: Duration) -> Error {
    match exit {
        Exit::Cancelled => Error::cancelled(),
        Exit::TimedOut => {
            let limit = crate::duration::shown(limit);
            Error::new(Code::StepTimeout, format!("{command} took longer than {limit}"))
        }
        Exit::OutOfMemory(bytes) => {
            let limit = files::size::Size(bytes);
            Error::new(Code::OutOfMemory, format!("{command} ran out of memory: a build may use {limit}"))
        }
        Exit::DiskFull(full) => Error::new(Code::DiskFull, format!("{command} {full}")),
        Exit::Killed => Error::new(Code::StepKilled, format!("{command} was killed from outside the build (SIGKILL)")),
        Exit::Code(code) => Error::new(Code::HookFailed, format!("{command} ended with {code}")),
        Exit::Signal(signal) => Error::new(Code::HookFailed, format!("{command} was ended by signal {signal}")),
    }
}
