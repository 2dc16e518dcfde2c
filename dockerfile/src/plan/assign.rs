//! Instructions that set names: `ARG`, `ENV`, and the pairs of `LABEL`.

use super::environment::is_builders_own;
use super::error::Error;
use super::stage::Planning;
use crate::ast::{Arg, Instruction, Pair};
use crate::rules;

impl Planning<'_> {
    /// Declares the arguments of an `ARG`, and returns its line in the history.
    pub(crate) fn arg(&mut self, args: &[Arg], instruction: &Instruction) -> Result<String, Error> {
        let mut shown = Vec::new();
        for arg in args {
            self.report_secret("ARG", &arg.name, instruction);
            let given = self.context.graph.arguments.given(&arg.name).map(str::to_owned);
            let value = match (given, &arg.value) {
                (Some(given), _) => Some(given),
                (None, Some(default)) => Some(self.words().one(default)?),
                (None, None) => self.context.graph.globals.get(&arg.name).map(str::to_owned),
            };
            self.report_unset(instruction);
            self.arguments.set(&arg.name, value.as_deref().unwrap_or(""));
            if let Some(value) = value.as_deref().filter(|_| !is_builders_own(&arg.name)) {
                self.environment.set_last(&arg.name, value);
            }
            shown.push(value.map_or_else(|| arg.name.clone(), |value| format!("{}={value}", arg.name)));
        }
        self.environment.check_size()?;
        Ok(format!("ARG {}", shown.join(" ")))
    }

    /// Sets the variables of an `ENV`, and returns its line in the history.
    pub(crate) fn env(&mut self, pairs: &[Pair], instruction: &Instruction) -> Result<String, Error> {
        let shown = self.pairs(pairs, instruction)?;
        // A variable that is set here is not suggested for one that is used here.
        self.report_unset(instruction);
        for (key, value) in &shown {
            self.report_secret("ENV", key, instruction);
            self.environment.set_last(key, value);
            self.image_variables.set(key, value);
        }
        self.environment.check_size()?;
        Ok(format!("ENV {}", shown_pairs(&shown)))
    }

    /// Expands pairs, all with the variables from before the instruction.
    pub(crate) fn pairs(&self, pairs: &[Pair], instruction: &Instruction) -> Result<Vec<(String, String)>, Error> {
        if pairs.iter().any(|pair| pair.legacy) {
            let keyword = &instruction.keyword;
            let text =
                format!("\"{keyword} key=value\" should be used instead of legacy \"{keyword} key value\" format");
            self.report(&rules::LEGACY_KEY_VALUE_FORMAT, text, instruction);
        }
        let words = self.words();
        pairs.iter().map(|pair| Ok((words.one(&pair.key)?, words.one(&pair.value)?))).collect()
    }

    /// Reports names that sound like secrets: what is set so can be read in the image.
    fn report_secret(&self, keyword: &str, name: &str, instruction: &Instruction) {
        const SECRET: [&str; 10] =
            ["apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token"];
        const HARMLESS: [&str; 3] = ["public", "file", "version"];
        let lower = name.to_lowercase();
        let has = |words: &[&str]| lower.split('_').any(|word| words.contains(&word));
        if has(&SECRET) && !has(&HARMLESS) {
            let text = format!("Do not use ARG or ENV instructions for sensitive data ({keyword} {name:?})");
            self.report(&rules::SECRETS_USED_IN_ARG_OR_ENV, text, instruction);
        }
    }
}

/// Returns pairs as the history shows them.
pub(crate) fn shown_pairs(pairs: &[(String, String)]) -> String {
    let shown: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    shown.join(" ")
}
