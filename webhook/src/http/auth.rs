//! Authentication: tokens in the `Authorization` header, as a bearer or as the password of any user, and sessions of people
//! who signed in on a page.

use crate::configuration::settings::{Grants, Scope, Token};
use crate::http::problem::Problem;
use crate::http::rate_limit::Failure;
use crate::http::session;
use crate::http::state::Service;
use crate::people::{Rights, Sources, path_matches};
use crate::view::code::Code;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, header};
use base64::Engine;
use database::{Identity, SessionOwner};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

/// Where a request comes from.
pub(crate) struct Address(pub IpAddr);

impl FromRequestParts<Service> for Address {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Address, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Ok(Address(service.settings.client_address(peer, &parts.headers)))
    }
}

/// The sender of a request.
#[derive(Clone)]
pub(crate) struct Caller {
    /// Their token, if they have one.
    pub token: Option<Token>,
    /// Where they are.
    pub address: IpAddr,
    /// Id of the session that they signed in for, if that is how the token is known.
    pub session: Option<String>,
    /// The person, or the service account, if the caller may all that they may.
    pub person: Option<Arc<Identity>>,
    /// Whether everybody may see everything.
    anonymous_read: bool,
}

impl FromRequestParts<Service> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Caller, Problem> {
        let Ok(Address(address)) = Address::from_request_parts(parts, service).await;
        let anonymous_read = service.settings.anonymous_read;
        if !parts.headers.contains_key(header::AUTHORIZATION) {
            // A cookie comes with whatever makes a browser ask: what changes something needs the proof of a form too.
            let session = session::id(&parts.headers).filter(|_| parts.method.is_safe());
            let caller = Caller::of_session(service, address, session).await?;
            caller.sign(&parts.extensions);
            return Ok(caller);
        }
        let found = match presented(&parts.headers) {
            Some(presented) => find_owned(service, &presented).await?,
            None => None,
        };
        let Some(Found { token, person }) = found else { return Err(service.refuse(address)) };
        let caller = Caller { token: Some(token), address, session: None, person, anonymous_read };
        caller.sign(&parts.extensions);
        Ok(caller)
    }
}

/// The name of who sent a request, for the audit log: whoever finds it out writes it here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signature(Arc<OnceLock<String>>);

impl Signature {
    /// Returns the name, once somebody has found it out.
    pub(crate) fn name(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

impl Caller {
    /// Returns who sent a request with the cookie of a session; one that has ended, or whose token is gone, is nobody's.
    pub(crate) async fn of_session(
        service: &Service,
        address: IpAddr,
        session: Option<&str>,
    ) -> Result<Caller, Problem> {
        let anonymous_read = service.settings.anonymous_read;
        let nobody = Caller { token: None, address, session: None, person: None, anonymous_read };
        let Some(id) = session else { return Ok(nobody) };
        let found = match service.database.owner_of_session(id).await? {
            Some(SessionOwner::Token(hash)) => find_by_hash(service, hash).await?,
            Some(SessionOwner::Identity(identity)) => find_person(service, identity).await?,
            None => None,
        };
        let Some(Found { token, person }) = found else { return Ok(nobody) };
        Ok(Caller { token: Some(token), session: Some(id.to_owned()), person, ..nobody })
    }

    /// Tells the audit log who this is.
    pub(crate) fn sign(&self, extensions: &Extensions) {
        if let (Some(signature), Some(token)) = (extensions.get::<Signature>(), &self.token) {
            let _ = signature.0.set(token.name.clone());
        }
    }

    /// Returns the person, or says that only they themselves may do this.
    pub(crate) fn require_person(&self) -> Result<&Arc<Identity>, Problem> {
        let token = self.token.as_ref().ok_or_else(Problem::unauthorized)?;
        self.person.as_ref().ok_or_else(|| {
            let detail = format!("`{}` stands for nobody who signed in, or only for some of what they may", token.name);
            Problem::new(Code::Forbidden, detail)
                .hint("sign in at a forge, or use a token of your own with the scope `admin` for all repositories")
        })
    }

    /// Tells whether the caller may do `scope` to `repository`.
    pub(crate) fn may(&self, scope: Scope, repository: &str) -> bool {
        self.token.as_ref().is_some_and(|token| token.allows(scope, Some(repository)))
    }

    /// Tells whether the caller may do `scope` to all repositories.
    pub(crate) fn may_everywhere(&self, scope: Scope) -> bool {
        self.token.as_ref().is_some_and(|token| token.allows(scope, None))
    }

    /// Returns the token if it may do `scope` to `repository`. A repository that it is not for is not there.
    pub(crate) fn require(&self, scope: Scope, repository: &str) -> Result<&Token, Problem> {
        let token = self.token.as_ref().ok_or_else(Problem::unauthorized)?;
        if !token.allows(Scope::Read, Some(repository)) {
            return Err(Problem::no_such_repository(repository));
        }
        if token.allows(scope, Some(repository)) { Ok(token) } else { Err(forbidden(token, scope)) }
    }

    /// Returns the token if it may do `scope` to all repositories.
    pub(crate) fn require_everywhere(&self, scope: Scope) -> Result<&Token, Problem> {
        let token = self.token.as_ref().ok_or_else(Problem::unauthorized)?;
        if token.allows(scope, None) { Ok(token) } else { Err(forbidden(token, scope)) }
    }

    /// Refuses callers that may not read at all.
    pub(crate) fn may_read(&self) -> Result<(), Problem> {
        if self.anonymous_read || self.token.is_some() { Ok(()) } else { Err(Problem::unauthorized()) }
    }

    /// Tells whether `repository` may be seen.
    pub(crate) fn sees(&self, repository: &str) -> bool {
        self.anonymous_read || self.token.as_ref().is_some_and(|token| token.allows(Scope::Read, Some(repository)))
    }

    /// Returns the repositories that a list may hold; `None` for all.
    pub(crate) fn only(&self) -> Option<Vec<String>> {
        self.token.as_ref().filter(|_| !self.anonymous_read)?.only()
    }
}

impl Service {
    /// Returns what somebody may now.
    pub(crate) async fn rights(&self, who: &Identity) -> Result<Rights, Problem> {
        let (settings, catalog, exchange) = (&*self.settings, &*self.catalog, self.exchanges.for_people());
        let sources = Sources { database: &self.database, settings, catalog, exchange };
        Ok(self.people.rights(&sources, who).await?)
    }

    /// Counts a token that is not known, and returns the answer to it.
    pub(crate) fn refuse(&self, address: IpAddr) -> Problem {
        match self.limiter.failed(address, Failure::Token) {
            None => Problem::unauthorized(),
            Some(seconds) => Problem::too_many(seconds, "too many requests with a wrong token came from this address"),
        }
    }

    /// Counts a build that is not there, and returns the answer to it.
    pub(crate) fn no_such_build(&self, address: IpAddr) -> Problem {
        match self.limiter.failed(address, Failure::Build) {
            None => Problem::no_such_build(),
            Some(seconds) => {
                Problem::too_many(seconds, "too many builds that are not there were asked for from this address")
            }
        }
    }
}

fn forbidden(token: &Token, scope: Scope) -> Problem {
    let scope = scope.as_str();
    let detail = match token.has_owner() {
        true => format!("`{}` may not do this: the forge gives them less than the right to `{scope}`", token.name),
        false => format!("the token `{}` may not do this: it needs the scope `{scope}`", token.name),
    };
    Problem::new(Code::Forbidden, detail)
}

/// A token that is good, and the person who may all that it may and no more.
struct Found {
    token: Token,
    person: Option<Arc<Identity>>,
}

/// Returns the token that was presented: one of the configuration, or one of the database that is still good.
pub(crate) async fn find(service: &Service, presented: &str) -> Result<Option<Token>, Problem> {
    Ok(find_owned(service, presented).await?.map(|found| found.token))
}

async fn find_owned(service: &Service, presented: &str) -> Result<Option<Found>, Problem> {
    if let Some(token) = service.settings.token(presented) {
        return Ok(Some(Found { token: token.clone(), person: None }));
    }
    if !crate::http::token::is_well_formed(presented) {
        return Ok(None);
    }
    find_by_hash(service, Sha256::digest(presented).into()).await
}

/// Returns the token with this SHA-256: one of the configuration, or one of the database that is still good.
async fn find_by_hash(service: &Service, hash: [u8; 32]) -> Result<Option<Found>, Problem> {
    if let Some(token) = service.settings.token_by_hash(&hash) {
        return Ok(Some(Found { token: token.clone(), person: None }));
    }
    let Some(record) = service.database.token_by_hash(&hash).await? else { return Ok(None) };
    let scopes: Vec<Scope> = record.scopes.iter().filter_map(|name| Scope::parse(name)).collect();
    let Some(owner) = record.identity else {
        let token = Token::stored(&record.name, hash, scopes, record.repositories);
        return Ok(Some(Found { token, person: None }));
    };
    let Some(owner) = service.database.identity(owner).await? else { return Ok(None) };
    let rights = service.rights(&owner).await?;
    let is_whole = record.repositories.is_empty() && scopes.contains(&Scope::Admin);
    let grants = narrowed(service, &rights, &record.repositories).await?;
    let token = Token::of_owner(&record.name, scopes, grants);
    Ok(Some(Found { token, person: is_whole.then(|| Arc::new(owner)) }))
}

/// Returns what somebody who signed in may.
async fn find_person(service: &Service, identity: i64) -> Result<Option<Found>, Problem> {
    let Some(person) = service.database.identity(identity).await? else { return Ok(None) };
    let rights = service.rights(&person).await?;
    let token = Token::of_owner(&person.name, vec![Scope::Admin], narrowed(service, &rights, &[]).await?);
    Ok(Some(Found { token, person: Some(Arc::new(person)) }))
}

/// Returns rights as far as patterns of repositories go; without any, all of them.
async fn narrowed(service: &Service, rights: &Rights, patterns: &[String]) -> Result<Option<Arc<Grants>>, Problem> {
    let is_meant = |name: &str| patterns.is_empty() || patterns.iter().any(|pattern| path_matches(pattern, name));
    Ok(match rights {
        Rights::Everything if patterns.is_empty() => None,
        Rights::Everything => {
            let all = service.catalog.all(&service.database).await?;
            let names = all.iter().map(|entry| entry.document.name.as_str()).filter(|name| is_meant(name));
            Some(Arc::new(names.map(|name| (name.to_owned(), Scope::Admin)).collect()))
        }
        Rights::In(grants) if patterns.is_empty() => Some(grants.clone()),
        Rights::In(grants) => {
            let meant = grants.iter().filter(|granted| is_meant(granted.0));
            Some(Arc::new(meant.map(|granted| (granted.0.clone(), *granted.1)).collect()))
        }
    })
}

fn presented(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = base64::engine::general_purpose::STANDARD.decode(rest.trim()).ok()?;
        return String::from_utf8(decoded).ok()?.split_once(':').map(|(_, password)| password.to_owned());
    }
    None
}
