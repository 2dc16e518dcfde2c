//! Values that are one of few, or have a shape: platforms, patterns of paths, hosts, keys of deliveries.

use super::diagnostics::nearest;

/// Platforms that images are made for.
const PLATFORMS: [&str; 20] = [
    "linux/amd64",
    "linux/arm64",
    "linux/arm/v7",
    "linux/arm/v6",
    "linux/arm/v5",
    "linux/arm",
    "linux/386",
    "linux/ppc64le",
    "linux/s390x",
    "linux/riscv64",
    "linux/mips64le",
    "linux/mips64",
    "linux/loong64",
    "linux/wasm",
    "linux/amd64/v1",
    "linux/amd64/v2",
    "linux/amd64/v3",
    "linux/amd64/v4",
    "linux/arm64/v8",
    "linux/arm64/v9",
];
/// Other names of architectures that stand for those above.
const ALIASES: [&str; 5] = ["linux/x86_64", "linux/x86-64", "linux/aarch64", "linux/armhf", "linux/i386"];
/// Shortest key of deliveries.
const MIN_KEY: usize = 8;

/// Checks platforms.
pub(crate) fn check_platforms(platforms: &[String]) -> Result<(), String> {
    for (number, platform) in platforms.iter().enumerate() {
        let written = platform.to_ascii_lowercase();
        if !PLATFORMS.iter().chain(&ALIASES).any(|known| *known == written) {
            let meant =
                nearest(&written, &PLATFORMS).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            let known = PLATFORMS[..11].join(", ");
            return Err(format!("{platform:?} is not a platform that images are made for{meant} (there are {known})"));
        }
        if platforms[..number].iter().any(|other| other.eq_ignore_ascii_case(platform)) {
            return Err(format!("the platform {platform:?} is there twice"));
        }
    }
    Ok(())
}

/// Checks a pattern of paths, of the grammar of `.dockerignore`.
pub(crate) fn check_pattern(pattern: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("`{pattern}` is not a pattern: {why}"));
    let plain = pattern.strip_prefix('!').unwrap_or(pattern).trim();
    if plain.is_empty() {
        return wrong("it names nothing");
    }
    let mut chars = plain.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' if chars.next().is_none() => {
                return wrong("a backslash stands at its end; one that means itself is written twice");
            }
            '[' => check_class(&mut chars).or_else(|why| wrong(&why))?,
            _ => {}
        }
    }
    Ok(())
}

/// Reads what stands behind a `[`.
fn check_class(chars: &mut std::str::Chars<'_>) -> Result<(), String> {
    let unclosed = || "a `[` is not closed; one that means itself is written `\\[`".to_owned();
    let mut rest = chars.as_str();
    rest = rest.strip_prefix('^').unwrap_or(rest);
    *chars = rest.chars();
    let mut ranges = 0;
    loop {
        let one = |chars: &mut std::str::Chars<'_>| match chars.next() {
            Some('\\') => chars.next(),
            other => other,
        };
        let is_escaped = chars.as_str().starts_with('\\');
        let low = one(chars).ok_or_else(unclosed)?;
        if low == ']' && !is_escaped {
            return if ranges > 0 { Ok(()) } else { Err("`[]` matches nothing".to_owned()) };
        }
        if low == '-' && !is_escaped {
            return Err("a `-` in brackets stands between two characters".to_owned());
        }
        ranges += 1;
        if chars.as_str().starts_with('-') {
            chars.next();
            let high = one(chars).ok_or_else(unclosed)?;
            if high == ']' || high < low {
                return Err(format!("`{low}-{high}` is not a range"));
            }
        }
    }
}

/// Checks a key of a map of logins: a host, with a port where that is not the usual one.
pub(crate) fn check_host(host: &str) -> Result<(), String> {
    let bare = host.split_once("://").map_or(host, |(_, rest)| rest);
    let bare = bare.rsplit_once('@').map_or(bare, |(_, rest)| rest);
    let bare = bare.split(['/', '?', '#']).next().unwrap_or_default();
    let meant = match bare {
        "index.docker.io" | "registry-1.docker.io" | "hub.docker.com" | "registry.hub.docker.com" => "docker.io",
        other => other,
    };
    let allowed = |char: char| char.is_ascii_alphanumeric() || ".-_:[]".contains(char);
    let port = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map(|(_, port)| port);
    let has_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    if !host.is_empty() && host.chars().all(allowed) && has_port {
        return Ok(());
    }
    let remedy = if meant.is_empty() { String::new() } else { format!(": write `{meant}`") };
    Err(format!("`{}` is not a host, as in registry.example.com or 127.0.0.1:5000{remedy}", database::redact(host)))
}

/// Checks a key that deliveries are signed with: an attacker who guesses it decides what is built.
pub(crate) fn check_key(key: &str) -> Result<(), String> {
    let length = key.chars().count();
    if length >= MIN_KEY {
        return Ok(());
    }
    Err(format!(
        "a secret of {length} characters is guessed too easily: at least {MIN_KEY} are needed, `openssl rand -hex 32` makes a good one"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_those_that_there_are() {
        // US-14
        let check = |platform: &str| check_platforms(&[platform.to_owned()]);
        for good in ["linux/amd64", "linux/arm/v7", "linux/aarch64", "linux/ARM64"] {
            check(good).unwrap();
        }
        for (bad, meant) in [
            ("linux/amd46", "linux/amd64"),
            ("linux/arm46", "linux/arm64"),
            ("linx/amd64", "linux/amd64"),
            ("linux/arm/v77", "linux/arm/v7"),
        ] {
            let error = check(bad).unwrap_err();
            assert!(error.contains(&format!("did you mean `{meant}`?")), "{error}");
        }
        for bad in ["linux/foo", "linux", "", "windows/amd64", "linux/amd64/v1/x", "linux/amd64 "] {
            assert!(check(bad).unwrap_err().contains("linux/amd64"), "{bad}");
        }
        assert!(check_platforms(&["linux/amd64".to_owned(), "linux/amd64".to_owned()]).unwrap_err().contains("twice"));
    }

    #[test]
    fn patterns_are_whole() {
        // US-14
        for good in ["src/**", "!docs", "[a-z]*.go", "[^x]", "a\\[b", "*.[ch]", "[\\]]", "**"] {
            check_pattern(good).unwrap();
        }
        for bad in ["[a", "[", "x[", "[]", "[z-a]", "[a-", "[a-]", "[-a]", "a\\", "!", "", " ", "[a\\"] {
            assert!(check_pattern(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn logins_are_for_hosts() {
        // US-14
        for good in ["registry.example.com", "127.0.0.1:5000", "[::1]:5000", "localhost", "docker.io"] {
            check_host(good).unwrap();
        }
        for (bad, meant) in [
            ("https://registry.example.com", "registry.example.com"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("registry.example.com/team", "registry.example.com"),
            ("https://me:pw@git.example.com:8443/x", "git.example.com:8443"),
        ] {
            let error = check_host(bad).unwrap_err();
            assert!(error.contains(&format!("write `{meant}`")) && !error.contains("pw"), "{error}");
        }
        assert!(check_host("").is_err() && check_host("host:port").is_err() && check_host("a b").is_err());
        assert!(check_key("abc").unwrap_err().contains("openssl") && check_key("own secret").is_ok());
    }
}
