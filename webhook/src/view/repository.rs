//! Repositories as the API shows them, and what is known of their refs, tags, base images, secrets and figures.

use super::build::StatusProblem;
use super::time::moment;
use crate::configuration::Settings;
use crate::configuration::document::RepositoryDocument;
use crate::intake::catalog::Entry;
use database::{ForgeRepository, RefPollState, Refusal, SeenImage, Usage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A repository as it is written, and under `meta` what cannot be written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RepositoryView {
    /// The document, in the schema of `slipway.toml`; without webhooks for callers that may not change it.
    #[serde(flatten)]
    pub document: RepositoryDocument,
    /// Facts that cannot be written.
    pub meta: RepositoryMeta,
}

/// Facts about a repository that cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RepositoryMeta {
    /// `api` or `file`.
    pub defined_in: String,
    /// Whether deliveries can be verified.
    pub has_secret: bool,
    /// Names of its rules.
    pub rules: Vec<String>,
    /// URLs.
    pub links: RepositoryLinks,
    /// Problems, where one repository is shown.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub problems: Option<RepositoryProblems>,
}

/// URLs of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RepositoryLinks {
    /// The repository itself.
    #[serde(rename = "self")]
    pub this: String,
    /// Its builds.
    pub builds: String,
    /// Its polls for missed pushes.
    pub reconcile: String,
    /// Its badge.
    pub badge: String,
    /// The URL for its webhook on a forge.
    pub hook: String,
}

/// The deploy key of a repository: the half that is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeployKeyView {
    /// The public key, one line as forges take it.
    pub public_key: String,
    /// Its fingerprint, as forges show it.
    pub fingerprint: String,
}

/// The webhook of a repository on its forge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectedView {
    /// Host of the forge.
    pub forge: String,
    /// The forge's id of the webhook.
    pub hook: String,
    /// Where deliveries go.
    pub url: String,
    /// `added`, `repaired`, or `confirmed` where nothing was wrong; the secret is set in any case.
    pub action: String,
    /// Its mistakes.
    pub faults: Vec<String>,
}

/// Problems of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RepositoryProblems {
    /// The newest refusal of a commit status.
    pub status_problem: Option<RepositoryStatusProblem>,
    /// The mistake in the repository's own rules.
    pub own_rules_problem: Option<String>,
    /// The name that the forge has for the repository by now, if the server has another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<MovedView>,
}

/// A repository that was renamed or transferred on its forge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MovedView {
    /// The forge's name of it now.
    pub forge_name: String,
    /// Whether the forge itself says so, and not a delivery alone.
    pub is_confirmed: bool,
    /// When a delivery told it first.
    pub at: Option<String>,
}

impl MovedView {
    /// Returns that a repository moved, if the forge has another name for it than `forge_name`.
    pub(crate) fn of(known: &ForgeRepository, forge_name: &str) -> Option<MovedView> {
        let at = moment(known.moved_ms.filter(|_| !known.forge_name.eq_ignore_ascii_case(forge_name))?);
        Some(MovedView { forge_name: known.forge_name.clone(), is_confirmed: known.is_confirmed, at })
    }
}

/// A commit status that the forge refused, and its build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RepositoryStatusProblem {
    /// The forge's words.
    pub problem: String,
    /// Id of the build.
    pub build: String,
    /// The time of the refusal.
    pub at: Option<String>,
}

/// A list of repositories, by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RepositoryList {
    /// The repositories.
    pub repositories: Vec<RepositoryView>,
    /// `cursor` of the next part; null at the end.
    pub next_cursor: Option<String>,
}

/// Polls for missed pushes, and checks of tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReconcileView {
    /// `namespace/name`.
    pub repository: String,
    /// The polls of its refs; null before the first.
    pub pushes: Option<RefPollView>,
    /// Tags that do not name the image that they should.
    pub tags: Vec<TagNote>,
}

/// Polls of a repository's refs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefPollView {
    /// Time of the last successful poll.
    pub seen_at: Option<String>,
    /// Time of the next poll.
    pub next_at: Option<String>,
    /// The failure of the last poll.
    pub problem: Option<String>,
}

/// A tag that does not name the image that it should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TagNote {
    /// The reference.
    pub tag: String,
    /// The finding.
    pub note: String,
}

/// The base images of a repository's newest builds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BaseImagesView {
    /// `namespace/name`.
    pub repository: String,
    /// Whether builds are repeated when a base image changes.
    pub rebuild: bool,
    /// The images.
    pub base_images: Vec<SeenBaseImage>,
}

/// A base image, and the last poll of its tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeenBaseImage {
    /// The reference.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The platform.
    pub platform: String,
    /// Digest of the platform's manifest.
    pub digest: Option<String>,
    /// Time of the last successful poll.
    pub seen_at: Option<String>,
    /// The failure of the last poll.
    pub problem: Option<String>,
}

/// Figures of the builds that a repository asked for in the last day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsageView {
    /// `namespace/name`.
    pub repository: String,
    /// The beginning of the day.
    pub since: Option<String>,
    /// Number of builds.
    pub builds: i64,
    /// Milliseconds of processor time.
    pub cpu_ms: i64,
    /// Milliseconds from the first attempts to the ends.
    pub duration_ms: i64,
}

/// The names of a repository's secrets; values are never shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretList {
    /// The secrets.
    pub secrets: Vec<SecretName>,
}

/// The name of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretName {
    /// The name.
    pub name: String,
}

/// A secret that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretWritten {
    /// Its name.
    pub name: String,
    /// A warning about its length.
    pub warning: Option<String>,
}

impl RepositoryView {
    /// Returns all of a repository.
    pub(crate) fn new(entry: &Entry, settings: &Settings) -> RepositoryView {
        let name = &entry.document.name;
        let forge = entry.repository.forge.as_deref().and_then(|host| settings.forges.named(host));
        let hook =
            forge.map_or_else(|| settings.forges.hook_name(&entry.repository.clone_url), |it| it.kind.hook_name());
        let url = |rest: &str| format!("{}/{rest}", settings.public_url);
        let meta = RepositoryMeta {
            defined_in: if entry.version.is_some() { "api" } else { "file" }.to_owned(),
            has_secret: !entry.repository.keys.is_empty(),
            rules: entry.repository.rules.iter().map(|rule| rule.name.clone()).collect(),
            links: RepositoryLinks {
                this: url(&format!("v1/repos/{name}")),
                builds: url(&format!("v1/builds?repo={name}")),
                reconcile: url(&format!("v1/repos/{name}/reconcile")),
                badge: url(&format!("badges/{name}.svg")),
                hook: url(&format!("hooks/{hook}")),
            },
            problems: None,
        };
        RepositoryView { document: entry.document.clone(), meta }
    }
}

impl From<&Refusal> for RepositoryStatusProblem {
    fn from(refusal: &Refusal) -> RepositoryStatusProblem {
        let StatusProblem { problem, at } = StatusProblem::from(refusal);
        RepositoryStatusProblem { problem, build: refusal.build.as_str().to_owned(), at }
    }
}

impl From<&RefPollState> for RefPollView {
    fn from(state: &RefPollState) -> RefPollView {
        RefPollView {
            seen_at: state.seen_ms.and_then(moment),
            next_at: moment(state.due_ms),
            problem: state.problem.clone(),
        }
    }
}

impl From<&SeenImage> for SeenBaseImage {
    fn from(seen: &SeenImage) -> SeenBaseImage {
        SeenBaseImage {
            reference: seen.image.reference.clone(),
            platform: seen.image.platform.clone(),
            digest: seen.digest.clone(),
            seen_at: seen.seen_ms.and_then(moment),
            problem: seen.problem.clone(),
        }
    }
}

impl UsageView {
    /// Returns the figures of a repository.
    pub fn new(repository: &str, used: &Usage) -> UsageView {
        UsageView {
            repository: repository.to_owned(),
            since: moment(used.since_ms),
            builds: used.builds,
            cpu_ms: used.cpu_ms,
            duration_ms: used.duration_ms,
        }
    }
}
