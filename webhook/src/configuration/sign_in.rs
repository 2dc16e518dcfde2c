//! `[sign_in]` of `slipway.toml`, and `sign_in` of a forge: where people sign in, and who administers the service.

use super::checks::check_public_url;
use super::file::{ConfigurationError, wrong};
use super::forges::{ForgeKind, ForgeSettings, ForgeText, Forges};
use super::settings::Scope;
use crate::configuration::secret::Secret;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;
use url::Url;

/// The provider of accounts of the embedded registry.
pub(crate) const LOCAL: &str = "local";
/// The provider of service accounts.
pub(crate) const SERVICE: &str = "service";

/// `[sign_in]`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SignInText {
    /// People who may everything: the name of the forge or provider, `/`, and their name there.
    administrators: Vec<String>,
    /// Whether accounts of the embedded registry may sign in with their passwords.
    local: bool,
    /// Seconds after which a forge is asked again what somebody may.
    refresh_seconds: u64,
    /// Seconds for which its last answer counts while it cannot be asked.
    keep_seconds: u64,
    /// Providers that are not a forge, by name.
    oidc: BTreeMap<String, OidcText>,
}

impl Default for SignInText {
    fn default() -> Self {
        SignInText {
            administrators: Vec::new(),
            local: false,
            refresh_seconds: 180,
            keep_seconds: 3600,
            oidc: BTreeMap::new(),
        }
    }
}

/// `sign_in` of a forge.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForgeSignInText {
    client_id: String,
    client_secret: Secret,
    /// Scopes that are asked for, where the usual ones will not do.
    scopes: Option<Vec<String>>,
    /// URL under which browsers reach the forge, if it is not the one that the server uses.
    url: Option<String>,
}

/// `[sign_in.oidc."name"]`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OidcText {
    issuer: String,
    client_id: String,
    client_secret: Secret,
    /// Scopes that are asked for, where the usual ones will not do.
    scopes: Option<Vec<String>>,
    /// The claim that people are called by: `sub`, if nothing else is said.
    #[serde(default)]
    name_claim: NameClaim,
    /// Rights of all who sign in here: names of repositories, with `*` and `**`, and `read`, `trigger` or `admin`.
    #[serde(default)]
    rights: BTreeMap<String, Scope>,
}

/// The claim that people are called by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NameClaim {
    /// The provider's own id, which it gives to nobody else.
    #[default]
    Sub,
    /// The address, if the provider has verified it.
    Email,
    /// The user's name, where nobody can choose that of another.
    PreferredUsername,
}

/// Where people sign in, and who administers the service.
#[derive(Debug, Clone, Default)]
pub(crate) struct SignIn {
    /// Where people sign in, by name.
    pub providers: Vec<Provider>,
    /// Whether accounts of the embedded registry may sign in.
    pub local: bool,
    /// How often a forge is asked what somebody may.
    pub refresh: Duration,
    /// How long its last answer counts while it cannot be asked.
    pub keep: Duration,
    administrators: Vec<String>,
}

/// A provider: where people sign in.
#[derive(Clone)]
pub(crate) struct Provider {
    /// The name: the host of a forge, or that of the section.
    pub name: String,
    /// How it is spoken to.
    pub kind: ProviderKind,
    /// The id of this service there.
    pub client_id: String,
    /// The secret of this service there.
    pub client_secret: String,
    /// Scopes that are asked for.
    pub scopes: Vec<String>,
}

/// How a provider is spoken to.
#[derive(Debug, Clone)]
pub(crate) enum ProviderKind {
    /// A forge.
    Forge {
        /// The kind of forge.
        kind: ForgeKind,
        /// URL under which browsers reach it.
        web: String,
        /// URL under which the server reaches it.
        base: String,
        /// URL of its API.
        api: String,
    },
    /// A provider of OpenID Connect.
    Oidc {
        /// The issuer of its tokens.
        issuer: String,
        /// The claim that people are called by.
        name_claim: NameClaim,
        /// Rights of all who sign in there.
        rights: BTreeMap<String, Scope>,
    },
}

impl fmt::Debug for Provider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Provider({})", self.name)
    }
}

impl Provider {
    /// Returns a text without the secret of this service.
    pub(crate) fn mask(&self, text: &str) -> String {
        text.replace(self.client_secret.as_str(), "***")
    }
}

impl SignIn {
    /// Checks the sections of the configuration; files are looked for in `directory`.
    pub(crate) fn read(
        text: &SignInText,
        forge_texts: &BTreeMap<String, ForgeText>,
        forges: &Forges,
        directory: &Path,
    ) -> Result<SignIn, ConfigurationError> {
        let mut providers = Vec::new();
        for (host, forge) in forge_texts {
            let Some(sign_in) = forge.sign_in() else { continue };
            let Some(settings) = forges.named(host) else { continue };
            let place = |problem: String| wrong(format!("forges `{host}`: sign_in"), problem);
            providers.push(sign_in.provider(settings, directory).map_err(place)?);
        }
        for (name, oidc) in &text.oidc {
            let place = |problem: String| wrong(format!("sign_in.oidc `{name}`"), problem);
            check_name(name, forges).map_err(place)?;
            providers.push(oidc.provider(name, directory).map_err(place)?);
        }
        if text.refresh_seconds == 0 || text.keep_seconds < text.refresh_seconds {
            return Err(wrong(
                "sign_in",
                "`refresh_seconds` is at least 1, and `keep_seconds` at least as much: an answer must count until the next one",
            ));
        }
        let sign_in = SignIn {
            providers,
            local: text.local,
            refresh: Duration::from_secs(text.refresh_seconds),
            keep: Duration::from_secs(text.keep_seconds),
            administrators: text.administrators.clone(),
        };
        sign_in.check_administrators()?;
        Ok(sign_in)
    }

    /// Tells whether anybody can sign in other than with a token.
    pub(crate) fn is_there(&self) -> bool {
        self.local || !self.providers.is_empty()
    }

    /// Returns the provider of this name.
    pub(crate) fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.name == name)
    }

    /// Tells whether somebody with this name, who signed in at this provider, administers the service. Forges take no
    /// account of upper case.
    pub(crate) fn administers(&self, provider: &str, name: &str) -> bool {
        let is_forge = self.provider(provider).is_some_and(|known| matches!(known.kind, ProviderKind::Forge { .. }));
        let is_meant = |known: &String| if is_forge { known.eq_ignore_ascii_case(name) } else { known == name };
        self.administrators.iter().any(is_meant)
    }

    fn check_administrators(&self) -> Result<(), ConfigurationError> {
        for name in &self.administrators {
            let provider = name.split_once('/').filter(|(_, rest)| !rest.is_empty()).map(|(provider, _)| provider);
            let is_local = provider == Some(LOCAL) && self.local;
            if is_local || provider.is_some_and(|provider| self.provider(provider).is_some()) {
                continue;
            }
            let mut known: Vec<&str> = self.providers.iter().map(|provider| provider.name.as_str()).collect();
            known.extend(self.local.then_some(LOCAL));
            let known = if known.is_empty() { "nothing yet".to_owned() } else { known.join(", ") };
            return Err(wrong(
                "sign_in.administrators",
                format!("`{name}` cannot sign in: write provider/name, where the provider is one of: {known}"),
            ));
        }
        Ok(())
    }
}

/// Checks the name of a provider: it must not be taken for a forge.
fn check_name(name: &str, forges: &Forges) -> Result<(), String> {
    let is_plain =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_plain || [LOCAL, SERVICE].contains(&name) {
        return Err("a name has small letters, digits and `-`, and is neither `local` nor `service`".to_owned());
    }
    match forges.named(name) {
        Some(_) => Err("a forge is called so: choose another name".to_owned()),
        None => Ok(()),
    }
}

impl ForgeSignInText {
    fn provider(&self, forge: &ForgeSettings, directory: &Path) -> Result<Provider, String> {
        use ForgeKind::{Forgejo, Gitea, Github, Gitlab};
        let usual: &[&str] = match forge.kind {
            // An App has permissions of its own; an OAuth App sees public repositories without a scope.
            Github => &[],
            Gitlab => &["read_api"],
            Gitea | Forgejo => &["read:user", "read:repository"],
            other => {
                return Err(format!("nobody signs in with `{}`: github, gitlab, gitea and forgejo do", other.as_str()));
            }
        };
        if [LOCAL, SERVICE].contains(&forge.host.as_str()) {
            return Err(format!("the host `{}` has the name of accounts: reach it by another one", forge.host));
        }
        let base = forge.web_url();
        let web = self.url.as_ref().map_or(base.as_str(), |url| url.trim_end_matches('/')).to_owned();
        check_public_url(&web).map_err(|problem| format!("url: {problem}"))?;
        let (kind, api) = (forge.kind, forge.api.clone());
        Ok(Provider {
            name: forge.host.clone(),
            kind: ProviderKind::Forge { kind, web, base, api },
            client_id: client_id(&self.client_id)?,
            client_secret: client_secret(&self.client_secret, directory)?,
            scopes: scopes(self.scopes.as_deref(), usual)?,
        })
    }
}

impl OidcText {
    fn provider(&self, name: &str, directory: &Path) -> Result<Provider, String> {
        check_public_url(&self.issuer).map_err(|problem| format!("issuer: {problem}"))?;
        if !is_private(&self.issuer) {
            return Err("issuer: an https URL is expected: the keys that sign people in come from there".to_owned());
        }
        let scopes = scopes(self.scopes.as_deref(), &["openid", "profile", "email"])?;
        if !scopes.iter().any(|scope| scope == "openid") {
            return Err("scopes: `openid` is missing: without it no provider says who somebody is".to_owned());
        }
        for pattern in self.rights.keys() {
            check_pattern(pattern).map_err(|problem| format!("rights: {problem}"))?;
        }
        let (issuer, rights) = (self.issuer.clone(), self.rights.clone());
        Ok(Provider {
            name: name.to_owned(),
            kind: ProviderKind::Oidc { issuer, name_claim: self.name_claim, rights },
            client_id: client_id(&self.client_id)?,
            client_secret: client_secret(&self.client_secret, directory)?,
            scopes,
        })
    }
}

/// Tells whether nobody on the way can read and change what goes to a URL.
fn is_private(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let is_loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || is_loopback
}

/// Checks a pattern of names of repositories.
pub(crate) fn check_pattern(pattern: &str) -> Result<(), String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-*".contains(&byte);
    let parts: Vec<&str> = pattern.split('/').collect();
    let is_fine = parts.iter().all(|part| !part.is_empty() && part.bytes().all(is_name));
    if is_fine && pattern.len() <= 255 && !pattern.contains("***") && (parts.len() == 2 || pattern.contains("**")) {
        return Ok(());
    }
    Err(format!(
        "`{pattern}` does not name repositories: namespace/name does, with `*` for a part: team/*, or `**` for all"
    ))
}

fn client_id(text: &str) -> Result<String, String> {
    let is_fine = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_fine { Ok(text.to_owned()) } else { Err("client_id: it is empty or holds spaces".to_owned()) }
}

fn client_secret(secret: &Secret, directory: &Path) -> Result<String, String> {
    secret.read(directory).map_err(|problem| format!("client_secret: {problem}"))
}

fn scopes(said: Option<&[String]>, usual: &[&str]) -> Result<Vec<String>, String> {
    let scopes: Vec<String> = match said {
        Some(said) => said.to_vec(),
        None => usual.iter().map(|scope| (*scope).to_owned()).collect(),
    };
    let is_fine = |scope: &String| !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_graphic());
    match scopes.iter().find(|scope| !is_fine(scope)) {
        Some(scope) => Err(format!("scopes: `{scope}` is empty or holds spaces: one entry for each scope")),
        None => Ok(scopes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Configuration;

    fn parse(text: &str) -> Result<SignIn, String> {
        let parsed = Configuration::parse(text, Path::new(".")).map_err(|error| error.to_string())?;
        Ok(parsed.settings(([127, 0, 0, 1], 80).into()).map_err(|error| error.to_string())?.sign_in)
    }

    const SERVER: &str = "[server]\npublic_url = \"https://ci.example.com\"\n";
    const FORGE: &str =
        "[forges.\"gitlab.com\"]\ntoken = \"x\"\nsign_in = { client_id = \"id\", client_secret = \"hush\" }\n";

    #[test]
    fn providers_are_read_and_their_secrets_are_not_shown() {
        let oidc = "[sign_in.oidc.corp]\nissuer = \"https://id.example.com\"\nclient_id = \"a\"\nclient_secret = \"hush\"\n\
                    rights = { \"team/*\" = \"trigger\" }\n";
        let administrators =
            "[sign_in]\nadministrators = [\"gitlab.com/Ada\", \"corp/17\", \"local/eve\"]\nlocal = true\n";
        let sign_in = parse(&format!("{SERVER}{FORGE}{administrators}{oidc}")).unwrap();
        let names: Vec<_> = sign_in.providers.iter().map(|provider| provider.name.as_str()).collect();
        assert!(names == ["gitlab.com", "corp"] && !format!("{sign_in:?}").contains("hush"));
        assert!(sign_in.administers("gitlab.com", "gitlab.com/ada") && sign_in.administers("corp", "corp/17"));
        assert!(!sign_in.administers("local", "local/Eve") && !sign_in.administers("gitlab.com", "gitlab.com/a"));
        assert_eq!(sign_in.provider("gitlab.com").unwrap().scopes, ["read_api"]);
        assert!(!parse("").unwrap().is_there());
    }

    #[test]
    fn mistakes_are_named() {
        let oidc =
            |keys: &str| format!("{SERVER}[sign_in.oidc.corp]\nclient_id = \"a\"\nclient_secret = \"hush\"\n{keys}\n");
        for (text, expected) in [
            (FORGE.to_owned(), "`server.public_url` is missing"),
            (format!("{SERVER}{FORGE}[sign_in]\nadministrators = [\"ada\"]\n"), "one of: gitlab.com"),
            (format!("{SERVER}[sign_in]\nadministrators = [\"local/ada\"]\n"), "one of: nothing yet"),
            (format!("{SERVER}[sign_in]\nkeep_seconds = 5\n"), "`keep_seconds` at least as much"),
            (oidc("issuer = \"http://id.example.com\""), "an https URL is expected"),
            (oidc("issuer = \"https://x\"\nscopes = [\"email\"]"), "`openid` is missing"),
            (oidc("issuer = \"https://x\"\nrights = { team = \"read\" }"), "does not name repositories"),
            (oidc("issuer = \"https://x\"").replace("corp", "local"), "neither `local` nor `service`"),
            (oidc("issuer = \"https://x\"").replace("oidc.corp", "oidc.\"gitlab.com\""), "small letters"),
            (FORGE.replace("id\"", "a b\""), "holds spaces"),
            (FORGE.replace("gitlab.com", "bitbucket.org"), "nobody signs in with `bitbucket`"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(expected) && !error.contains("hush"), "{text}: {error}");
        }
    }
}
