//! Access to the registry: for everybody who reaches it, or accounts and those to whom rights are given without one.

use crate::accounts::Accounts;
use crate::error::Failure;
use crate::rights::{Action, Caller};
use crate::route::Route;
use axum::http::{HeaderMap, Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image_store::Store;

/// The scope of the list of repositories.
pub(crate) const CATALOG: &str = "registry:catalog:*";

/// Access to the registry.
#[derive(Debug, Clone)]
pub enum Access {
    /// Everybody who reaches it: for loopback addresses.
    Open,
    /// Accounts, as far as their rights go.
    Accounts(Accounts),
}

impl Access {
    /// Returns who sent a request; refuses logins that are wrong.
    pub(crate) async fn caller(&self, headers: &HeaderMap, address: &str, store: &Store) -> Result<Caller, Failure> {
        let Access::Accounts(accounts) = self else {
            return Ok(Caller { address: address.to_owned(), is_all: true, ..Caller::default() });
        };
        let login = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
        let (scheme, rest) = login.map(|login| login.split_once(' ').unwrap_or((login, ""))).unwrap_or_default();
        let mut caller = match scheme.to_ascii_lowercase().as_str() {
            "" => accounts.nobody().await?,
            "bearer" => accounts.of_token(rest.trim(), store).await?,
            "basic" => {
                let login = password_login(rest).ok_or_else(Failure::wrong_password)?;
                accounts.log_in(&login, address, store).await?
            }
            _ => return Err(Failure::unauthorized()),
        };
        address.clone_into(&mut caller.address);
        caller.has_credentials = login.is_some();
        Ok(caller)
    }

    /// Refuses a request that whoever sent it may not make.
    pub(crate) fn check(&self, caller: &Caller, route: &Route, method: &Method) -> Result<(), Failure> {
        let Some(needed) = Needed::of(route, method) else {
            // Clients ask for the version to find out whether a login is good.
            let is_fine = match route {
                Route::Ping => true,
                Route::Version => caller.has_credentials || matches!(self, Access::Open),
                Route::Catalog if !caller.may_read_something() => {
                    return Err(Failure::unauthorized_for(CATALOG.to_owned()));
                }
                Route::Catalog if !caller.may_list() => return Err(Failure::insufficient_scope(CATALOG.to_owned())),
                _ => caller.may_read_something(),
            };
            return if is_fine { Ok(()) } else { Err(Failure::unauthorized()) };
        };
        if caller.may(needed.action, needed.repository) {
            return Ok(());
        }
        let scope = format!("repository:{}:{}", needed.repository, needed.words());
        if caller.scope.is_some() && caller.is_granted(needed.action, needed.repository) {
            return Err(Failure::insufficient_scope(scope));
        }
        match caller.name.as_str() {
            "" => Err(Failure::unauthorized_for(scope)),
            name => Err(Failure::denied(name, needed.action, needed.repository)),
        }
    }
}

/// A name and a password as a header has them.
pub(crate) struct PasswordLogin {
    pub name: String,
    pub password: String,
}

/// Reads what follows `Basic`.
pub(crate) fn password_login(encoded: &str) -> Option<PasswordLogin> {
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some(PasswordLogin { name: name.to_owned(), password: password.to_owned() })
}

/// The right that a request needs.
struct Needed<'r> {
    repository: &'r str,
    action: Action,
}

impl<'r> Needed<'r> {
    fn of(route: &'r Route, method: &Method) -> Option<Self> {
        let (repository, action) = match route {
            Route::Version | Route::Token | Route::Catalog | Route::Ping | Route::Search => return None,
            Route::Tags(name) | Route::Referrers(name, _) => (name, Action::Pull),
            Route::Uploads(name) | Route::Upload(name, _) => (name, Action::Push),
            Route::Blob(name, _) | Route::Manifest(name, _) => match *method {
                Method::DELETE => (name, Action::Delete),
                Method::GET | Method::HEAD => (name, Action::Pull),
                _ => (name, Action::Push),
            },
        };
        Some(Needed { repository, action })
    }

    /// Returns the words of the scope to ask for: who pushes looks first for what is there.
    fn words(&self) -> &'static str {
        match self.action {
            Action::Pull => "pull",
            Action::Push => "pull,push",
            Action::Delete => "delete",
        }
    }
}
