//! Links to the forge that a repository is fetched from, where its address is one that a browser can open.

use url::Url;

/// Returns the address of the repository's page.
pub(crate) fn repository(clone_url: &str) -> Option<String> {
    let url = Url::parse(clone_url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let path = url.path().trim_end_matches('/').trim_end_matches(".git");
    Some(format!("{}://{}{port}{path}", url.scheme(), url.host_str()?))
}

/// Returns the address of a commit's page.
pub(crate) fn commit(clone_url: &str, commit: &str) -> Option<String> {
    let base = repository(clone_url)?;
    let word = if base.contains("://bitbucket.org/") { "commits" } else { "commit" };
    Some(format!("{base}/{word}/{commit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_hold_neither_logins_nor_other_schemes() {
        let of = |url| repository(url);
        assert_eq!(of("https://me:pw@github.com/a/b.git").as_deref(), Some("https://github.com/a/b"));
        assert_eq!(of("http://git.lan:3000/a/b/").as_deref(), Some("http://git.lan:3000/a/b"));
        assert_eq!((of("ssh://git@github.com/a/b"), of("javascript:alert(1)"), of("/srv/git")), (None, None, None));
        assert_eq!(commit("https://bitbucket.org/a/b", "c0").as_deref(), Some("https://bitbucket.org/a/b/commits/c0"));
        assert_eq!(commit("https://github.com/a/b", "c0").as_deref(), Some("https://github.com/a/b/commit/c0"));
    }
}
