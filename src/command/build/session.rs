//! A session of builds: what they share, and one build from its arguments to its outputs.

use super::interrupt::Interrupt;
use super::outputs::Outputs;
use super::{Arguments, agent, fields, request};
use crate::progress::Display;
use crate::state::{self, DataDir, Registries};
use builder::event::Event;
use builder::trace::Trace;
use builder::{Built, Request, Services};
use registry_client::{Descriptor, Reference};
use runtime::CancellationToken;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The parts that builds of one command share.
pub(crate) struct Session {
    /// The data directory.
    pub data: DataDir,
    /// Store, client, database.
    pub services: Services,
    /// Ends all builds.
    pub cancel: CancellationToken,
    /// Whether the process was asked to end.
    pub interrupt: Interrupt,
    _tokio: tokio::runtime::Runtime,
}

/// The properties of one build of a session that its arguments do not hold.
#[derive(Default)]
pub(crate) struct Work {
    /// Names its directories among those of the session's builds.
    pub name: String,
    /// Images of the store that it has under names: results of earlier builds.
    pub linked: BTreeMap<String, Descriptor>,
    /// Takes note of where the time goes.
    pub trace: Trace,
}

/// Why a build has no image.
pub(crate) enum Stopped {
    /// The request cannot be built; the text says why.
    Unasked(String),
    /// The build failed.
    Failed(builder::Error),
}

impl Session {
    /// Opens the data directory and all that builds need.
    pub(crate) fn open(data_dir: Option<PathBuf>, registries: Registries) -> Result<Session, String> {
        let data = DataDir::open(data_dir)?;
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let tokio = tokio.map_err(|error| format!("starting the asynchronous runtime: {error}"))?;
        let mut services = state::open(&data, &data.database_url(), registries, tokio.handle())?;
        services.client = state::mirrors::through(services.client, state::mirrors::by_hand(&data));
        // A local build may use the networks of this machine.
        services.sandbox.network.private = true;
        let cancel = CancellationToken::new();
        let interrupt = Interrupt::listen(tokio.handle(), &cancel);
        Ok(Session { data, services, cancel, interrupt, _tokio: tokio })
    }

    /// Builds what the arguments ask for; returns it with its names.
    pub(crate) fn build(
        &self,
        arguments: &Arguments,
        work: &Work,
        observer: &dyn Display,
    ) -> Result<(Built, Vec<Reference>), Stopped> {
        let services = self.services(arguments).map_err(Stopped::Unasked)?;
        let outputs = Outputs::parse(&arguments.outputs).map_err(Stopped::Unasked)?;
        let agents = agent::Agents::new(&arguments.ssh).map_err(Stopped::Unasked)?;
        let (data, agents) = (&self.data, &agents);
        let asked = request::Asked { arguments, outputs: &outputs, data, services: &services, agents, work };
        let request = asked.request(&self.cancel).map_err(Stopped::Unasked)?;
        let built = builder::build(&request, &services, observer, &self.cancel);
        let built = built.and_then(|built| deliver(&asked, &request, observer, built)).map_err(Stopped::Failed)?;
        Ok((built, request.tags))
    }

    /// Returns the services as the arguments limit them.
    fn services(&self, arguments: &Arguments) -> Result<Services, String> {
        let mut services = self.services.clone();
        if let Some(memory) = &arguments.memory {
            services.sandbox.limits.memory_bytes = Some(fields::size("--memory", memory)?);
        }
        if arguments.allow_32bit {
            services.sandbox.calls = runtime::Calls::With32Bit;
        }
        Ok(services)
    }
}

/// Writes the outputs of an image, and keeps it under its names where that is asked for.
fn deliver(
    asked: &request::Asked<'_>,
    request: &Request,
    observer: &dyn Display,
    built: Built,
) -> Result<Built, builder::Error> {
    let (services, cancel) = (asked.services, request.options.cancel());
    for output in &asked.outputs.written {
        if let Some(text) = builder::image::output::write(services, &built.image, output, &request.tags, cancel)? {
            observer.observe(Event::Warning(&text));
        }
    }
    if asked.outputs.keep && !request.push || asked.arguments.load {
        builder::keep(services, &built.image, &request.tags, cancel)?;
    }
    Ok(built)
}
