//! `.gitmodules`: git's configuration format, of which a submodule's path, URL and manner of updating are read.

/// A submodule as `.gitmodules` has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Module {
    name: String,
    /// Where it stands in the tree.
    pub path: String,
    /// Where it comes from; may be relative to the repository's own URL.
    pub url: String,
    /// Whether clones leave it out (`update = none`).
    pub is_left_out: bool,
}

/// Returns the submodules that have a path and a URL.
pub(crate) fn parse(text: &str) -> Vec<Module> {
    let mut found: Vec<Module> = Vec::new();
    let mut at = None;
    for line in whole_lines(text) {
        let mut line = line.trim();
        if let Some(rest) = line.strip_prefix('[') {
            let Some((header, rest)) = end_of_header(rest) else { continue };
            at = named(header).map(|name| place(&mut found, &name));
            line = rest.trim_start();
        }
        if let (Some(at), Some((key, written))) = (at, line.split_once('=')) {
            let module: &mut Module = &mut found[at];
            match key.trim().to_lowercase().as_str() {
                "path" => module.path = value(written),
                "url" => module.url = value(written),
                "update" => module.is_left_out = value(written) == "none",
                _ => {}
            }
        }
    }
    found.retain(|module| !module.path.is_empty() && !module.url.is_empty());
    found
}

/// Returns the value of `key` in the section `section`, as of `.lfsconfig`; the last one counts.
pub(crate) fn setting(text: &str, section: &str, key: &str) -> Option<String> {
    let (mut inside, mut found) = (false, None);
    for line in whole_lines(text) {
        let mut line = line.trim();
        if let Some(rest) = line.strip_prefix('[') {
            let Some((header, rest)) = end_of_header(rest) else { continue };
            inside = header.trim().eq_ignore_ascii_case(section);
            line = rest.trim_start();
        }
        match line.split_once('=') {
            Some((name, written)) if inside && name.trim().eq_ignore_ascii_case(key) => found = Some(value(written)),
            _ => {}
        }
    }
    found.filter(|value| !value.is_empty())
}

/// Joins the lines that end with a backslash with those that follow.
fn whole_lines(text: &str) -> Vec<String> {
    let (mut lines, mut begun) = (Vec::new(), String::new());
    for line in text.lines() {
        begun.push_str(line);
        let backslashes = begun.bytes().rev().take_while(|&byte| byte == b'\\').count();
        if backslashes % 2 == 1 {
            begun.pop();
            continue;
        }
        lines.push(std::mem::take(&mut begun));
    }
    lines.push(begun);
    lines
}

/// Parts a section's header from what follows on its line; a bracket may stand in the quoted name.
fn end_of_header(text: &str) -> Option<(&str, &str)> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ']' if !quoted => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

/// Returns the name of a section that is a submodule's.
fn named(header: &str) -> Option<String> {
    let (section, name) = header.split_once(char::is_whitespace)?;
    let name = name.trim().strip_prefix('"')?.strip_suffix('"')?;
    section.eq_ignore_ascii_case("submodule").then(|| value(&format!("\"{name}\"")))
}

fn place(found: &mut Vec<Module>, name: &str) -> usize {
    found.iter().position(|module| module.name == name).unwrap_or_else(|| {
        found.push(Module { name: name.to_owned(), ..Module::default() });
        found.len() - 1
    })
}

/// Returns a value without quotes, escapes and what follows it as a comment.
fn value(text: &str) -> String {
    let (mut value, mut kept, mut quoted) = (String::new(), 0, false);
    let mut chars = text.trim().chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => quoted = !quoted,
            '#' | ';' if !quoted => break,
            '\\' => value.push(match chars.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some(other) => other,
                None => break,
            }),
            other => value.push(other),
        }
        if quoted || !char.is_whitespace() {
            kept = value.len();
        }
    }
    value.truncate(kept);
    value
}

/// Returns the URL of a submodule, which may be relative to the repository's.
///
/// As in git each `../` takes the last part away, and in `host:path` the colon parts like a slash; but no URL leads to
/// another server than the one that it is relative to.
pub(crate) fn absolute(base: &str, url: &str) -> String {
    if !(url.starts_with("./") || url.starts_with("../")) {
        return url.to_owned();
    }
    let mut base = base.trim_end_matches('/').to_owned();
    let (mut rest, mut border) = (url, '/');
    loop {
        if let Some(next) = rest.strip_prefix("./") {
            rest = next;
        } else if let Some(next) = rest.strip_prefix("../") {
            rest = next;
            match base.rfind('/') {
                // The part before the host is not a directory to go up to.
                Some(slash) if base[..slash].ends_with('/') => break,
                Some(slash) => base.truncate(slash),
                None => {
                    if let Some(colon) = base.rfind(':') {
                        base.truncate(colon);
                        border = ':';
                    }
                    break;
                }
            }
        } else {
            break;
        }
    }
    format!("{base}{border}{}", rest.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        parse(text).into_iter().map(|module| (module.path, module.url)).collect()
    }

    #[test]
    fn paths_and_urls_are_read() {
        let text = "# c\n[submodule \"a\"]\n\tpath = libs/a\n\turl = ../a.git\n[submodule \"b\"]\n\tpath = b\n[submodule \"c\"]\n url=\"https://h/c.git\"\n path = c\n";
        let expected = [("libs/a", "../a.git"), ("c", "https://h/c.git")];
        assert_eq!(read(text), expected.map(|(path, url)| (path.to_owned(), url.to_owned())));
    }

    #[test]
    fn the_format_is_that_of_git() {
        let one = |text: &str| read(text).pop().unwrap();
        let expected = ("a b".to_owned(), "https://h/#x.git".to_owned());
        for text in [
            "[submodule \"x\"] path = a b ; why\nurl = \"https://h/#x.git\" # here\n",
            "[Submodule \"]\\\"\"]\nPATH = \"a \"b\nURL = https://h/\\\n\"#x.git\"\n",
            "[submodule \"x\"]\npath = a b\n[core]\nurl = https://other\n[submodule \"x\"]\nurl = \"https://h/#x.git\"\n",
        ] {
            assert_eq!(one(text), expected, "{text}");
        }
        assert!(parse("[submodule \"x\"]\npath=a\nurl=b\nupdate = none").pop().unwrap().is_left_out);
        assert!(read("path = a\nurl = b\n[submodule]\npath = a\nurl = b\n[submodule \"x\"\npath=a").is_empty());
    }

    #[test]
    fn a_setting_is_one_of_its_section() {
        let text = "[core]\nurl = https://a\n[LFS]\n\turl = \"https://b\" # c\n[lfs \"x\"] url = https://d\n";
        assert_eq!(setting(text, "lfs", "url").as_deref(), Some("https://b"));
        assert_eq!(setting("[lfs]\nurl =\n", "lfs", "url"), None);
    }

    #[test]
    fn relative_urls_are_resolved_as_git_does_it_and_stay_on_the_server() {
        for (base, url, expected) in [
            ("https://h/team/app.git", "../a.git", "https://h/team/a.git"),
            ("https://h/team/app.git/", "../../x/a.git/", "https://h/x/a.git"),
            ("https://h/app.git", "./sub.git", "https://h/app.git/sub.git"),
            ("https://h/app.git", "../../../../x", "https://h/../../x"),
            ("https://h/app.git", "https://o/x.git", "https://o/x.git"),
            ("ssh://git@h:2222/team/app.git", "../a.git", "ssh://git@h:2222/team/a.git"),
            ("git@h:team/app.git", "../a.git", "git@h:team/a.git"),
            ("git@h:team/app.git", "../../a.git", "git@h:a.git"),
            ("git@h:app.git", "../a.git", "git@h:a.git"),
            ("git@h:app.git", "../../a.git", "git@h:../a.git"),
        ] {
            assert_eq!(absolute(base, url), expected, "{base} {url}");
        }
    }
}
