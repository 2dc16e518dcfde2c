//! Pages of the embedded registry, for administrators: repositories, tags and who built them, rights, what changed, and deleted
//! tags that can be put back.

use super::form::{Posted, button, see_other};
use super::moment::time;
use super::page::{Live, Page};
use super::registry_images::{RegistryRepository, RegistryTag};
use super::words::{build_link, count, size};
use crate::api::query::query;
use crate::configuration::settings::Scope;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::intake::catalog::Entry;
use crate::view::code::Code;
use crate::view::text::plain;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use database::{Build, BuildFilter, BuildState, Change, ChangeFilter, Right};
use maud::{Markup, html};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;

/// Repositories of a page.
const MAX_REPOSITORIES: usize = 200;
/// Tags of a page.
const MAX_TAGS: usize = 100;
/// Changes of a page.
const MAX_CHANGES: i64 = 30;
/// Builds that are looked through for those that made the tags.
const MAX_BUILDS: u32 = 200;

/// Words to look for in names.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SearchQuery {
    q: String,
}

/// The name of a repository.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NameQuery {
    name: String,
}

/// Lists the repositories.
pub(crate) async fn list(
    State(service): State<Service>,
    caller: Caller,
    wanted: Result<Query<SearchQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let words = query(wanted)?.q;
    let images = service.registry.clone();
    let mut names = blocking(move || images.repositories()).await?;
    names.retain(|name| name.contains(words.trim()));
    let total = names.len();
    let content = html! {
        h1 { "Registry" }
        form.filter action="/registry" {
            label.vh for="q" { "Search" }
            input #q type="search" name="q" value=(words) placeholder="Search repositories";
            button { "Search" }
        }
        @if names.is_empty() {
            p.empty { @if words.is_empty() { "Nothing has been pushed yet." } @else { "No repository is called like that." } }
        } @else {
            table.cards {
                thead { tr { th { "Repository" } th { "Pull" } } }
                tbody {
                    @for name in names.iter().take(MAX_REPOSITORIES) {
                        tr {
                            td { a.go href=(address(name)) { (plain(name.as_bytes())) } }
                            td.wide { code { "docker pull " (service.registry.host()) "/" (plain(name.as_bytes())) } }
                        }
                    }
                }
            }
            @if total > MAX_REPOSITORIES { p.hint { "The first " (MAX_REPOSITORIES) " of " (total) " are shown: search for the others." } }
        }
    };
    Ok(page("Registry", &caller, &content))
}

/// Shows a repository.
pub(crate) async fn show(
    State(service): State<Service>,
    caller: Caller,
    wanted: Result<Query<NameQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let name = query(wanted)?.name;
    let (images, wanted) = (service.registry.clone(), name.clone());
    let found = blocking(move || images.repository(&wanted, MAX_TAGS)).await?;
    if found.total == 0 && found.deleted.is_empty() {
        return Err(Problem::new(Code::NotFound, format!("the registry has no repository `{name}`")));
    }
    let builders = builders(&service, &name).await?;
    let changes = ChangeFilter { repository: Some(name.clone()), ..ChangeFilter::default() };
    let changes = service.database.changes(&changes, MAX_CHANGES).await?;
    let mut rights = service.database.rights().await?;
    rights.retain(|right| matches(&right.pattern, &name));
    let reference = format!("{}/{name}", service.registry.host());
    let first = found.tags.first().map_or("latest", |tag| tag.name.as_str());
    let content = html! {
        div.head { h1 { (plain(name.as_bytes())) } span.dim { (size(found.size)) " in " (count(found.total as i64, "tag")) } }
        div.cmd { code { "docker pull " (reference) ":" (plain(first.as_bytes())) } button.copy.scripted hidden type="button" { "Copy" } }
        h2 { "Tags" }
        (tags(&found, &builders))
        @if !found.deleted.is_empty() { h2 #deleted { "Deleted tags" } (deleted(&caller, &name, &found)) }
        h2 { "Retention" }
        p { @match &found.retention { Some(words) => (plain(words.as_bytes())), None => "All tags are kept." } }
        h2 { "Rights" }
        (rights_of(&rights))
        h2 { "What changed" }
        (changed(&changes))
    };
    Ok(page(&name, &caller, &content))
}

/// Puts a deleted tag back.
pub(crate) async fn restore(State(service): State<Service>, posted: Posted) -> Result<Response, Problem> {
    let by = posted.caller.require_everywhere(Scope::Admin)?.name.clone();
    let (name, reference) = (posted.fields.get("repository").to_owned(), posted.fields.get("reference").to_owned());
    crate::api::registry_images::restored(&service, name.clone(), reference, by).await?;
    Ok(see_other(&address(&name)))
}

/// Returns the address of a repository's page.
fn address(name: &str) -> String {
    let name: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
    format!("/registry/repository?name={name}")
}

fn page(title: &str, caller: &Caller, content: &Markup) -> Response {
    Page { title, part: "Registry", viewer: Some(caller), mark: None, live: Live::No }.around(content)
}

async fn blocking<T: Send + 'static>(read: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(problem)) => Err(Problem::new(Code::NotFound, problem)),
        Err(_) => Err(Problem::database_unavailable()),
    }
}

/// Returns the newest builds that pushed to a repository of the registry, by digest.
async fn builders(service: &Service, name: &str) -> Result<HashMap<String, Build>, Problem> {
    let (suffix, tagged) = (format!("/{name}"), format!("/{name}:"));
    let entries = service.catalog.all(&service.database).await?;
    let mut found = HashMap::new();
    // A repository's own file may name images that the server does not know.
    let may_push = |entry: &&Arc<Entry>| {
        entry.repository.own_rules.is_some() || entry.repository.images().iter().any(|image| image.ends_with(&suffix))
    };
    for entry in entries.iter().filter(may_push) {
        let filter = BuildFilter {
            repository: Some(entry.document.name.clone()),
            state: Some(BuildState::Succeeded),
            limit: MAX_BUILDS,
            ..BuildFilter::default()
        };
        for build in service.database.builds(&filter).await? {
            let image = build.image.as_ref().filter(|image| image.tags.iter().any(|tag| tag.contains(&tagged)));
            if let Some(digest) = image.map(|image| image.digest.clone()) {
                found.insert(digest, build);
            }
        }
    }
    Ok(found)
}

fn tags(found: &RegistryRepository, builders: &HashMap<String, Build>) -> Markup {
    html! {
        @if found.tags.is_empty() { p.empty { "No tag is there." } } @else {
            table.cards {
                thead { tr { th { "Tag" } th { "Digest" } th { "Platforms" } th { "Built by" } th.num { "Layers" } th.num { "Size" } th.num { "Set" } } }
                tbody { @for tag in &found.tags { (tag_row(tag, builders.get(&tag.digest))) } }
            }
            @if found.total > found.tags.len() { p.hint { "The newest " (found.tags.len()) " of " (found.total) " tags." } }
        }
    }
}

fn tag_row(tag: &RegistryTag, build: Option<&Build>) -> Markup {
    html! {
        tr {
            td { code.tag { (plain(tag.name.as_bytes())) } }
            td { code title=(tag.digest) { (tag.digest.get(..19).unwrap_or(&tag.digest)) } }
            td { (tag.platforms.join(", ")) }
            td.wide {
                @if let Some(build) = build {
                    (build_link(build)) " "
                    span.dim { (plain(build.request.commit_message.as_bytes())) }
                }
            }
            td.num { (tag.layers) }
            td.num { (size(tag.size)) }
            td.num { (time(tag.set_ms)) }
        }
    }
}

fn deleted(caller: &Caller, name: &str, found: &RegistryRepository) -> Markup {
    html! {
        table.cards {
            thead { tr { th { "Tag" } th { "Digest" } th.num { "Can be restored" } th { span.vh { "Actions" } } } }
            tbody {
                @for tag in &found.deleted {
                    tr {
                        td { code.tag { (plain(tag.name.as_bytes())) } }
                        td { code title=(tag.digest) { (tag.digest.get(..19).unwrap_or(&tag.digest)) } }
                        td.num { (time(tag.until_ms)) }
                        td { (button(caller, "/registry-restore", &html! {
                            input type="hidden" name="repository" value=(name);
                            input type="hidden" name="reference" value=(tag.name);
                            button aria-label=(format!("Restore {}", tag.name)) { "Restore" }
                        })) }
                    }
                }
            }
        }
    }
}

fn rights_of(rights: &[Right]) -> Markup {
    html! {
        @if rights.is_empty() { p.empty { "No account has a right of its own here." } } @else {
            table.cards {
                thead { tr { th { "Who" } th { "Pattern" } th { "May" } } }
                tbody {
                    @for right in rights {
                        tr {
                            td { @if right.account.is_empty() { "everybody" } @else { (plain(right.account.as_bytes())) } }
                            td { code { (plain(right.pattern.as_bytes())) } }
                            td { (right.actions) }
                        }
                    }
                }
            }
        }
    }
}

fn changed(changes: &[Change]) -> Markup {
    html! {
        @if changes.is_empty() { p.empty { "Nothing is recorded." } } @else {
            table.cards {
                thead { tr { th { "What" } th { "Tag or digest" } th { "Who" } th.num { "When" } } }
                tbody {
                    @for change in changes {
                        tr {
                            td { (change.action) }
                            td.wide { code { (plain(change.reference.as_bytes())) } }
                            td { @if change.account.is_empty() { span.dim { (change.address) } } @else { (plain(change.account.as_bytes())) } }
                            td.num { (time(change.at_ms)) }
                        }
                    }
                }
            }
        }
    }
}

/// Tells whether a pattern of rights stands for a repository: `*` is a part of a path, `**` any number of parts.
fn matches(pattern: &str, name: &str) -> bool {
    fn rest(pattern: &[&str], name: &[&str]) -> bool {
        match (pattern.first(), name.first()) {
            (None, None) => true,
            (Some(&"**"), _) => rest(&pattern[1..], name) || (!name.is_empty() && rest(pattern, &name[1..])),
            (Some(&"*"), Some(_)) => rest(&pattern[1..], &name[1..]),
            (Some(one), Some(other)) if one == other => rest(&pattern[1..], &name[1..]),
            _ => false,
        }
    }
    rest(&pattern.split('/').collect::<Vec<_>>(), &name.split('/').collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_parts_of_a_path() {
        for (pattern, name, does) in [
            ("team/app", "team/app", true),
            ("team/*", "team/app", true),
            ("team/*", "team/app/x", false),
            ("**", "team/app/x", true),
            ("team/**", "team", true),
            ("*/app", "team/web", false),
        ] {
            assert_eq!(matches(pattern, name), does, "{pattern} {name}");
        }
    }
}
