//! Lists of a registry, a page at a time.

use crate::pull::{MAX_MANIFEST, header};
use crate::response::bounded;
use crate::transport::{Access, Request};
use crate::{Client, Error, Reference};
use reqwest::{Method, StatusCode};

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its bytes, JSON.
    pub bytes: Vec<u8>,
    /// The query that asks for the next page.
    pub next: Option<String>,
    /// Filters that the registry applied (`OCI-Filters-Applied`).
    pub filters: Option<String>,
}

impl Client {
    /// Returns a page of a list of a repository, such as `tags/list?n=100`; `None` if there is none.
    pub async fn list(&self, reference: &Reference, path: &str) -> Result<Option<Listed>, Error> {
        let request = Request::new(Method::GET, format!("v2/{}/{path}", reference.repository()), "reading a list");
        let response = self.transport.send(reference, Access::Pull, &request).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !response.status().is_success() {
            return Err(self.transport.failed(reference, request.operation, response).await);
        }
        let next = header(&response, "Link").and_then(|link| next_query(&link));
        let filters = header(&response, "OCI-Filters-Applied");
        let bytes = bounded(response, MAX_MANIFEST, reference.registry(), self.transport.minimum_rate).await?;
        Ok(Some(Listed { bytes, next, filters }))
    }
}

/// Returns the query of the link to the next page (RFC 5988); its path is not looked at.
fn next_query(link: &str) -> Option<String> {
    let (target, parameters) = link.split_once('<')?.1.split_once('>')?;
    let is_next = parameters.split(';').any(|text| matches!(text.trim(), "rel=\"next\"" | "rel=next"));
    let query = target.split_once('?').filter(|_| is_next)?.1;
    Some(query.split('#').next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_of_the_next_page_is_found_wherever_the_link_leads() {
        for link in [
            "</v2/a/b/tags/list?n=2&last=x>; rel=\"next\"",
            "<https://other.example/tags/list?n=2&last=x#y>; title=a; rel=next",
            "<?n=2&last=x>;rel=\"next\"",
        ] {
            assert_eq!(next_query(link).as_deref(), Some("n=2&last=x"), "{link}");
        }
        for link in ["</v2/a?n=2>; rel=\"prev\"", "/v2/a?n=2; rel=next", "</v2/a>; rel=next", ""] {
            assert_eq!(next_query(link), None, "{link}");
        }
    }
}
