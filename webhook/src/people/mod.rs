//! People: how they sign in at forges and at providers of OpenID Connect, and what they may, which is what their forge says.

mod access;
mod flow;
mod oauth;
mod oidc;
mod pattern;
mod profile;
mod request;
mod rights;

pub(crate) use flow::{Flow, Refused};
pub(crate) use oauth::{begin, exchange_code};
pub(crate) use pattern::path_matches;
pub(crate) use profile::profile;
pub(crate) use rights::{People, Rights, Sources};
