//! Rights of people: a forge is asked with their own token, its answers count for a while, and nothing is ever wider than the
//! last of them. Rights of those who come from no forge are what an administrator and the configuration say.

use super::access::{Asked, Unanswered};
use super::flow::now_ms;
use super::oauth::{Failed, renew};
use super::oidc::ProviderKeys;
use super::pattern::path_matches;
use crate::configuration::Settings;
use crate::configuration::settings::{Grants, Scope};
use crate::configuration::sign_in::{LOCAL, Provider, ProviderKind, SERVICE};
use crate::forges::Exchange;
use crate::intake::catalog::Catalog;
use database::{Database, Identity, KnownLogin};
use futures::StreamExt;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Questions that are asked of a forge at once for one person.
const CONCURRENCY: usize = 8;
/// Questions that are asked at one go: of more repositories, those come first whose answers are oldest.
const MAX_ASKED: usize = 200;
/// How long to wait after a forge could not be asked.
const ERROR_BACKOFF: Duration = Duration::from_secs(30);
/// How long to wait between two questions about repositories that are new here.
const NEW_INTERVAL: Duration = Duration::from_secs(5);
/// How long before its end a token is replaced.
const RENEW_BEFORE_MS: i64 = 60_000;
/// How long answers are kept of somebody who asks for nothing.
const FORGET_AFTER: Duration = Duration::from_secs(24 * 3600);
/// The question whether the forge still knows somebody who administers the service.
const KNOWN_AT_ALL: &str = "";

/// The rights of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Everything: they administer the service.
    Everything,
    /// Those that are said of each repository.
    In(Arc<Grants>),
}

/// The answers about people, and the keys of their providers; lost at a restart.
#[derive(Default)]
pub(crate) struct People {
    /// The descriptions and keys of providers.
    pub keys: ProviderKeys,
    kept: Mutex<HashMap<i64, Arc<Remembered>>>,
}

struct Remembered {
    used: Mutex<Instant>,
    // Held while the forge is asked: the requests of one person ask once.
    answers: tokio::sync::Mutex<Answers>,
}

#[derive(Default)]
struct Answers {
    by_name: HashMap<String, (Option<Scope>, Instant)>,
    pause_until: Option<Instant>,
}

/// The names that are asked about, and the login that they are asked with.
struct Question<'q> {
    login: &'q KnownLogin,
    names: &'q [String],
}

/// The places that rights come from.
pub(crate) struct Sources<'s> {
    /// The database.
    pub database: &'s Database,
    /// The settings.
    pub settings: &'s Settings,
    /// The repositories.
    pub catalog: &'s Catalog,
    /// The HTTP client.
    pub exchange: &'s dyn Exchange,
}

impl People {
    /// Returns what somebody may now.
    pub(crate) async fn rights(&self, sources: &Sources<'_>, who: &Identity) -> Result<Rights, database::Error> {
        let sign_in = &sources.settings.sign_in;
        let provider = sign_in.provider(&who.provider);
        if let Some((provider, ProviderKind::Forge { .. })) = provider.map(|provider| (provider, &provider.kind)) {
            return self.of_forge(sources, who, provider).await;
        }
        let of_all = match provider.map(|provider| &provider.kind) {
            Some(ProviderKind::Oidc { rights, .. }) => rights.clone(),
            _ if who.provider == SERVICE || is_account(sources, who).await? => Default::default(),
            // The provider was taken out of the configuration.
            _ => return Ok(Rights::In(Arc::default())),
        };
        if sign_in.administers(&who.provider, &who.name) && who.provider != SERVICE {
            return Ok(Rights::Everything);
        }
        let own = sources.database.rights_of(who.id).await?;
        let own = own.into_iter().filter_map(|right| Some((right.pattern, Scope::parse(&right.scope)?)));
        let all: Vec<(String, Scope)> = own.chain(of_all).collect();
        let mut grants = Grants::new();
        for entry in sources.catalog.all(sources.database).await?.iter() {
            let name = entry.document.name.as_str();
            let scopes = all.iter().filter(|right| path_matches(&right.0, name)).map(|right| right.1);
            grants.extend(scopes.max().map(|scope| (name.to_owned(), scope)));
        }
        Ok(Rights::In(Arc::new(grants)))
    }

    /// Forgets what was answered of somebody: they signed in again, or are gone.
    pub(crate) fn forget(&self, id: i64) {
        self.kept().remove(&id);
    }

    async fn of_forge(
        &self,
        sources: &Sources<'_>,
        who: &Identity,
        provider: &Provider,
    ) -> Result<Rights, database::Error> {
        if who.login.is_none() {
            return Ok(Rights::In(Arc::default()));
        }
        let administers = sources.settings.sign_in.administers(&who.provider, &who.name);
        let entries = sources.catalog.all(sources.database).await?;
        let is_there =
            |repository| sources.settings.forge_of(repository, None).is_some_and(|forge| forge.host == provider.name);
        let ours = entries.iter().filter(|entry| !administers && is_there(&entry.repository));
        let ours: Vec<(&str, &str)> =
            ours.map(|entry| (entry.document.name.as_str(), entry.repository.forge_name.as_str())).collect();
        let mut wanted: Vec<&str> = ours.iter().map(|known| known.1).collect();
        wanted.extend(administers.then_some(KNOWN_AT_ALL));
        let kept = self.of(who.id);
        let mut answers = kept.answers.lock().await;
        if !answers.refresh(self, sources, who, provider, &wanted).await? {
            return Ok(Rights::In(Arc::default()));
        }
        let keep = sources.settings.sign_in.keep;
        let answered = |name: &str| answers.by_name.get(name).filter(|known| known.1.elapsed() < keep)?.0;
        if administers {
            let is_known = answered(KNOWN_AT_ALL).is_some();
            return Ok(if is_known { Rights::Everything } else { Rights::In(Arc::default()) });
        }
        let grants = ours.iter().filter_map(|known| Some((known.0.to_owned(), answered(known.1)?)));
        Ok(Rights::In(Arc::new(grants.collect())))
    }

    fn of(&self, id: i64) -> Arc<Remembered> {
        let mut kept = self.kept();
        let is_recent = |known: &Arc<Remembered>| {
            known.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed() < FORGET_AFTER
        };
        kept.retain(|_, known| is_recent(known));
        let new = || Arc::new(Remembered { used: Mutex::new(Instant::now()), answers: Default::default() });
        let known = kept.entry(id).or_insert_with(new).clone();
        *known.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        known
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<i64, Arc<Remembered>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells whether somebody is an account that may still sign in.
async fn is_account(sources: &Sources<'_>, who: &Identity) -> Result<bool, database::Error> {
    if who.provider != LOCAL || !sources.settings.sign_in.local {
        return Ok(false);
    }
    let accounts = sources.database.accounts().await?;
    let is_good = |account: &database::Account| {
        account.name == who.subject && !account.is_robot && account.expires_ms.is_none_or(|end| end > now_ms())
    };
    Ok(accounts.iter().any(is_good))
}

impl Answers {
    /// Asks the forge where its answers are missing or old; tells whether it still takes somebody's token.
    async fn refresh(
        &mut self,
        people: &People,
        sources: &Sources<'_>,
        who: &Identity,
        provider: &Provider,
        wanted: &[&str],
    ) -> Result<bool, database::Error> {
        let refresh = sources.settings.sign_in.refresh;
        let age = |name: &&&str| self.by_name.get(**name).map(|known| known.1.elapsed());
        let mut due: Vec<&&str> = wanted.iter().filter(|name| age(name).is_none_or(|age| age >= refresh)).collect();
        if due.is_empty() || self.pause_until.is_some_and(|until| Instant::now() < until) {
            return Ok(true);
        }
        due.sort_by_key(|name| std::cmp::Reverse(age(name).unwrap_or(Duration::MAX)));
        due.truncate(MAX_ASKED);
        let due: Vec<String> = due.into_iter().map(|name| (*name).to_owned()).collect();
        // Another request, or another process, may have replaced the token meanwhile.
        let Some(Identity { login: Some(login), .. }) = sources.database.identity(who.id).await? else {
            return Ok(false);
        };
        let is_ending = login.expires_ms.is_some_and(|end| end - RENEW_BEFORE_MS < now_ms());
        let mut asked = match is_ending {
            true => Err(Unanswered::Unauthorized),
            false => self.ask(sources, who, provider, Question { login: &login, names: &due }).await,
        };
        if asked == Err(Unanswered::Unauthorized) {
            asked = match renewed(people, sources, who, provider, &login).await? {
                Ok(login) => self.ask(sources, who, provider, Question { login: &login, names: &due }).await,
                Err(failed) => Err(failed),
            };
        }
        let pause = if asked.is_ok() { NEW_INTERVAL } else { ERROR_BACKOFF };
        self.pause_until = Some(Instant::now() + pause.min(refresh));
        if asked == Err(Unanswered::Unauthorized) {
            tracing::info!(person = who.name, "the forge takes somebody's token no more: they have to sign in again");
            self.by_name.clear();
            sources.database.put_login(who, None).await?;
            sources.database.end_sessions_of(who.id, None).await?;
            return Ok(false);
        }
        Ok(true)
    }

    async fn ask(
        &mut self,
        sources: &Sources<'_>,
        who: &Identity,
        provider: &Provider,
        question: Question<'_>,
    ) -> Result<(), Unanswered> {
        let ProviderKind::Forge { kind, api, .. } = &provider.kind else { return Ok(()) };
        let (exchange, token, subject) = (sources.exchange, question.login.access.as_str(), who.subject.as_str());
        let asked = Asked { exchange, kind: *kind, api, token, subject };
        let asked = &asked;
        let answers = question.names.iter().cloned().map(|name| async move {
            let answer = if name == KNOWN_AT_ALL { asked.is_known().await } else { asked.access(&name).await };
            (name, answer)
        });
        let mut answers = futures::stream::iter(answers).buffer_unordered(CONCURRENCY);
        while let Some((name, answer)) = answers.next().await {
            match answer {
                Ok(scope) => drop(self.by_name.insert(name, (scope, Instant::now()))),
                Err(unanswered) => {
                    tracing::warn!(forge = provider.name, ?unanswered, "a forge does not say what somebody may");
                    return Err(unanswered);
                }
            }
        }
        Ok(())
    }
}

/// Returns other tokens in place of those that have ended.
async fn renewed(
    people: &People,
    sources: &Sources<'_>,
    who: &Identity,
    provider: &Provider,
    login: &KnownLogin,
) -> Result<Result<KnownLogin, Unanswered>, database::Error> {
    let Some(refresh) = &login.refresh else { return Ok(Err(Unanswered::Unauthorized)) };
    match renew(sources.exchange, &people.keys, provider, refresh).await {
        Ok(login) => {
            sources.database.put_login(who, Some(&login)).await?;
            Ok(Ok(login))
        }
        Err(Failed::Unavailable(problem)) => {
            tracing::warn!(forge = provider.name, problem, "a forge does not renew somebody's token now");
            Ok(Err(Unanswered::Unavailable))
        }
        Err(Failed::Refused(_)) => {
            // A refresh token is good once: another process may have been faster.
            let now = sources.database.identity(who.id).await?.and_then(|who| who.login);
            Ok(now.filter(|now| now != login).ok_or(Unanswered::Unauthorized))
        }
    }
}
