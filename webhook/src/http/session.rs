//! Cookies of people who signed in, and the proof that a form is of a page of theirs.

use crate::configuration::Settings;
use crate::http::public_path;
use axum::http::{HeaderMap, HeaderValue, header};
use sha2::{Digest, Sha256};
use std::time::Duration;
use subtle::ConstantTimeEq;

/// How long a session lasts.
pub(crate) const LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The cookie that holds the id of a session.
const SESSION: &str = "slipway_session";
/// The cookie that ties the form of the sign-in to the browser that was sent it.
const VISIT: &str = "slipway_visit";
/// The cookie of a sign-in that was begun at a provider: its random value, and the page to go to afterwards.
const FLOW: &str = "slipway_flow";
/// How long somebody may take to sign in there.
const FLOW_LIFE: Duration = Duration::from_secs(600);
/// Digits of the random value of a flow.
const FLOW_DIGITS: usize = 64;
/// Random bytes of the value of a visit.
const LENGTH: usize = 16;

/// Attributes that the cookies of a server have.
#[derive(Debug, Clone)]
pub(crate) struct Cookies {
    path: String,
    is_secure: bool,
}

impl Cookies {
    /// Returns the attributes for a server with these settings.
    pub(crate) fn new(settings: &Settings) -> Cookies {
        let path = format!("{}/", public_path::path_of(&settings.public_url));
        Cookies { path, is_secure: settings.public_url.starts_with("https://") }
    }

    /// Returns the header that begins a session of so many seconds.
    pub(crate) fn begin(&self, id: &str, seconds: u64) -> Option<HeaderValue> {
        self.header(SESSION, id, seconds)
    }

    /// Returns the header that begins a sign-in at a provider. Its site leads the browser back here: with `Strict` the
    /// cookie would not come along.
    pub(crate) fn begin_flow(&self, random: &str, next: &str) -> Option<HeaderValue> {
        let value = format!("{random}{}", hex::encode(next));
        self.flow(&value, FLOW_LIFE.as_secs())
    }

    /// Returns the header that ends a sign-in at a provider.
    pub(crate) fn end_flow(&self) -> Option<HeaderValue> {
        self.flow("", 0)
    }

    fn flow(&self, value: &str, seconds: u64) -> Option<HeaderValue> {
        let inner = Cookies { path: format!("{}login", self.path), is_secure: self.is_secure };
        inner.with_site(FLOW, value, seconds, "Lax")
    }

    /// Returns the header that ends a session.
    pub(crate) fn end(&self) -> Option<HeaderValue> {
        self.header(SESSION, "", 0)
    }

    /// Returns the header that begins a visit.
    pub(crate) fn visit(&self, value: &str) -> Option<HeaderValue> {
        self.header(VISIT, value, LIFE.as_secs())
    }

    fn header(&self, name: &str, value: &str, seconds: u64) -> Option<HeaderValue> {
        self.with_site(name, value, seconds, "Strict")
    }

    fn with_site(&self, name: &str, value: &str, seconds: u64, site: &str) -> Option<HeaderValue> {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let path = &self.path;
        HeaderValue::from_str(&format!(
            "{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite={site}{secure}"
        ))
        .ok()
    }
}

/// Returns the id of the session that a request is of.
pub(crate) fn id(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, SESSION)
}

/// Returns the value of a browser's visit.
pub(crate) fn visit(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, VISIT)
}

/// Returns the random value of a sign-in that the browser has begun at a provider, and the page to go to afterwards.
pub(crate) fn flow(headers: &HeaderMap) -> Option<(&str, String)> {
    let (random, next) = cookie(headers, FLOW)?.split_at_checked(FLOW_DIGITS)?;
    Some((random, String::from_utf8(hex::decode(next).ok()?).ok()?))
}

/// Makes the random value of a sign-in at a provider; `None` if the machine gives no randomness.
pub(crate) fn new_flow() -> Option<String> {
    let mut bytes = [0; FLOW_DIGITS / 2];
    rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes).ok()?;
    Some(hex::encode(bytes))
}

/// Makes the value of a visit; `None` if the machine gives no randomness.
pub(crate) fn new_visit() -> Option<String> {
    let mut bytes = [0; LENGTH];
    rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes).ok()?;
    Some(hex::encode(bytes))
}

/// Returns the proof that the forms of a session, or of a visit, carry: no other site can read it, nor the cookie it comes from.
pub(crate) fn proof(cookie: &str) -> String {
    hex::encode(&Sha256::digest(format!("form of {cookie}"))[..LENGTH])
}

/// Tells whether a form's proof is that of a session or visit.
pub(crate) fn proves(cookie: &str, given: &str) -> bool {
    proof(cookie).as_bytes().ct_eq(given.as_bytes()).into()
}

/// Returns the value of a cookie: hexadecimal digits, as all of ours.
fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(known, _)| *known == name)?;
    (!value.is_empty() && value.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_read_whole_and_a_proof_is_of_one_of_them() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=b; slipway_session=0a1b;slipway_visit=ff"));
        assert_eq!((id(&headers), visit(&headers)), (Some("0a1b"), Some("ff")));
        for bad in ["slipway_session=", "slipway_session=x y", "xslipway_session=0a", "slipway_session"] {
            let mut headers = HeaderMap::new();
            headers.append(header::COOKIE, HeaderValue::from_static(bad));
            assert_eq!(id(&headers), None, "{bad}");
        }
        assert!(proves("0a1b", &proof("0a1b")) && !proves("0a1b", &proof("ff")) && !proves("0a1b", ""));
        assert!(new_visit().unwrap() != new_visit().unwrap());
    }

    #[test]
    fn cookies_are_for_this_service_alone() {
        let cookies = Cookies { path: "/ci/".to_owned(), is_secure: true };
        let begun = cookies.begin("0a", LIFE.as_secs()).unwrap();
        let expected = "slipway_session=0a; Path=/ci/; Max-Age=2592000; HttpOnly; SameSite=Strict; Secure";
        assert_eq!(begun, expected);
        let flow = cookies.begin_flow("0b", "/q").unwrap();
        assert_eq!(flow, "slipway_flow=0b2f71; Path=/ci/login; Max-Age=600; HttpOnly; SameSite=Lax; Secure");
        assert!(cookies.end().unwrap().to_str().unwrap().contains("slipway_session=; Path=/ci/; Max-Age=0;"));
    }
}
