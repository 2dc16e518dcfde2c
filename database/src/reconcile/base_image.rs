//! Base images: what their tags name now, so that builds are repeated whose base has changed.
//!
//! The service says which images are looked at and how often, a worker asks their registries, and the service repeats the
//! newest build of each branch that was made from something else.

use crate::access::redaction::redact;
use crate::database::Database;
use crate::error::Error;
use crate::model::build::BUILD;
use crate::model::build::{Build, build};
use crate::model::build_id::BuildId;
use crate::model::trigger::Trigger;
use crate::queue::retry::first_spec;
use crate::sql::clock::millis;
use crate::sql::schema;
use crate::sql::statement::{Row, sql};
use crate::sql::states::{FAILED, SKIPPED, SUCCEEDED};
use std::time::Duration;

/// Most times that the pause is doubled after looks that failed.
const MAX_DOUBLINGS: u32 = 4;
/// How long a worker may take to look at an image: then another looks.
const LEASE_MS: i64 = 60_000;
/// Most builds of a repository that are compared: the newest of so many branches and rules.
const MAX_COMPARED: i64 = 200;

/// An image of a registry, for a platform.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WatchedImage {
    /// The full reference, with a tag.
    pub reference: String,
    /// The platform: `linux/amd64`.
    pub platform: String,
}

/// An image that a worker looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseImageClaim {
    /// The image.
    pub image: WatchedImage,
    /// The digests that it had before.
    pub known: Option<Named>,
    attempt: i64,
}

/// The digests that a tag names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The digest behind the tag itself: of an index, where there is one.
    pub tag: String,
    /// The digest of the platform's manifest.
    pub manifest: String,
}

/// The last known state of a watched image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenImage {
    /// The image.
    pub image: WatchedImage,
    /// Digest of the platform's manifest, once it was seen.
    pub digest: Option<String>,
    /// When it was last seen, in milliseconds since 1970.
    pub seen_ms: Option<i64>,
    /// Why the last look failed, if it did.
    pub problem: Option<String>,
}

impl Database {
    /// Says which images are looked at and how long to pause between two looks; others are not looked at any more.
    pub async fn watch_base_images(&self, all: &[WatchedImage], pause: Duration) -> Result<(), Error> {
        let doing = "noting which base images are looked at";
        let mut transaction = self.begin().await?;
        let text = "SELECT reference, platform FROM base_images ORDER BY reference, platform";
        for row in sql(doing, text).all(transaction.on()).await? {
            let known = WatchedImage { reference: row.get("reference")?, platform: row.get("platform")? };
            if !all.contains(&known) {
                sql(doing, "DELETE FROM base_images WHERE reference = $1 AND platform = $2")
                    .bind(&known.reference)
                    .bind(&known.platform)
                    .run(transaction.on())
                    .await?;
            }
        }
        for image in all {
            sql(
                doing,
                "INSERT INTO base_images (reference, platform, pause_ms, due_ms) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (reference, platform) DO UPDATE SET pause_ms = excluded.pause_ms \
                 WHERE base_images.pause_ms <> excluded.pause_ms",
            )
            .bind(&image.reference)
            .bind(&image.platform)
            .bind(millis(pause))
            .bind(transaction.now_ms)
            .run(transaction.on())
            .await?;
        }
        transaction.announce_work();
        transaction.commit(doing).await
    }

    /// Gives a worker an image whose look is due.
    pub async fn claim_base_image(&self) -> Result<Option<BaseImageClaim>, Error> {
        const DUE: &str = "SELECT reference, platform FROM base_images WHERE due_ms <= $1 ORDER BY due_ms, reference, platform LIMIT 1";
        let doing = "claiming a base image";
        let now = self.now_ms().await?;
        if sql(doing, DUE).bind(now).optional(self.read()).await?.is_none() {
            return Ok(None);
        }
        let mut transaction = self.begin().await?;
        schema::confirm(transaction.on()).await?;
        let due = sql(doing, format!("{DUE} /*+FOR UPDATE SKIP LOCKED*/"));
        let Some(row) = due.bind(transaction.now_ms).optional(transaction.on()).await? else { return Ok(None) };
        let image = WatchedImage { reference: row.get("reference")?, platform: row.get("platform")? };
        let row = sql(
            doing,
            "UPDATE base_images SET attempt = attempt + 1, due_ms = $3 WHERE reference = $1 AND platform = $2 \
             RETURNING attempt, tag_digest, digest",
        )
        .bind(&image.reference)
        .bind(&image.platform)
        .bind(transaction.now_ms + LEASE_MS)
        .one(transaction.on())
        .await?;
        transaction.commit(doing).await?;
        let known = match (row.get("tag_digest")?, row.get("digest")?) {
            (Some(tag), Some(manifest)) => Some(Named { tag, manifest }),
            _ => None,
        };
        Ok(Some(BaseImageClaim { image, known, attempt: row.get("attempt")? }))
    }

    /// Writes what the worker saw, or why it saw nothing: then the next look comes later and later.
    pub async fn finish_base_image(&self, claim: &BaseImageClaim, seen: &Result<Named, String>) -> Result<(), Error> {
        let doing = "writing what a tag names";
        let now = self.now_ms().await?;
        let statement = match seen {
            Ok(named) => sql(
                doing,
                "UPDATE base_images SET tag_digest = $5, digest = $6, seen_ms = $4, due_ms = $4 + pause_ms, failures = 0, \
                 problem = NULL WHERE reference = $1 AND platform = $2 AND attempt = $3",
            )
            .bind(&claim.image.reference)
            .bind(&claim.image.platform)
            .bind(claim.attempt)
            .bind(now)
            .bind(&named.tag)
            .bind(&named.manifest),
            Err(problem) => sql(
                doing,
                format!(
                    "UPDATE base_images SET problem = $5, failures = failures + 1, due_ms = $4 + pause_ms * \
                     (1 << CAST(CASE WHEN failures < {MAX_DOUBLINGS} THEN failures ELSE {MAX_DOUBLINGS} END AS INTEGER)) \
                     WHERE reference = $1 AND platform = $2 AND attempt = $3"
                ),
            )
            .bind(&claim.image.reference)
            .bind(&claim.image.platform)
            .bind(claim.attempt)
            .bind(now)
            .bind(redact(problem).into_owned()),
        };
        if statement.run(self.write()).await? == 0 { Err(Error::LeaseLost) } else { Ok(()) }
    }

    /// Returns what is known of all images that are looked at.
    pub async fn seen_base_images(&self) -> Result<Vec<SeenImage>, Error> {
        let text = "SELECT reference, platform, digest, seen_ms, problem FROM base_images ORDER BY reference, platform";
        let rows = sql("reading base images", text).all(self.read()).await?;
        let read = |row: &Row| {
            let image = WatchedImage { reference: row.get("reference")?, platform: row.get("platform")? };
            Ok(SeenImage {
                image,
                digest: row.get("digest")?,
                seen_ms: row.get("seen_ms")?,
                problem: row.get("problem")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Returns the newest build of each branch and rule of a repository, where that succeeded and pushed an image that was
    /// made from others.
    pub async fn based_builds(&self, repository: &str) -> Result<Vec<Build>, Error> {
        let newest = newest();
        let text = format!(
            "SELECT {BUILD} FROM builds b WHERE b.repository = $1 AND b.state = {SUCCEEDED} AND b.git_ref LIKE 'refs/heads/%' \
             AND b.image_json LIKE '%\"base_images\":[{{%' AND {newest} ORDER BY b.id DESC LIMIT $2"
        );
        let rows = sql("reading builds", text).bind(repository).bind(MAX_COMPARED).all(self.read()).await?;
        let builds = rows.iter().map(build).collect::<Result<Vec<_>, _>>()?;
        Ok(builds.into_iter().filter(|build| build.request.spec.push && build.request.spec.options.trusted).collect())
    }

    /// Returns the newest builds of each branch and rule of a repository that pushed an image, or failed to make one.
    pub async fn newest_builds(&self, repository: &str) -> Result<Vec<Build>, Error> {
        let newest = newest();
        let text = format!(
            "SELECT {BUILD} FROM builds b WHERE b.repository = $1 AND b.state IN ({SUCCEEDED}, {FAILED}) \
             AND b.git_ref LIKE 'refs/heads/%' AND {newest} ORDER BY b.id DESC LIMIT $2"
        );
        let rows = sql("reading builds", text).bind(repository).bind(MAX_COMPARED).all(self.read()).await?;
        let builds = rows.iter().map(build).collect::<Result<Vec<_>, _>>()?;
        Ok(builds.into_iter().filter(|build| build.request.spec.push && build.request.spec.options.trusted).collect())
    }

    /// Returns when a repository last pushed an image that is another one than that of the build before it of the same
    /// rule and ref, in milliseconds since 1970.
    pub async fn image_changed_ms(&self, repository: &str) -> Result<Option<i64>, Error> {
        let text = format!(
            "SELECT {BUILD} FROM builds b WHERE b.repository = $1 AND b.state = {SUCCEEDED} ORDER BY b.id DESC LIMIT $2"
        );
        let rows = sql("reading builds", text).bind(repository).bind(MAX_COMPARED).all(self.read()).await?;
        let mut builds = rows.iter().map(build).collect::<Result<Vec<_>, _>>()?;
        builds.retain(|build| build.request.spec.push && build.request.spec.options.trusted);
        let digest = |build: &Build| build.image.as_ref().map(|image| image.digest.clone());
        let of_one = |one: &Build, other: &Build| {
            one.request.rule == other.request.rule && one.request.spec.git_ref == other.request.spec.git_ref
        };
        let is_other = |at: usize| {
            let before = builds[at + 1..].iter().find(|before| of_one(before, &builds[at]));
            before.is_none_or(|before| digest(before) != digest(&builds[at]))
        };
        Ok((0..builds.len()).filter(|at| is_other(*at)).filter_map(|at| builds[at].finished_ms).max())
    }

    /// Repeats a build because of `trigger`; `None` if a newer one was begun meanwhile.
    pub async fn rebuild(&self, id: &BuildId, trigger: Trigger) -> Result<Option<BuildId>, Error> {
        let doing = "repeating a build";
        let mut transaction = self.begin_accepting().await?;
        let text = format!("SELECT 1 FROM builds b WHERE b.id = $1 AND {}", newest());
        if sql(doing, text).bind(id.as_str()).optional(transaction.on()).await?.is_none() {
            return Ok(None);
        }
        // That somebody wanted no cache was for that build only.
        let use_cache = first_spec(&mut transaction, id).await?.use_cache;
        let rebuilt = self.repeat(&mut transaction, id, |request| {
            request.trigger = trigger;
            request.spec.use_cache = use_cache;
            // A rollback took an image as it was: this one is to stand on the new images.
            request.spec.options.image = None;
        });
        let rebuilt = rebuilt.await?;
        transaction.commit(doing).await?;
        Ok(Some(rebuilt))
    }
}

/// A build `b` that no newer one of its branch and rule follows but such as found nothing to build.
fn newest() -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM builds n WHERE n.repository = b.repository AND n.rule = b.rule \
     AND n.git_ref = b.git_ref AND n.id > b.id AND n.state <> {SKIPPED})"
    )
}
