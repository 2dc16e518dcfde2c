//! Which forge a repository is on: statuses are told to the forge that knows the commit, and to no other.

use url::Url;

/// The forge that statuses are told to, as its API's URL says.
#[derive(Debug, Clone)]
pub struct ToldForge {
    /// Host of the API.
    api: String,
    /// Host of the repositories.
    web: String,
}

impl ToldForge {
    /// Reads the URL of an API: `https://api.github.com`, `https://github.example.com/api/v3` or `https://api.example.ghe.com`.
    pub fn of(api_url: &str) -> ToldForge {
        let api = host(api_url);
        let web = api.strip_prefix("api.").unwrap_or(&api).to_owned();
        ToldForge { api, web }
    }

    /// Tells whether a repository is on this forge: the one that delivers for it says so, or else its URL.
    pub fn has(&self, delivered_by: Option<&str>, clone_url: &str) -> bool {
        let host = host(clone_url);
        let is_its_host = [&self.api, &self.web].contains(&&host) || host == format!("www.{}", self.web);
        match delivered_by {
            // GitHub's servers speak alike, and a company's own are not github.com.
            Some("github") => is_its_host || self.web != GITHUB && host != GITHUB && host != WWW_GITHUB,
            Some(_) => false,
            None => is_its_host,
        }
    }
}

/// Where everybody's repositories are.
const GITHUB: &str = "github.com";
const WWW_GITHUB: &str = "www.github.com";

fn host(url: &str) -> String {
    let url = Url::parse(url).ok();
    url.and_then(|url| url.host_str().map(|host| host.trim_end_matches('.').to_ascii_lowercase())).unwrap_or_default()
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
            assert_eq!(ToldForge::of(api).has(delivered_by, clone_url), expected, "{api} {delivered_by:?} {clone_url}");
        }
    }
}
