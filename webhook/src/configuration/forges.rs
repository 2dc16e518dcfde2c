//! `[forges."host"]` of `slipway.toml`: which forge a host is, and the token that it is spoken to with.

use super::checks::check_public_url;
use super::file::{ConfigurationError, wrong};
use super::forge_api::{api, host_of};
use super::sign_in::ForgeSignInText;
use crate::configuration::document::check_host;
use crate::configuration::forge_app::{AppSlot, AppText};
use crate::configuration::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use url::Url;

/// Host of github.com's repositories.
pub(super) const GITHUB: &str = "github.com";
/// Hosts that are known, so that a token is all they need.
const KNOWN: [(&str, ForgeKind); 4] = [
    (GITHUB, ForgeKind::Github),
    ("gitlab.com", ForgeKind::Gitlab),
    ("codeberg.org", ForgeKind::Forgejo),
    ("bitbucket.org", ForgeKind::Bitbucket),
];

/// A kind of forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ForgeKind {
    /// GitHub, GitHub Enterprise.
    Github,
    /// GitLab.
    Gitlab,
    /// Gitea.
    Gitea,
    /// Forgejo.
    Forgejo,
    /// Gogs, which has no API for commit statuses.
    Gogs,
    /// Bitbucket Cloud.
    Bitbucket,
    /// Bitbucket Data Center and Server.
    BitbucketDatacenter,
}

impl ForgeKind {
    /// Returns its name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            ForgeKind::Github => "github",
            ForgeKind::Gitlab => "gitlab",
            ForgeKind::Gitea => "gitea",
            ForgeKind::Forgejo => "forgejo",
            ForgeKind::Gogs => "gogs",
            ForgeKind::Bitbucket => "bitbucket",
            ForgeKind::BitbucketDatacenter => "bitbucket-datacenter",
        }
    }

    /// Returns the name that its deliveries have.
    pub(crate) fn delivers_as(self) -> &'static str {
        match self {
            ForgeKind::Github => "github",
            ForgeKind::Gitlab => "gitlab",
            ForgeKind::Gitea | ForgeKind::Forgejo | ForgeKind::Gogs => "gitea",
            ForgeKind::Bitbucket | ForgeKind::BitbucketDatacenter => "bitbucket",
        }
    }

    /// Returns the name in the path that its deliveries go to.
    pub(crate) fn hook_name(self) -> &'static str {
        match self {
            ForgeKind::BitbucketDatacenter => ForgeKind::Bitbucket.as_str(),
            kind => kind.as_str(),
        }
    }

    /// Returns the path of the API below the URL of a forge.
    pub(super) fn api_path(self) -> &'static str {
        match self {
            ForgeKind::Github => "/api/v3",
            ForgeKind::Gitlab => "/api/v4",
            ForgeKind::Gitea | ForgeKind::Forgejo | ForgeKind::Gogs => "/api/v1",
            ForgeKind::Bitbucket => "/2.0",
            ForgeKind::BitbucketDatacenter => "/rest/api/latest",
        }
    }
}

/// A forge as it is written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ForgeText {
    kind: Option<ForgeKind>,
    token: Option<Secret>,
    username: Option<String>,
    url: Option<String>,
    app: Option<AppText>,
    /// How people sign in with their accounts there.
    sign_in: Option<ForgeSignInText>,
}

/// A forge that is spoken to, with its token read.
#[derive(Clone)]
pub(crate) struct ForgeSettings {
    /// Host, or host and port, of the clone URLs of its repositories.
    pub host: String,
    /// The kind of forge.
    pub kind: ForgeKind,
    /// URL of its API, without a slash at the end.
    pub api: String,
    /// The App, in place of a token.
    pub app: AppSlot,
    /// The token.
    token: Option<String>,
    /// The user, where a login is sent in place of the token.
    username: Option<String>,
    /// Whether it comes from `[github]`: a company's own GitHub serves what it delivers, wherever that is cloned from.
    is_of_github_section: bool,
}

impl fmt::Debug for ForgeSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ForgeSettings({} {})", self.kind.as_str(), self.host)
    }
}

impl ForgeSettings {
    /// Returns the header that proves who asks, and its value.
    pub(crate) fn authorization(&self) -> Option<(&'static str, String)> {
        let token = self.token.as_ref()?;
        Some(match self.kind {
            ForgeKind::Gitlab => ("private-token", token.clone()),
            ForgeKind::Gitea | ForgeKind::Forgejo | ForgeKind::Gogs => ("authorization", format!("token {token}")),
            _ => match &self.username {
                Some(_) => ("authorization", format!("Basic {}", self.login())),
                None => ("authorization", format!("Bearer {token}")),
            },
        })
    }

    /// Tells whether there is something to speak to it with.
    pub(crate) fn is_spoken_to(&self) -> bool {
        self.token.is_some() || self.kind == ForgeKind::Gogs || self.app.get().is_some()
    }

    /// Returns the URL of its pages, without a slash at the end.
    pub(crate) fn web_url(&self) -> String {
        let base = self.api.strip_suffix(self.kind.api_path()).unwrap_or(&self.api);
        match self.kind {
            ForgeKind::Github => base.replacen("://api.", "://", 1),
            _ => base.to_owned(),
        }
    }

    /// Returns a text without the token, in every form in which it is sent.
    pub(crate) fn mask(&self, text: &str) -> String {
        let Some(token) = &self.token else { return text.to_owned() };
        let masked = text.replace(token.as_str(), "***");
        if self.username.is_some() { masked.replace(&self.login(), "***") } else { masked }
    }

    fn login(&self) -> String {
        let (name, token) = (self.username.as_deref().unwrap_or_default(), self.token.as_deref().unwrap_or_default());
        STANDARD.encode(format!("{name}:{token}"))
    }
}

/// The forges that are spoken to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Forges {
    all: Vec<ForgeSettings>,
}

impl Forges {
    /// Checks the forges of the configuration; files are looked for in `directory`.
    pub(crate) fn read(texts: &BTreeMap<String, ForgeText>, directory: &Path) -> Result<Forges, ConfigurationError> {
        let mut forges = Forges::default();
        for (host, text) in texts {
            if host.contains('@') {
                return Err(wrong("forges", "a key holds a login: it is a host; write the `token` below it"));
            }
            let place = || format!("forges `{host}`");
            check_host(host).map_err(|problem| wrong(place(), problem))?;
            let host = host.to_ascii_lowercase();
            let forge = text.read(&host, directory).map_err(|problem| wrong(place(), problem))?;
            if forges.named(&host).is_some() {
                return Err(wrong(place(), "the host stands there twice"));
            }
            forges.all.push(forge);
        }
        Ok(forges)
    }

    /// Adds the GitHub of `[github]`, which the API's URL names: `https://api.github.com`,
    /// `https://github.example.com/api/v3` or `https://api.example.ghe.com`.
    pub(crate) fn add_github(&mut self, api_url: &str, token: String) -> Result<(), String> {
        check_token(&token)?;
        let api = host_of(api_url);
        let host = api.strip_prefix("api.").unwrap_or(&api).to_owned();
        if self.named(&host).is_some() {
            return Err(format!("`[github]` and `[forges.\"{host}\"]` are one forge: leave one out"));
        }
        let api = api_url.trim_end_matches('/').to_owned();
        let token = Some(token);
        let (kind, username, app) = (ForgeKind::Github, None, AppSlot::default());
        self.all.push(ForgeSettings { host, kind, api, app, token, username, is_of_github_section: true });
        Ok(())
    }

    /// Returns the forge of this name.
    pub(crate) fn named(&self, host: &str) -> Option<&ForgeSettings> {
        self.all.iter().find(|forge| forge.host.eq_ignore_ascii_case(host))
    }

    /// Returns the forge that a repository is on: the one with the host of its clone URL, with the port if one is named so.
    /// A company's own GitHub of `[github]` is also that of mirrors that it delivers for.
    pub(crate) fn of(&self, clone_url: &str, delivered_by: Option<&str>) -> Option<&ForgeSettings> {
        let host = host_of(clone_url);
        let plain = host.strip_prefix("www.").unwrap_or(&host);
        let port = Url::parse(clone_url).ok().and_then(|url| url.port());
        let with_port = port.map(|port| format!("{host}:{port}"));
        let found = with_port.as_deref().and_then(|name| self.named(name)).or_else(|| self.named(plain));
        let mirrors = |forge: &&ForgeSettings| {
            forge.is_of_github_section && (host_of(&forge.api) == host || forge.host != GITHUB && plain != GITHUB)
        };
        found.or_else(|| {
            self.all.iter().find(mirrors).filter(|forge| host_of(&forge.api) == host || delivered_by == Some("github"))
        })
    }

    /// Returns the forge with an App that a URL is of. A token goes over a protected connection, or to a forge that is itself
    /// spoken to without one.
    pub(crate) fn with_app(&self, clone_url: &str) -> Option<&ForgeSettings> {
        let forge = self.of(clone_url, None).filter(|forge| forge.app.get().is_some())?;
        (clone_url.starts_with("https://") || forge.api.starts_with("http://")).then_some(forge)
    }

    /// Returns the name in the path that deliveries for a repository go to: GitHub's, if nothing tells another.
    pub(crate) fn hook_name(&self, clone_url: &str) -> &'static str {
        let host = host_of(clone_url);
        let known = KNOWN.iter().find(|known| known.0 == host).map(|known| known.1);
        let kind = self.of(clone_url, None).map(|forge| forge.kind).or(known);
        kind.unwrap_or(ForgeKind::Github).hook_name()
    }

    /// Returns all of them.
    pub(crate) fn all(&self) -> &[ForgeSettings] {
        &self.all
    }

    /// Returns the names of all.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.all.iter().map(|forge| forge.host.as_str()).collect()
    }
}

impl ForgeText {
    /// Returns how people sign in with their accounts there.
    pub(super) fn sign_in(&self) -> Option<&ForgeSignInText> {
        self.sign_in.as_ref()
    }

    fn read(&self, host: &str, directory: &Path) -> Result<ForgeSettings, String> {
        let known = KNOWN.iter().find(|known| known.0 == host).map(|known| known.1);
        let kind = match (self.kind, known) {
            (Some(kind), Some(known)) if kind != known => {
                return Err(format!("`{host}` is of the kind `{}`: leave `kind` out", known.as_str()));
            }
            (Some(kind), _) | (None, Some(kind)) => kind,
            (None, None) => {
                return Err(
                    "`kind` is missing: github, gitlab, gitea, forgejo, gogs, bitbucket or bitbucket-datacenter"
                        .to_owned(),
                );
            }
        };
        let token = self.token.as_ref().map(|token| token.read(directory)).transpose()?;
        let app = self.app.as_ref().map(|app| app.read(directory).map(Arc::new)).transpose();
        let app = app.map_err(|why| format!("app: {why}"))?;
        if app.is_some() && kind != ForgeKind::Github {
            return Err("`app` goes with `kind = \"github\"`: other forges have no Apps".to_owned());
        }
        match &token {
            Some(_) if app.is_some() => {
                return Err("`token` and `app`: the App has tokens of its own, so leave `token` out".to_owned());
            }
            // An administrator makes the App on a page.
            None if kind == ForgeKind::Github => {}
            Some(token) => check_token(token)?,
            None if kind == ForgeKind::Gogs => {}
            None => return Err("`token` is missing: one that may write commit statuses".to_owned()),
        }
        if let Some(username) = &self.username {
            if kind != ForgeKind::Bitbucket {
                return Err("`username` goes with `kind = \"bitbucket\"`: other forges take the token alone".to_owned());
            }
            if username.is_empty() || username.contains(|char: char| char == ':' || char.is_control()) {
                return Err("`username` is empty or holds `:` or control characters".to_owned());
            }
        }
        if let Some(url) = &self.url {
            check_public_url(url).map_err(|problem| format!("url: {problem}"))?;
        }
        let (host, username, app) = (host.to_owned(), self.username.clone(), AppSlot::of(app));
        let api = api(kind, &host, self.url.as_deref());
        Ok(ForgeSettings { host, kind, api, app, token, username, is_of_github_section: false })
    }
}

/// Refuses a token that no header can hold.
fn check_token(token: &str) -> Result<(), String> {
    match token.chars().all(|char| char.is_ascii_graphic()) {
        true => Ok(()),
        false => Err("the token holds spaces, line breaks or other characters that no token has".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Configuration;

    fn parse(text: &str) -> Result<Forges, String> {
        let parsed = Configuration::parse(text, Path::new(".")).map_err(|error| error.to_string())?;
        Ok(parsed.settings(([127, 0, 0, 1], 80).into()).map_err(|error| error.to_string())?.forges)
    }

    #[test]
    fn statuses_go_to_the_forge_that_knows_the_commit() {
        let github = "https://api.github.com";
        let company = "https://git.example.com/api/v3/";
        let cases = [
            (github, Some("github"), "https://github.com/a/b.git", true),
            (github, None, "https://GitHub.com/a/b", true),
            (github, None, "https://www.github.com/a/b", true),
            (github, None, "https://gitlab.com/a/b.git", false),
            (github, Some("gitlab"), "https://gitlab.com/a/b.git", false),
            (github, Some("bitbucket"), "https://bitbucket.org/a/b.git", false),
            (github, Some("github"), "https://git.example.com/a/b.git", false),
            (company, Some("github"), "https://git.example.com/a/b.git", true),
            (company, None, "https://git.example.com:8443/a/b.git", true),
            (company, Some("github"), "https://github.com/a/b.git", false),
            (company, None, "https://github.com/a/b.git", false),
            (company, Some("github"), "https://mirror.example.com/a/b.git", true),
            (company, Some("gitea"), "https://mirror.example.com/a/b.git", false),
            ("https://api.corp.ghe.com", None, "https://corp.ghe.com/a/b.git", true),
            ("https://api.corp.ghe.com", None, "https://other.ghe.com/a/b.git", false),
        ];
        for (api, delivered_by, clone_url, expected) in cases {
            let mut forges = Forges::default();
            forges.add_github(api, "x".to_owned()).unwrap();
            assert_eq!(forges.of(clone_url, delivered_by).is_some(), expected, "{api} {delivered_by:?} {clone_url}");
        }
    }

    #[test]
    fn well_known_hosts_need_a_token_and_others_say_what_they_are() {
        let forges = parse(
            "[forges.\"gitlab.com\"]\ntoken = \"one\"\n[forges.\"git.example.com\"]\nkind = \"forgejo\"\ntoken = \"two\"\n\
             [forges.\"git.example.com:8443\"]\nkind = \"bitbucket-datacenter\"\ntoken = \"three\"\nurl = \"http://10.0.0.5/ctx/\"\n\
             [forges.\"bitbucket.org\"]\nusername = \"me\"\ntoken = \"four\"\n[github]\ntoken = \"five\"\n",
        )
        .unwrap();
        let at = |url: &str| forges.of(url, None).map(|forge| (forge.kind, forge.api.as_str()));
        assert_eq!(at("https://gitlab.com/g/s/p.git"), Some((ForgeKind::Gitlab, "https://gitlab.com/api/v4")));
        assert_eq!(at("https://git.example.com/a/b"), Some((ForgeKind::Forgejo, "https://git.example.com/api/v1")));
        let center = Some((ForgeKind::BitbucketDatacenter, "http://10.0.0.5/ctx/rest/api/latest"));
        assert_eq!(at("https://git.example.com:8443/scm/p/r.git"), center, "the longer match wins");
        assert_eq!(at("https://github.com/a/b"), Some((ForgeKind::Github, "https://api.github.com")));
        assert_eq!(at("https://gitlab.example.com/a/b"), None);
        let cloud = forges.named("bitbucket.org").unwrap();
        assert_eq!(cloud.authorization(), Some(("authorization", format!("Basic {}", STANDARD.encode("me:four")))));
        let shown = cloud.mask(&format!("four and {}", STANDARD.encode("me:four")));
        assert_eq!((shown.as_str(), format!("{cloud:?}").contains("four")), ("*** and ***", false));
    }

    #[test]
    fn mistakes_are_named() {
        for (host, keys, expected) in [
            ("git.example.com", "token = \"x\"", "`kind` is missing"),
            ("git.example.com", "kind = \"gitlb\"\ntoken = \"x\"", "did you mean `gitlab`?"),
            ("git.example.com", "kind = \"gitlab\"", "`token` is missing"),
            ("gitlab.com", "kind = \"github\"\ntoken = \"x\"", "is of the kind `gitlab`"),
            ("github.com", "app = { id = 7 }", "private_key"),
            ("github.com", "app = { id = 7, private_key = \"hush\" }", "not an RSA key"),
            ("gitlab.com", "token = \"a b\"", "no token has"),
            ("gitlab.com", "token = \"x\"\nusername = \"me\"", "goes with"),
            ("gitlab.com", "token = \"x\"\nurl = \"ftp://x\"", "not an http or https URL"),
            ("gitlab.com", "token = \"x\"\nurl = \"https://me:hush@x\"", "holds a login"),
            ("https://gitlab.com", "token = \"x\"", "write `gitlab.com`"),
            ("me:hush@gitlab.com", "token = \"x\"", "a key holds a login"),
        ] {
            let error = parse(&format!("[forges.\"{host}\"]\n{keys}\n")).unwrap_err();
            assert!(error.contains(expected) && !error.contains("hush"), "{keys}: {error}");
        }
        let twice = parse("[github]\ntoken = \"x\"\n[forges.\"github.com\"]\ntoken = \"y\"\n").unwrap_err();
        assert!(twice.contains("are one forge"), "{twice}");
        assert!(parse("[forges.\"gogs.example.com\"]\nkind = \"gogs\"\n").is_ok());
    }
}
