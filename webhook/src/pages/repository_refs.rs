//! The state of each branch and tag of a repository, with the builds before.

use super::mark::Mark;
use super::moment::time;
use super::words::{short, size, split_ref, took};
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::text::plain;
use database::{Build, BuildFilter};
use maud::{Markup, html};

/// Builds that are looked through.
const MAX_BUILDS: u32 = 200;
/// Branches and tags that are shown.
const MAX_REFS: usize = 12;
/// Builds that are shown of each.
const MAX_EACH: usize = 7;

/// Branches and tags with their newest builds, the newest first.
pub(super) struct Refs(Vec<Vec<Build>>);

impl Refs {
    /// Reads the newest builds of a repository's branches and tags.
    pub(super) async fn read(service: &Service, repository: &str) -> Result<Refs, Problem> {
        let filter = BuildFilter {
            repository: Some(repository.to_owned()),
            is_of_repository: true,
            limit: MAX_BUILDS,
            ..BuildFilter::default()
        };
        let mut refs: Vec<Vec<Build>> = Vec::new();
        for build in service.database.builds(&filter).await? {
            let git_ref = &build.request.spec.git_ref;
            let is_full = refs.len() >= MAX_REFS;
            match refs.iter_mut().find(|known| known[0].request.spec.git_ref == *git_ref) {
                Some(known) if known.len() < MAX_EACH => known.push(build),
                Some(_) => {}
                None if !is_full => refs.push(vec![build]),
                None => {}
            }
        }
        Ok(Refs(refs))
    }

    /// Returns the table; nothing where there are no builds.
    pub(super) fn shown(&self, repository: &str) -> Markup {
        if self.0.is_empty() {
            return html! {};
        }
        html! {
            h2 { "Branches and tags" }
            table.cards {
                thead { tr { th { "State" } th { "Ref" } th { "Commit" } th { "Builds before" } th.num { "Took" } th.num { "Size" } th.num { "When" } } }
                tbody { @for builds in &self.0 { (row(repository, builds)) } }
            }
        }
    }
}

fn row(repository: &str, builds: &[Build]) -> Markup {
    let newest = &builds[0];
    let (kind, name) = split_ref(&newest.request.spec.git_ref);
    let pushed = builds.iter().find_map(|build| build.image.as_ref());
    html! {
        tr {
            td { a.go href=(format!("/builds/{}", newest.id.as_str())) { (Mark::of_build(newest).label()) } }
            td { a href=(format!("/?repo={repository}&ref={name}")) title=(kind) { (name) } }
            td.wide { code { (short(newest.commit.as_deref())) } " " (plain(newest.request.commit_message.as_bytes())) }
            td {
                span.past {
                    @for build in builds[1..].iter().rev() {
                        a href=(format!("/builds/{}", build.id.as_str())) title=(format!("#{}", build.number)) { (Mark::of_build(build).icon()) }
                    }
                }
            }
            td.num { @if let Some(took) = took(newest) { (took) } }
            td.num { @if let Some(image) = pushed { (size(image.size)) } }
            td.num { (time(newest.created_ms)) }
        }
    }
}
