//! The worker: claims builds under a lease, builds them, and writes what happens to the database.

mod identity;
mod order;
mod recorder;
mod watch;

use crate::context::{Context, NamedContext};
use crate::event::{Event, Observer, Phase};
use crate::execute::Options;
use crate::source::{CommitTree, FetchSettings, Mirror, SourceError, Wanted};
use crate::trace::{Trace, Work};
use crate::{Built, Error, Request, Services};
use database::{BuildSpec, Claim, Outcome, PushedImage, Reason};
pub use identity::name;
use recorder::Recorder;
use registry_client::{Fault, Platform, Reference};
use runtime::Cancel;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often an idle worker looks for builds.
const IDLE: Duration = Duration::from_millis(50);
/// How often a worker looks for builds whose worker is gone.
const JANITOR: Duration = Duration::from_secs(10);

/// How a worker works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name in the database, unique among living workers.
    pub name: String,
    /// Where mirrors of repositories are kept.
    pub git_dir: PathBuf,
    /// User and password by the host of a clone URL.
    pub git_credentials: BTreeMap<String, (String, String)>,
    /// How long one step may take.
    pub step_timeout: Duration,
    /// How long one build may take.
    pub build_timeout: Duration,
}

/// Claims and builds until `stop` is set; a build under way then is finished first.
pub fn work(services: &Services, settings: &Settings, stop: &AtomicBool) {
    let mut swept = None::<Instant>;
    while !stop.load(Ordering::Relaxed) {
        if swept.is_none_or(|at| at.elapsed() > JANITOR) {
            swept = Some(Instant::now());
            janitor(services);
        }
        match services.tokio.block_on(services.database.claim(&settings.name)) {
            Ok(Some(claim)) => attempt(services, settings, claim),
            Ok(None) => std::thread::sleep(IDLE),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the queue cannot be read; trying again");
                std::thread::sleep(Duration::from_secs(1));
            }
        }
    }
}

/// Gives builds back to the queue whose worker is gone: at once on this machine, elsewhere when the lease runs out.
fn janitor(services: &Services) {
    let database = &services.database;
    let holders = services.tokio.block_on(database.lease_holders()).unwrap_or_default();
    for worker in holders.iter().filter(|worker| identity::is_gone(worker)) {
        if let Ok(builds) = services.tokio.block_on(database.release(worker)) {
            tracing::warn!(
                worker,
                builds = builds.len(),
                "a worker of this machine is gone; its builds are queued again"
            );
        }
    }
    match services.tokio.block_on(services.database.expire_leases()) {
        Ok(builds) => {
            for build in builds {
                tracing::warn!(build.id = %build, "the worker of a build is gone; it is queued again");
            }
        }
        Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "leases cannot be checked"),
    }
}

/// Builds what `claim` names and writes how it ended.
fn attempt(services: &Services, settings: &Settings, claim: Claim) {
    let began = Instant::now();
    let id = claim.build.id.clone();
    tracing::info!(build.id = %id, repo = claim.build.request.repository, attempt = claim.attempt, "a build begins");
    let cancel = Cancel::new();
    let claim = Arc::new(claim);
    let recorder = Recorder::start(services, claim.clone(), cancel.clone());
    let watch = watch::Watch::start(services, claim.clone(), (cancel.clone(), settings.build_timeout));
    let trace = Trace::default();
    let result =
        Attempt { services, settings, claim: &claim, recorder: &recorder, cancel: &cancel, trace: &trace }.run();
    recorder.say(&format!("{}\n", trace.summary()));
    if let Err(error) = &result
        && error.code() != "cancelled"
    {
        recorder.say(&format!("ERROR: {}\n", error.report()));
    }
    let why = watch.stop();
    recorder.stop(result.is_ok());
    let outcome = outcome(result, why);
    let Ok(claim) = Arc::try_unwrap(claim) else { unreachable!("recorder and watch have ended") };
    let state = services.tokio.block_on(services.database.finish(claim, outcome));
    match state {
        Ok(state) => tracing::info!(build.id = %id, ?state, duration_ms = began.elapsed().as_millis(), "a build ended"),
        Err(error) => {
            tracing::warn!(build.id = %id, error = &error as &dyn std::error::Error, "the end of a build was not accepted")
        }
    }
}

/// One attempt in progress.
struct Attempt<'a> {
    services: &'a Services,
    settings: &'a Settings,
    claim: &'a Arc<Claim>,
    recorder: &'a Recorder,
    cancel: &'a Cancel,
    trace: &'a Trace,
}

impl Attempt<'_> {
    fn run(&self) -> Result<Built, Error> {
        let spec = &self.claim.build.request.spec;
        self.recorder.observe(Event::Phase(Phase::Preparing, "fetching the commit"));
        let tree = self.fetch(spec)?;
        let request = self.request(spec, tree)?;
        crate::build(&request, self.services, self.recorder, self.cancel)
    }

    fn fetch(&self, spec: &BuildSpec) -> Result<CommitTree, Error> {
        let _span = self.trace.span(Work::Fetch, "the commit");
        let settings = self.settings;
        let mirror = Mirror::open(&settings.git_dir, &spec.clone_url).map_err(source_error)?;
        let wanted = match &spec.commit {
            Some(id) => Wanted::Commit { id: id.clone(), git_ref: Some(spec.git_ref.clone()) },
            None => Wanted::Ref(spec.git_ref.clone()),
        };
        let host = url::Url::parse(&spec.clone_url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let fetch = FetchSettings {
            credentials: host.and_then(|host| settings.git_credentials.get(&host).cloned()),
            timeout: settings.build_timeout,
            cancel: self.cancel.clone(),
        };
        let commit = mirror.fetch(&wanted, &fetch).map_err(source_error)?;
        let tree = CommitTree::open(&mirror, &commit, "").map_err(source_error)?;
        self.recorder.observe(Event::Commit { id: commit.as_str(), message: tree.message() });
        Ok(tree)
    }

    fn request(&self, spec: &BuildSpec, root: CommitTree) -> Result<Request, Error> {
        let now = root.commit_time();
        let context = root.subtree(&spec.context).map_err(source_error)?;
        let root = Context::Commit(root);
        let dockerfile = crate::source::find_dockerfile(&root, &spec.dockerfile)?;
        let ignore = crate::source::find_ignore(&root, &spec.dockerfile, &spec.context)?;
        let tags = spec.tags.iter().map(|tag| Reference::parse(tag)).collect::<Result<Vec<_>, _>>();
        Ok(Request {
            context: NamedContext { context: Context::Commit(context), ignore },
            named: HashMap::new(),
            dockerfile,
            build_args: spec.build_args.clone(),
            labels: BTreeMap::new(),
            target: spec.target.clone(),
            platform: Platform::host(),
            tags: tags
                .map_err(|error| Error::user("invalid_reference", "reading the rule's tags").with_cause(error))?,
            push: spec.push,
            cache_namespace: self.claim.build.request.repository.clone(),
            attempt: format!("{}-{}", self.claim.build.id, self.claim.attempt),
            options: Options {
                use_cache: spec.use_cache,
                now,
                step_timeout: self.settings.step_timeout,
                secrets: BTreeMap::new(),
                ssh: BTreeMap::new(),
            },
            order: Box::new(order::InDatabase::new(self.services, self.claim.clone())),
            trace: self.trace.clone(),
        })
    }
}

/// Turns an error of the source into the build's.
pub fn source_error(error: SourceError) -> Error {
    let (code, doing) = (error.code(), error.to_string());
    if error.is_transient() { Error::upstream(code, doing) } else { Error::user(code, doing) }.with_cause(error)
}

/// Returns how the attempt ends, from its result and from what the watch saw.
fn outcome(result: Result<Built, Error>, why: watch::Why) -> Outcome {
    match (result, why) {
        (Ok(built), _) => succeeded(&built),
        (Err(_), watch::Why::CancelRequested | watch::Why::LeaseLost) => Outcome::Cancelled,
        (Err(_), watch::Why::TimedOut(limit)) => Outcome::TimedOut(Reason {
            code: "build_timeout".into(),
            message: format!("the build took longer than {} min", limit.as_secs().div_ceil(60)),
        }),
        (Err(error), watch::Why::Nothing) => {
            let reason = Reason { code: error.code().into(), message: error.report() };
            match error.fault() {
                Fault::User => Outcome::Failed(reason),
                Fault::Upstream | Fault::Service => Outcome::Retry(reason),
            }
        }
    }
}

fn succeeded(built: &Built) -> Outcome {
    let image = PushedImage {
        digest: built.image.digest.to_string(),
        media_type: built.image.media_type.to_owned(),
        size: built.image.size(),
        tags: built.pushed.iter().map(Reference::to_string).collect(),
        inputs_key: None,
    };
    if built.superseded { Outcome::Superseded(image) } else { Outcome::Succeeded(image) }
}
