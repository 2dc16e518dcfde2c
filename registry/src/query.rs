//! Queries: parameters of a request's address, and the pages that `n` and `last` ask for.

use crate::error::Failure;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::Response;

/// Returns the value of a parameter, percent-decoded.
pub(crate) fn parameter(uri: &Uri, key: &str) -> Option<String> {
    parameters(uri, key).next()
}

/// Returns all values of a field of a form, in which a plus sign is a space.
pub(crate) fn form_values(form: &str, key: &str) -> impl Iterator<Item = String> {
    let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(move |pair| pair.0 == key).map(|pair| decode(&pair.1.replace('+', " ")))
}

/// Returns all values of a parameter that may be given several times.
pub(crate) fn parameters(uri: &Uri, key: &str) -> impl Iterator<Item = String> {
    let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(move |pair| pair.0 == key).map(|pair| decode(pair.1))
}

/// A plus sign stands for itself: media types have it, and nothing here has spaces.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).filter(|_| *byte == b'%');
        match digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()) {
            Some(value) => {
                decoded.push(value);
                at += 3;
            }
            None => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Returns a text as the value of a parameter.
pub(crate) fn encode(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/:".contains(byte);
    text.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The part of a list that a request asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// How many entries at most.
    pub n: Option<usize>,
    /// The entry after which the page begins.
    pub last: Option<String>,
}

impl Page {
    /// Reads `n` and `last`.
    pub(crate) fn of(uri: &Uri) -> Result<Page, Failure> {
        let n = parameter(uri, "n").map(|text| {
            text.parse::<usize>().map_err(|_| {
                let message = format!("n is `{text}`: the number of entries is expected, as in n=100");
                Failure::new(StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID", message)
            })
        });
        Ok(Page { n: n.transpose()?, last: parameter(uri, "last") })
    }

    /// Cuts the page out of sorted names, and returns where the next one is.
    pub(crate) fn cut(&self, mut names: Vec<String>, path: &str) -> (Vec<String>, Option<String>) {
        if let Some(last) = &self.last {
            let passed = names.partition_point(|name| name <= last);
            names.drain(..passed);
        }
        let Some(n) = self.n.filter(|n| *n < names.len()) else { return (names, None) };
        names.truncate(n);
        let next = names.last().map(|last| format!("<{path}?n={n}&last={}>; rel=\"next\"", encode(last)));
        (names, next)
    }
}

/// Adds the address of the next page to an answer.
pub(crate) fn with_link(mut response: Response, link: Option<String>) -> Response {
    if let Some(link) = link.and_then(|link| HeaderValue::from_str(&link).ok()) {
        response.headers_mut().insert("Link", link);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let uri: Uri = "/x?digest=sha256%3Aab&from=a/b&bad=%zz&tag=1&tag=2&kind=a/b+json".parse().unwrap();
        assert_eq!(parameter(&uri, "digest").unwrap(), "sha256:ab");
        assert_eq!(parameter(&uri, "from").unwrap(), "a/b");
        assert_eq!(parameter(&uri, "bad").unwrap(), "%zz");
        assert_eq!(parameter(&uri, "kind").unwrap(), "a/b+json");
        assert_eq!(parameters(&uri, "tag").collect::<Vec<_>>(), ["1", "2"]);
        let kept = format!("/x?v={}", encode("a/b+json;x=ü&"));
        assert_eq!(parameter(&kept.parse().unwrap(), "v").unwrap(), "a/b+json;x=ü&");
    }

    #[test]
    fn pages_follow_one_another_until_the_last() {
        let names = || ["1", "2", "3"].map(str::to_owned).to_vec();
        let page = |query: &str| Page::of(&format!("/x?{query}").parse().unwrap()).unwrap();
        assert_eq!(page("").cut(names(), "/p"), (names(), None));
        let first = page("n=2").cut(names(), "/p");
        assert_eq!(first, (names()[..2].to_vec(), Some("</p?n=2&last=2>; rel=\"next\"".to_owned())));
        assert_eq!(page("n=2&last=2").cut(names(), "/p"), (names()[2..].to_vec(), None));
        assert_eq!(page("last=10").cut(names(), "/p").0, names()[1..], "an entry that is gone is a place still");
        assert_eq!(page("n=0").cut(names(), "/p"), (Vec::new(), None));
        assert!(Page::of(&"/x?n=-1".parse().unwrap()).is_err());
    }
}
