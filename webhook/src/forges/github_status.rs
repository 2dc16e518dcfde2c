//! Commit statuses on GitHub, by octocrab.

use super::status::{Status, StatusApi, StatusError, StatusState};
use crate::configuration::settings::GithubApi;
use crate::view::text::plain;
use futures::FutureExt;
use futures::future::BoxFuture;
use octocrab::Octocrab;
use std::time::Duration;
use url::Url;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Longest answer of a forge that is kept.
const MAX_PROBLEM: usize = 500;
/// Host of github.com's repositories.
const GITHUB: &str = "github.com";
/// The same with the prefix of web servers.
const WWW_GITHUB: &str = "www.github.com";

/// A GitHub that takes statuses: github.com, or a company's own.
pub struct GithubStatuses {
    client: Octocrab,
    hosts: Hosts,
}

impl GithubStatuses {
    /// Prepares the client; `None` without a token, because GitHub takes no anonymous statuses.
    pub fn new(api: &GithubApi) -> Result<Option<GithubStatuses>, octocrab::Error> {
        let Some(token) = &api.token else { return Ok(None) };
        // Another crate may have chosen the same provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Octocrab::builder().base_uri(api.api_url.as_str())?.personal_token(token.clone()).build()?;
        Ok(Some(GithubStatuses { client, hosts: Hosts::of(&api.api_url) }))
    }

    async fn send(&self, status: Status<'_>) -> Result<(), StatusError> {
        let Some((owner, name)) = status.repository.split_once('/') else {
            let detail = format!("`{}` is not `owner/name`: set `forge_name`", status.repository);
            return Err(StatusError::Refused(detail));
        };
        let sending = async {
            let repos = self.client.repos(owner, name);
            let builder = repos.create_status(status.commit.to_owned(), state(status.state));
            builder.target(status.target_url).description(status.description).context(status.context).send().await
        };
        match tokio::time::timeout(TIMEOUT, sending).await {
            Ok(Ok(_)) => Ok(()),
            // It was accepted: the rest of the answer is not needed, and servers differ in it.
            Ok(Err(octocrab::Error::Json { .. } | octocrab::Error::Serde { .. })) => Ok(()),
            Ok(Err(error)) if is_final(&error) => Err(StatusError::Refused(words(&error))),
            Ok(Err(error)) => Err(StatusError::Unavailable(words(&error))),
            Err(_) => Err(StatusError::Unavailable(format!("no answer within {} seconds", TIMEOUT.as_secs()))),
        }
    }
}

impl StatusApi for GithubStatuses {
    fn serves(&self, delivered_by: Option<&str>, clone_url: &str) -> bool {
        self.hosts.serve(delivered_by, clone_url)
    }

    fn publish<'a>(&'a self, status: Status<'a>) -> BoxFuture<'a, Result<(), StatusError>> {
        self.send(status).boxed()
    }
}

/// The hosts of a GitHub, as its API's URL names them.
#[derive(Debug, Clone)]
struct Hosts {
    /// Host of the API.
    api: String,
    /// Host of the repositories.
    web: String,
}

impl Hosts {
    /// Reads the URL of an API: `https://api.github.com`, `https://github.example.com/api/v3` or `https://api.example.ghe.com`.
    fn of(api_url: &str) -> Hosts {
        let api = host(api_url);
        let web = api.strip_prefix("api.").unwrap_or(&api).to_owned();
        Hosts { api, web }
    }

    fn serve(&self, delivered_by: Option<&str>, clone_url: &str) -> bool {
        let host = host(clone_url);
        let is_its_host = [&self.api, &self.web].contains(&&host) || host == format!("www.{}", self.web);
        match delivered_by {
            // All GitHub servers deliver alike, but a company's own are not github.com.
            Some("github") => is_its_host || self.web != GITHUB && host != GITHUB && host != WWW_GITHUB,
            Some(_) => false,
            None => is_its_host,
        }
    }
}

fn host(url: &str) -> String {
    let url = Url::parse(url).ok();
    url.and_then(|url| url.host_str().map(|host| host.trim_end_matches('.').to_ascii_lowercase())).unwrap_or_default()
}

/// Returns a refusal in the forge's own words.
fn words(error: &octocrab::Error) -> String {
    let text = match error {
        octocrab::Error::GitHub { source, .. } => {
            let more =
                source.errors.iter().flatten().map(|one| match one.get("message").and_then(|text| text.as_str()) {
                    Some(text) => text.to_owned(),
                    None => one.to_string(),
                });
            let more: Vec<String> = more.collect();
            let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join("; ")) };
            format!("HTTP {}: {}{more}", source.status_code.as_u16(), source.message)
        }
        other => {
            let mut cause: &dyn std::error::Error = other;
            while let Some(inner) = cause.source() {
                cause = inner;
            }
            cause.to_string()
        }
    };
    let text = plain(database::redact(&text).as_bytes()).replace('\n', " ");
    text.chars().take(MAX_PROBLEM).collect()
}

/// Tells whether asking again would get the same answer.
fn is_final(error: &octocrab::Error) -> bool {
    matches!(error, octocrab::Error::GitHub { source, .. } if source.status_code.is_client_error() && source.status_code.as_u16() != 429 && source.status_code.as_u16() != 403)
}

fn state(state: StatusState) -> octocrab::models::StatusState {
    match state {
        StatusState::Pending => octocrab::models::StatusState::Pending,
        StatusState::Success => octocrab::models::StatusState::Success,
        StatusState::Failure => octocrab::models::StatusState::Failure,
        StatusState::Error => octocrab::models::StatusState::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_go_to_the_forge_that_knows_the_commit() {
        let github = "https://api.github.com";
        let company = "https://git.example.com/api/v3/";
        let cases = [
            (github, Some("github"), "https://github.com/a/b.git", true),
            (github, None, "https://GitHub.com/a/b", true),
            (github, None, "https://gitlab.com/a/b.git", false),
            (github, Some("gitlab"), "https://gitlab.com/a/b.git", false),
            (github, Some("gitea"), "https://github.com/a/b.git", false),
            (github, Some("bitbucket"), "https://bitbucket.org/a/b.git", false),
            (github, Some("github"), "https://git.example.com/a/b.git", false),
            (company, Some("github"), "https://git.example.com/a/b.git", true),
            (company, None, "https://git.example.com:8443/a/b.git", true),
            (company, Some("github"), "https://github.com/a/b.git", false),
            (company, None, "https://github.com/a/b.git", false),
            (company, Some("github"), "https://mirror.example.com/a/b.git", true),
            ("https://api.corp.ghe.com", None, "https://corp.ghe.com/a/b.git", true),
            ("https://api.corp.ghe.com", None, "https://other.ghe.com/a/b.git", false),
        ];
        for (api, delivered_by, clone_url, expected) in cases {
            assert_eq!(Hosts::of(api).serve(delivered_by, clone_url), expected, "{api} {delivered_by:?} {clone_url}");
        }
    }
}
