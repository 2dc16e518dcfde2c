//! From a build's row in the database to what the builder is asked for: the same for an attempt and for a worker query.

use super::context::{Deadline, TaskContext};
use super::settings::Settings;
use super::source::{self, added};
use super::target::{self, Linked};
use crate::context::{Context, NamedContext};
use crate::error::Code;
use crate::execute::Options;
use crate::git::{Checkout, CommitTree};
use crate::layer::Compression;
use crate::secrets::Leak;
use crate::trace::{Trace, Work};
use crate::{Error, Request, Services, TagOrder};
use database::{BuildRequest, BuildSpec, LayerCompression};
use files::ignore::Ignore;
use files::path::clean_path;
use files::view::View;
use registry_client::{Platform, Reference};
use runtime::CancellationToken;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// One step.
    pub step: Duration,
    /// The whole build.
    pub build: Duration,
}

impl Limits {
    /// Returns the worker's limits, or those of the rule where they are lower.
    pub(crate) fn of(settings: &Settings, spec: &BuildSpec) -> Self {
        let lower = |limit: Duration, asked_ms: Option<i64>| {
            let asked = asked_ms.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
            asked.map_or(limit, |asked| asked.min(limit))
        };
        let options = &spec.options;
        Limits {
            step: lower(settings.step_timeout, options.step_timeout_ms),
            build: lower(settings.build_timeout, options.timeout_ms),
        }
    }
}

/// Makes the request to the builder for a build of the database.
pub(crate) struct RequestBuilder<'a> {
    /// The services of the build.
    pub services: &'a Services,
    /// How the worker works.
    pub settings: &'a Settings,
    /// The build, with the commit in its specification.
    pub request: &'a BuildRequest,
    /// How long things may take.
    pub limits: Limits,
    /// Ends everything.
    pub cancel: &'a CancellationToken,
    /// Names the directories.
    pub attempt: &'a str,
    /// Takes note of where the time goes.
    pub trace: &'a Trace,
    /// Images of targets that this one has as contexts.
    pub linked: &'a Linked,
}

impl RequestBuilder<'_> {
    /// Returns the request of the build at the commit `root`, or of the files that hooks made of it; `order` decides which
    /// tags may move.
    pub(crate) fn request(
        &self,
        root: &CommitTree,
        files: Option<Context>,
        secrets: &BTreeMap<String, Vec<u8>>,
        order: Box<dyn TagOrder + Send>,
    ) -> Result<Request, Error> {
        let mut request = self.without_epoch(root, files, secrets, order)?;
        crate::settle_epoch(&mut request, self.services, self.cancel)?;
        Ok(request)
    }

    fn without_epoch(
        &self,
        root: &CommitTree,
        files: Option<Context>,
        secrets: &BTreeMap<String, Vec<u8>>,
        order: Box<dyn TagOrder + Send>,
    ) -> Result<Request, Error> {
        let spec = &self.request.spec;
        let whole = match files {
            Some(files) => files,
            None => self.whole(root)?,
        };
        let committed = match &whole {
            Context::Checkout(checkout) => Some(checkout.directory(&spec.context).map(Context::Checkout)),
            Context::Commit(tree) => Some(tree.subtree(&spec.context).map(Context::Commit)),
            _ => None,
        };
        let committed = committed.transpose().map_err(Error::source)?;
        let dockerfile = target::dockerfile(&whole, spec)?;
        let named = target::contexts(&whole, spec, self.linked)?;
        let ignore = crate::context::find_ignore(&whole, &spec.dockerfile, &spec.context)?;
        let tags = spec.tags.iter().map(|tag| Reference::parse(tag)).collect::<Result<Vec<_>, _>>();
        let context = match (committed, whole) {
            (Some(context), _) => context,
            (None, Context::Tarball(files)) => Context::Tarball(files.below(&spec.context).map_err(Error::source)?),
            (None, other) => other,
        };
        Ok(Request {
            context: NamedContext { context, ignore },
            named,
            dockerfile,
            build_args: spec.build_args.clone(),
            labels: super::labels::asked(&spec.options.labels),
            default_labels: super::labels::defaults(spec, root),
            target: spec.target.clone(),
            platforms: platforms(spec)?,
            tags: tags
                .map_err(|error| Error::new(Code::InvalidReference, "reading the rule's tags").with_cause(error))?,
            previous: Vec::new(),
            push: spec.push,
            cache_namespace: self.cache_namespace(),
            attempt: self.attempt.to_owned(),
            options: self.options(root, secrets),
            order,
            trace: self.trace.clone(),
            form: target::form(spec)?,
        })
    }

    /// Returns how the steps of the build at the commit `root` are executed.
    pub(crate) fn options(&self, root: &CommitTree, secrets: &BTreeMap<String, Vec<u8>>) -> Options {
        let spec = &self.request.spec;
        let fetching = added(self.context(), &self.request.repository, self.deadline());
        Options {
            use_cache: spec.use_cache,
            no_cache_stages: spec.options.no_cache_stages.clone(),
            step_timeout: self.limits.step,
            secrets: secrets.clone(),
            latest: Some(crate::COMMIT_FILES),
            created: Some(root.commit_time()),
            leak: Leak::Refused,
            compression: match spec.options.compression {
                LayerCompression::Gzip => Compression::Gzip,
                LayerCompression::Zstd => Compression::Zstd,
                LayerCompression::ZstdChunked => Compression::ZstdChunked,
                LayerCompression::Estargz => Compression::Estargz,
            },
            ..target::options(spec, Options::new(crate::COMMIT_FILES, fetching))
        }
    }

    fn context(&self) -> TaskContext<'_> {
        TaskContext { services: self.services, settings: self.settings }
    }

    fn deadline(&self) -> Deadline<'_> {
        Deadline { cancel: self.cancel, limit: self.limits.build }
    }

    /// Returns the commit with those of its submodules that the context or the Dockerfile may be made of.
    fn whole(&self, root: &CommitTree) -> Result<Context, Error> {
        let spec = &self.request.spec;
        self.with_submodules(root, |plain| {
            // An ignore file that lies in a submodule is not here yet.
            let ignore = crate::context::find_ignore(plain, &spec.dockerfile, &spec.context)?;
            Ok(move |path: &[u8]| is_needed(path, spec, &ignore))
        })
    }

    /// Returns the commit as a recursive clone has it, which is how hooks find it.
    pub(crate) fn checkout(&self, root: &CommitTree) -> Result<Context, Error> {
        self.with_submodules(root, |_| Ok(|_: &[u8]| true))
    }

    /// Returns the commit with the submodules that are needed, if the rule wants any, and with what Git LFS keeps.
    fn with_submodules<N: Fn(&[u8]) -> bool>(
        &self,
        root: &CommitTree,
        needed: impl FnOnce(&Context) -> Result<N, Error>,
    ) -> Result<Context, Error> {
        let spec = &self.request.spec;
        let access = source::beside(self.context(), self.request, self.deadline()).map_err(Error::source)?;
        let mut root = root.subtree("").map_err(Error::source)?;
        if let Some(lfs) = &access.lfs {
            root = root.with_lfs(lfs, &spec.clone_url, &access.settings);
        }
        let plain = Context::Commit(root.subtree("").map_err(Error::source)?);
        if !spec.options.submodules || !matches!(plain.lookup(b".gitmodules"), Ok(Some(_))) {
            return Ok(plain);
        }
        let needed = needed(&plain)?;
        let span = self.trace.span(Work::Fetch, "the submodules");
        let checkout = Checkout::with_submodules(&root, &spec.clone_url, &access, &needed).map_err(Error::source)?;
        drop(span);
        Ok(checkout.map_or(plain, Context::Checkout))
    }

    /// Names the cache that the build reads and fills: what strangers built is never used for others.
    pub(crate) fn cache_namespace(&self) -> String {
        let request = self.request;
        match request.spec.options.trusted {
            true => request.repository.clone(),
            false => format!("{}:untrusted:{}", request.repository, request.spec.git_ref),
        }
    }
}

/// Returns whether the submodule at `path` may be part of the image: it is in the context and not ignored as a whole, or
/// holds the context or the Dockerfile.
fn is_needed(path: &[u8], spec: &BuildSpec, ignore: &Ignore) -> bool {
    let below = |path: &[u8], directory: &[u8]| match path.strip_prefix(directory)? {
        b"" => Some(Vec::new()),
        rest if directory.is_empty() => Some(rest.to_vec()),
        rest => rest.strip_prefix(b"/").map(<[u8]>::to_vec),
    };
    let context = clean_path(spec.context.as_bytes());
    let holds = |inner: &[u8]| below(inner, path).is_some();
    if holds(&context) || holds(&clean_path(spec.dockerfile.as_bytes())) {
        return true;
    }
    // An exception may show a file of what is ignored otherwise.
    below(path, &context).is_some_and(|path| ignore.has_exceptions() || !ignore.ignores(&path))
}

/// Returns the platforms to build for, each once: the worker's own if none is named.
fn platforms(spec: &BuildSpec) -> Result<Vec<Platform>, Error> {
    let mut platforms: Vec<Platform> = Vec::new();
    for name in &spec.options.platforms {
        let platform = name.parse().map_err(|_| {
            let problem = format!("platform `{name}`: os/architecture is expected, as in linux/amd64");
            Error::new(Code::InvalidPlatform, problem)
        })?;
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    if platforms.is_empty() {
        platforms.push(Platform::host());
    }
    Ok(platforms)
}
