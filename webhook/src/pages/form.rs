//! Forms of pages: what people post, with the proof that it comes from a page of their session.

use crate::http::auth::{Address, Caller};
use crate::http::body;
use crate::http::problem::Problem;
use crate::http::session;
use crate::http::state::Service;
use crate::view::code::Code;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

/// Name of the field with the proof.
const PROOF: &str = "proof";
/// The media type of a form.
const FORM: &str = "application/x-www-form-urlencoded";

/// The fields of a form.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads the body of a request that is a form.
    pub(crate) async fn read(headers: &HeaderMap, body: axum::body::Body) -> Result<Fields, Problem> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(FORM) {
            return Err(Problem::new(Code::UnsupportedMediaType, format!("a form is expected: {FORM}")));
        }
        let bytes = body::form(headers, body).await?;
        Ok(Fields(url::form_urlencoded::parse(&bytes).map(|(name, value)| (name.into(), value.into())).collect()))
    }

    /// Returns the value of a field; empty if there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// Refuses a form that does not prove that it was sent to the browser with this cookie.
    pub(crate) fn check(&self, cookie: Option<&str>) -> Result<(), Problem> {
        if cookie.is_some_and(|cookie| session::proves(cookie, self.get(PROOF))) {
            return Ok(());
        }
        Err(Problem::new(Code::StaleForm, "the form is of an earlier session, or the browser keeps no cookies")
            .hint("go back, load the page again, and send the form once more"))
    }
}

/// A form that somebody who signed in has posted.
pub(crate) struct Posted {
    /// The person who sent it.
    pub caller: Caller,
    /// The values that they entered.
    pub fields: Fields,
}

impl FromRequest<Service> for Posted {
    type Rejection = Problem;

    async fn from_request(request: Request, service: &Service) -> Result<Posted, Problem> {
        let (mut parts, body) = request.into_parts();
        let Ok(Address(address)) = Address::from_request_parts(&mut parts, service).await;
        let caller = Caller::of_session(service, address, session::id(&parts.headers)).await?;
        if caller.token.is_none() {
            return Err(Problem::unauthorized());
        }
        let fields = Fields::read(&parts.headers, body).await?;
        fields.check(caller.session.as_deref())?;
        caller.sign(&parts.extensions);
        Ok(Posted { caller, fields })
    }
}

/// Returns the field that carries a proof.
pub(crate) fn hidden(proof: &str) -> Markup {
    html! { input type="hidden" name=(PROOF) value=(proof); }
}

/// Returns a form with one button, for callers who signed in.
pub(crate) fn button(caller: &Caller, action: &str, content: &Markup) -> Markup {
    html! {
        @if let Some(session) = &caller.session {
            form action=(action) method="post" { (hidden(&session::proof(session))) (content) }
        }
    }
}

/// Returns the answer that leads a browser to a page after a form was taken.
pub(crate) fn see_other(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(path) = HeaderValue::from_str(path) {
        response.headers_mut().insert(header::LOCATION, path);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
