//! Flags as docker's command line has them: long and short, with values and without, mixed with what they are for.

use std::collections::BTreeMap;

/// The flags of one command.
pub(crate) struct Flags {
    /// Flags with a value: the long name, and a letter or a space.
    pub values: &'static [(&'static str, char)],
    /// Flags without one.
    pub switches: &'static [(&'static str, char)],
    /// Whether flags after the first argument belong to a command that follows.
    pub stops_at_argument: bool,
}

/// A command line that was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    values: BTreeMap<&'static str, Vec<String>>,
    /// Everything besides the flags.
    pub arguments: Vec<String>,
}

impl Parsed {
    /// Returns the values of a flag, in their order.
    pub(crate) fn all(&self, name: &str) -> &[String] {
        self.values.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns the last value of a flag.
    pub(crate) fn last(&self, name: &str) -> Option<&str> {
        self.all(name).last().map(String::as_str)
    }

    /// Returns whether a switch is on.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.last(name).is_some_and(|value| !matches!(value, "false" | "0" | "f" | "F" | "False" | "FALSE"))
    }
}

impl Flags {
    /// Reads `arguments`; a flag that is not known is refused as docker refuses it.
    pub(crate) fn parse(&self, arguments: &[String]) -> Result<Parsed, String> {
        let mut parsed = Parsed::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if argument == "--" {
                parsed.arguments.extend(rest.by_ref().cloned());
            } else if let Some(long) = argument.strip_prefix("--") {
                self.long(long, &mut rest, &mut parsed)?;
            } else if argument.len() > 1 && argument.starts_with('-') {
                self.short(&argument[1..], &mut rest, &mut parsed)?;
            } else {
                parsed.arguments.push(argument.clone());
                if self.stops_at_argument {
                    parsed.arguments.extend(rest.by_ref().cloned());
                }
            }
        }
        Ok(parsed)
    }

    fn long<'a>(
        &self,
        text: &str,
        rest: &mut impl Iterator<Item = &'a String>,
        parsed: &mut Parsed,
    ) -> Result<(), String> {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value.to_owned())));
        if let Some((name, _)) = self.values.iter().find(|(known, _)| *known == name) {
            let value = value.or_else(|| rest.next().cloned());
            let value = value.ok_or_else(|| format!("flag needs an argument: --{name}"))?;
            parsed.values.entry(name).or_default().push(value);
            return Ok(());
        }
        let (name, _) = self
            .switches
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| format!("unknown flag: --{name}: slipway's docker in hooks does not have it"))?;
        parsed.values.entry(name).or_default().push(value.unwrap_or_else(|| "true".to_owned()));
        Ok(())
    }

    fn short<'a>(
        &self,
        text: &str,
        rest: &mut impl Iterator<Item = &'a String>,
        parsed: &mut Parsed,
    ) -> Result<(), String> {
        let mut at = 0;
        for letter in text.chars() {
            at += letter.len_utf8();
            if let Some((name, _)) = self.switches.iter().find(|(_, known)| *known == letter) {
                parsed.values.entry(name).or_default().push("true".to_owned());
                continue;
            }
            let (name, _) = self.values.iter().find(|(_, known)| *known == letter).ok_or_else(|| {
                format!("unknown shorthand flag: '{letter}' in -{text}: slipway's docker in hooks does not have it")
            })?;
            let attached = text[at..].strip_prefix('=').unwrap_or(&text[at..]);
            let value = if attached.is_empty() { rest.next().cloned() } else { Some(attached.to_owned()) };
            let value = value.ok_or_else(|| format!("flag needs an argument: '{letter}' in -{text}"))?;
            parsed.values.entry(name).or_default().push(value);
            break;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: Flags = Flags {
        values: &[("tag", 't'), ("build-arg", ' ')],
        switches: &[("quiet", 'q'), ("pull", ' ')],
        stops_at_argument: false,
    };

    fn parse(line: &str) -> Result<Parsed, String> {
        FLAGS.parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn flags_are_read_in_all_their_forms() {
        let parsed = parse("--build-arg A=b -qt x . --tag=y -tz --pull=false -- -w").unwrap();
        assert_eq!(parsed.all("tag"), ["x", "y", "z"]);
        assert_eq!(parsed.last("build-arg"), Some("A=b"));
        assert!(parsed.is_on("quiet") && !parsed.is_on("pull"));
        assert_eq!(parsed.arguments, [".", "-w"]);
    }

    #[test]
    fn unknown_flags_are_refused() {
        assert!(parse("--squash .").unwrap_err().starts_with("unknown flag: --squash"));
        assert!(parse("-z .").unwrap_err().starts_with("unknown shorthand flag: 'z' in -z"));
        assert_eq!(parse(". -t").unwrap_err(), "flag needs an argument: 't' in -t");
    }

    #[test]
    fn flags_of_a_command_that_follows_are_its_own() {
        let flags = Flags { stops_at_argument: true, ..FLAGS };
        let line = ["-q", "image", "ls", "-l"].map(str::to_owned);
        assert_eq!(flags.parse(&line).unwrap().arguments, ["image", "ls", "-l"]);
    }
}
