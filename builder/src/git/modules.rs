//! `.gitmodules`: the few lines of git's configuration format that name a submodule's path and URL.

/// Returns path and URL of each submodule that has both.
pub(crate) fn parse(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let (mut path, mut url) = (None, None);
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            found.extend(path.take().zip(url.take()));
            (path, url) = (None, None);
            continue;
        }
        if line.starts_with(['#', ';']) {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = value.trim().trim_matches('"').to_owned();
        match key.trim().to_lowercase().as_str() {
            "path" => path = Some(value),
            "url" => url = Some(value),
            _ => {}
        }
    }
    found.extend(path.zip(url));
    found
}

/// Returns the URL of a submodule, which may be relative to the repository's.
pub(crate) fn absolute(base: &str, url: &str) -> String {
    if !(url.starts_with("./") || url.starts_with("../")) {
        return url.to_owned();
    }
    let mut base = base.trim_end_matches('/').to_owned();
    let mut rest = url;
    loop {
        if let Some(next) = rest.strip_prefix("./") {
            rest = next;
        } else if let Some(next) = rest.strip_prefix("../") {
            rest = next;
            match base.rfind('/') {
                // The part before the host is not a directory to go up to.
                Some(slash) if !base[..slash].ends_with('/') => base.truncate(slash),
                _ => break,
            }
        } else {
            break;
        }
    }
    format!("{base}/{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_urls_are_read_and_relative_ones_resolved() {
        let text = "# c\n[submodule \"a\"]\n\tpath = libs/a\n\turl = ../a.git\n[submodule \"b\"]\n\tpath = b\n[submodule \"c\"]\n url=\"https://h/c.git\"\n path = c\n";
        let expected = [("libs/a", "../a.git"), ("c", "https://h/c.git")];
        assert_eq!(parse(text), expected.map(|(path, url)| (path.to_owned(), url.to_owned())));
        assert_eq!(absolute("https://h/team/app.git", "../a.git"), "https://h/team/a.git");
        assert_eq!(absolute("https://h/team/app.git", "../../x/a.git"), "https://h/x/a.git");
        assert_eq!(absolute("https://h/app.git", "./sub.git"), "https://h/app.git/sub.git");
        assert_eq!(absolute("https://h/app.git", "../../../../x"), "https://h/../../x");
        assert_eq!(absolute("https://h/app.git", "https://o/x.git"), "https://o/x.git");
    }
}
