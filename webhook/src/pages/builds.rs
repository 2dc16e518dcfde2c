//! The first page: builds, filtered and searched by the address, newest first.

use super::live;
use super::mark::Mark;
use super::page::{Live, Page, admit};
use super::rows::Rows;
use crate::api::builds::{digits, tag};
use crate::api::query::query;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::code::Code;
use crate::view::text::plain;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use database::{Build, BuildFilter, BuildId, BuildSearch, BuildState};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

/// Builds on the page.
const MAX_LISTED: u32 = 50;
/// Groups of states: name in the address, heading, states.
const GROUPS: [(&str, &str, &[BuildState]); 5] = [
    ("running", "Running", &[BuildState::Preparing, BuildState::Building, BuildState::Pushing]),
    ("queued", "Queued", &[BuildState::Queued]),
    ("failed", "Failed", &[BuildState::Failed, BuildState::TimedOut, BuildState::Errored]),
    ("succeeded", "Succeeded", &[BuildState::Succeeded]),
    ("unbuilt", "Not built", &[BuildState::Skipped, BuildState::Superseded, BuildState::Cancelled]),
];
/// Name in the address of builds that wait for approval.
const HELD: &str = "held";

/// The query of the page.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ListQuery {
    q: String,
    repo: String,
    #[serde(rename = "ref")]
    git_ref: String,
    author: String,
    commit: String,
    tag: String,
    state: String,
    before: String,
}

impl ListQuery {
    fn filter(&self, caller: &Caller) -> Result<BuildFilter, Problem> {
        let given = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
        let before = given(&self.before).map(|text| {
            BuildId::parse(&text).ok_or_else(|| Problem::new(Code::InvalidCursor, "`before` is not the id of a build"))
        });
        let search = BuildSearch {
            states: self.states()?,
            refs: given(&self.git_ref).map(refs).unwrap_or_default(),
            awaits_approval: match self.state.as_str() {
                HELD => Some(true),
                "queued" => Some(false),
                _ => None,
            },
            author: given(&self.author),
            text: given(&self.q),
        };
        Ok(BuildFilter {
            repository: given(&self.repo),
            among: caller.only(),
            commit: given(&self.commit).map(digits).transpose()?,
            tag: given(&self.tag).map(tag).transpose()?,
            before: before.transpose()?,
            search,
            limit: MAX_LISTED,
            ..BuildFilter::default()
        })
    }

    fn states(&self) -> Result<Vec<BuildState>, Problem> {
        if self.state.is_empty() {
            return Ok(Vec::new());
        }
        if self.state == HELD {
            return Ok(vec![BuildState::Queued]);
        }
        if let Some((_, _, states)) = GROUPS.iter().find(|(name, _, _)| *name == self.state) {
            return Ok(states.to_vec());
        }
        let known = || GROUPS.map(|(name, _, _)| name).join(", ");
        let state = BuildState::parse(&self.state);
        let unknown = || {
            Problem::new(Code::InvalidState, format!("`{}` is not a state: there are {HELD}, {}", self.state, known()))
        };
        Ok(vec![state.ok_or_else(unknown)?])
    }

    /// Tells whether less than everything is asked for.
    fn is_narrow(&self) -> bool {
        [&self.q, &self.repo, &self.git_ref, &self.author, &self.commit, &self.tag, &self.state, &self.before]
            .iter()
            .any(|text| !text.is_empty())
    }

    /// Returns the address of a list, without what is not asked for.
    fn address(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let fields = [
            ("q", &self.q),
            ("repo", &self.repo),
            ("ref", &self.git_ref),
            ("author", &self.author),
            ("commit", &self.commit),
            ("tag", &self.tag),
            ("state", &self.state),
            ("before", &self.before),
        ];
        fields.into_iter().filter(|(_, value)| !value.is_empty()).for_each(|(name, value)| {
            query.append_pair(name, value);
        });
        let query = query.finish();
        if query.is_empty() { "/".to_owned() } else { format!("/?{query}") }
    }

    /// Returns the same for another state, from the newest one on.
    fn with_state(&self, state: &str) -> ListQuery {
        ListQuery { state: state.to_owned(), before: String::new(), ..self.clone() }
    }
}

/// Returns the full names that a branch or tag may have.
fn refs(name: String) -> Vec<String> {
    if name.starts_with("refs/") { vec![name] } else { vec![format!("refs/heads/{name}"), format!("refs/tags/{name}")] }
}

/// A part of the list.
struct Found {
    rows: Rows,
    open: usize,
    next: Option<BuildId>,
    is_paused: bool,
}

impl Found {
    async fn read(service: &Service, caller: &Caller, wanted: &ListQuery) -> Result<Found, Problem> {
        let page = service.database.page_of_builds(&wanted.filter(caller)?).await?;
        let seen: Vec<Build> = page.builds.into_iter().filter(|build| caller.sees(&build.request.repository)).collect();
        let open = seen.iter().filter(|build| Mark::of_build(build).is_running()).count();
        let is_paused = service.database.is_queue_paused().await?;
        Ok(Found { rows: Rows::read(service, seen).await?, open, next: page.next, is_paused })
    }

    fn version(&self) -> String {
        live::version(&format!("{} {}", self.rows.version(), self.is_paused))
    }
}

/// Shows builds, or streams when the list changes.
pub(crate) async fn list(
    State(service): State<Service>,
    caller: Caller,
    headers: HeaderMap,
    wanted: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    admit(&caller)?;
    let wanted = query(wanted)?;
    if live::is_wanted(&headers) {
        let seen = service.clone();
        return Ok(live::follow(&service, move || {
            let (service, caller, wanted) = (seen.clone(), caller.clone(), wanted.clone());
            async move { Ok(Found::read(&service, &caller, &wanted).await?.version()) }
        }));
    }
    let found = Found::read(&service, &caller, &wanted).await?;
    let all = service.catalog.all(&service.database).await?;
    let names: Vec<&str> =
        all.iter().map(|entry| entry.document.name.as_str()).filter(|name| caller.sees(name)).collect();
    let older = found.next.as_ref().map(|id| ListQuery { before: id.as_str().to_owned(), ..wanted.clone() });
    let content = html! {
        h1 { "Builds" }
        (tabs(&wanted))
        (search(&wanted, &names))
        div #list data-part data-version=(found.version()) {
            @if found.is_paused { p.notice { "The queue is paused: new builds wait until somebody resumes it." } }
            (found.rows.shown())
            @if found.rows.is_empty() { (nothing(&wanted)) }
            nav.older aria-label="Pages" {
                @if !wanted.before.is_empty() { a.btn href=(ListQuery { before: String::new(), ..wanted.clone() }.address()) { "Newest builds" } }
                @if let Some(older) = older { a.btn rel="next" href=(older.address()) { "Older builds" } }
            }
        }
    };
    let title = if found.open > 0 { format!("({} running) Builds", found.open) } else { "Builds".to_owned() };
    let mark = (found.open > 0).then(|| Mark::of_state(BuildState::Building).unsigned());
    Ok(Page { title: &title, part: "Builds", viewer: Some(&caller), mark, live: Live::List }.around(&content))
}

fn nothing(wanted: &ListQuery) -> Markup {
    html! {
        p.empty {
            @if wanted.is_narrow() { "No build is like that. " a href="/" { "All builds" } }
            @else { "Nothing has been built yet. Push to a repository, or start a build on the page of one." }
        }
    }
}

fn tabs(wanted: &ListQuery) -> Markup {
    let groups = GROUPS.map(|(name, title, _)| (name, title));
    let all = [("", "All"), (HELD, "Needs approval")].into_iter().chain(groups);
    html! {
        nav.tabs aria-label="State" {
            @for (name, title) in all {
                a aria-current=[(wanted.state == name).then_some("true")] href=(wanted.with_state(name).address()) { (title) }
            }
        }
    }
}

fn search(wanted: &ListQuery, names: &[&str]) -> Markup {
    let more = !wanted.commit.is_empty() || !wanted.tag.is_empty() || !wanted.author.is_empty();
    html! {
        form.filter role="search" action="/" {
            @if !wanted.state.is_empty() { input type="hidden" name="state" value=(wanted.state); }
            label.vh for="q" { "Search builds" }
            input #q type="search" name="q" value=(plain(wanted.q.as_bytes())) placeholder="Message, ref, author, commit or #number" autocomplete="off";
            label.vh for="repo" { "Repository" }
            select #repo name="repo" {
                option value="" { "Any repository" }
                @for name in names { option value=(name) selected[*name == wanted.repo] { (name) } }
            }
            (field("ref", "Branch or tag", &wanted.git_ref))
            details.more open[more] {
                summary { "More" }
                (field("author", "Author", &wanted.author))
                (field("commit", "Commit", &wanted.commit))
                (field("tag", "Image tag", &wanted.tag))
            }
            button { "Filter" }
        }
    }
}

fn field(name: &str, label: &str, value: &str) -> Markup {
    html! {
        label.vh for=(name) { (label) }
        input id=(name) name=(name) value=(plain(value.as_bytes())) placeholder=(label) autocomplete="off" spellcheck="false";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_what_is_asked_for_and_nothing_else() {
        assert_eq!(ListQuery::default().address(), "/");
        let wanted = ListQuery {
            q: "a b&c".to_owned(),
            git_ref: "main".to_owned(),
            before: "x".to_owned(),
            ..ListQuery::default()
        };
        assert_eq!(wanted.address(), "/?q=a+b%26c&ref=main&before=x");
        assert_eq!(wanted.with_state("failed").address(), "/?q=a+b%26c&ref=main&state=failed");
        assert!(wanted.states().unwrap().is_empty() && ListQuery::default().with_state("nosuch").states().is_err());
        assert_eq!(ListQuery::default().with_state("failed").states().unwrap().len(), 3);
    }
}
