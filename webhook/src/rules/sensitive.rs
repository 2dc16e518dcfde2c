//! Build arguments whose names sound like secrets: they can be read in the image's history, and in what the API shows.

/// Words of names that stand for secrets, as BuildKit's check of `ARG` and `ENV` has them.
const SECRET: [&str; 10] =
    ["apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token"];
/// Words beside which they do not.
const HARMLESS: [&str; 3] = ["public", "file", "version"];

/// Adds a warning for each of the names of build arguments that sounds like a secret, unless it is there.
pub(crate) fn warn<'n>(names: impl IntoIterator<Item = &'n String>, warnings: &mut Vec<String>) {
    for name in names.into_iter().filter(|name| is_sensitive(name)) {
        let text = format!(
            "the build argument `{name}` sounds like a secret, but whoever has the image can read it: use `secrets` and \
             `RUN --mount=type=secret`"
        );
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }
}

fn is_sensitive(name: &str) -> bool {
    let lower = name.to_lowercase();
    let has = |words: &[&str]| lower.split('_').any(|word| words.contains(&word));
    has(&SECRET) && !has(&HARMLESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_sound_like_secrets_are_warned_of_once() {
        // SEC-04
        let names = ["NPM_TOKEN", "password", "MONKEY", "PUBLIC_KEY", "TOKEN_VERSION", "AUTHOR", "Api_Key"];
        let names = names.map(str::to_owned);
        let mut warnings = Vec::new();
        warn(&names, &mut warnings);
        warn(&names, &mut warnings);
        let named: Vec<_> = warnings.iter().filter_map(|warning| warning.split('`').nth(1)).collect();
        assert_eq!(named, ["NPM_TOKEN", "password", "Api_Key"]);
    }
}
