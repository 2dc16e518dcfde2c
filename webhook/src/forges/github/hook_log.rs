//! GitHub's log of its deliveries: `/repos/{owner}/{repo}/hooks/{id}/deliveries`, and `/app/hook/deliveries` of an App.

use crate::forges::client::{Call, CallError, ForgeClient};
use crate::forges::hook_log::{Sent, list, number};
use crate::forges::status::repository_path;
use axum::http::HeaderMap;
use serde_json::Value;

/// Path of the webhook of an App.
pub(crate) const APP_HOOK: &str = "/app/hook";
/// Pages that are read at most: GitHub keeps deliveries of three days.
const MAX_PAGES: usize = 5;

/// Returns the newest deliveries, newest first; those for one repository, if its id is given.
pub(crate) async fn sent(
    client: &ForgeClient<'_>,
    hook: &str,
    repository_id: Option<&str>,
) -> Result<Vec<Sent>, CallError> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    for _ in 0..MAX_PAGES {
        let answer = client.answer(Call::get(format!("{hook}/deliveries?per_page=100{cursor}"))).await?;
        let found = list(&answer.body)?;
        let is_meant = |one: &&Value| repository_id.is_none_or(|id| number(&one["repository_id"]) == id);
        all.extend(found.iter().filter(is_meant).filter_map(read));
        match next(&answer.headers) {
            Some(next) if !found.is_empty() => cursor = format!("&cursor={next}"),
            _ => break,
        }
    }
    Ok(all)
}

/// Returns the id that GitHub has for a repository; `client` asks with a token for it.
pub(crate) async fn repository_id(client: &ForgeClient<'_>, repository: &str) -> Result<String, CallError> {
    let (owner, name) = repository_path(repository).map_err(CallError::Refused)?;
    let body = client.call(Call::get(format!("/repos/{owner}/{name}"))).await?;
    let found: Value = serde_json::from_slice(&body).unwrap_or_default();
    match number(&found["id"]) {
        id if id.is_empty() => {
            Err(CallError::Again("the forge's answer about the repository cannot be read".to_owned()))
        }
        id => Ok(id),
    }
}

/// Returns what is wrong with the webhook of an App, which is to deliver to `url`.
pub(crate) async fn app_faults(client: &ForgeClient<'_>, url: &str) -> Result<Vec<String>, CallError> {
    let body = client.call(Call::get(format!("{APP_HOOK}/config"))).await?;
    let known: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut faults = Vec::new();
    match known["url"].as_str().unwrap_or_default().trim_end_matches('/') {
        "" => faults.push("the App has no webhook".to_owned()),
        other if !other.eq_ignore_ascii_case(url) => {
            faults.push(format!("the App delivers to `{}`", database::redact(other)))
        }
        _ => {}
    }
    if known["insecure_ssl"] == "1" {
        faults.push("certificates are not checked".to_owned());
    }
    if known["secret"].is_null() {
        faults.push("the App's webhook has no secret".to_owned());
    }
    Ok(faults)
}

fn read(one: &Value) -> Option<Sent> {
    let id = Some(number(&one["id"])).filter(|id| !id.is_empty())?;
    let status = one["status_code"].as_u64().unwrap_or(0);
    let words = one["status"].as_str().unwrap_or_default();
    let event = one["event"].as_str().unwrap_or_default();
    let action = one["action"].as_str().map(|action| format!(".{action}")).unwrap_or_default();
    Some(Sent {
        delivery: one["guid"].as_str().map_or_else(|| id.clone(), str::to_owned),
        id,
        event: format!("{event}{action}"),
        at: one["delivered_at"].as_str().map(str::to_owned),
        answer: if status == 0 { words.to_owned() } else { format!("HTTP {status} {words}") },
        is_taken: (200..300).contains(&status),
    })
}

/// Returns where the next page begins. No other address is followed than the one that was asked.
fn next(headers: &HeaderMap) -> Option<String> {
    let links = headers.get("link")?.to_str().ok()?;
    let link = links.split(',').find(|link| link.contains("rel=\"next\""))?;
    let link = link.split('<').nth(1)?.split('>').next()?;
    let query = link.split_once('?')?.1;
    let cursor = query.split('&').find_map(|pair| pair.strip_prefix("cursor="))?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.%=".contains(&byte);
    (!cursor.is_empty() && cursor.len() <= 200 && cursor.bytes().all(is_plain)).then(|| cursor.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_cursor_of_a_link_counts() {
        let of = |link: &str| next(&HeaderMap::from_iter([("link".parse().unwrap(), link.parse().unwrap())]));
        let link =
            r#"<https://evil.example.com/x?per_page=100&cursor=v1_17>; rel="next", <https://x/?cursor=v0>; rel="prev""#;
        assert_eq!(of(link).as_deref(), Some("v1_17"));
        for link in [r#"<https://x/?cursor=v0>; rel="prev""#, r#"<https://x/?cursor=a b>; rel="next""#, "next", ""] {
            assert_eq!(of(link), None, "{link}");
        }
    }
}
