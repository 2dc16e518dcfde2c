//! Overrides: the parts of a rule that a trigger changes for its own builds.

use super::request::{Cache, TriggerRequest, checked_reason, checked_target};
use crate::configuration::document::{check_name, check_platforms, check_values, milliseconds};
use crate::configuration::settings::Repository;
use crate::http::problem::Problem;
use crate::rules::{inside, legal, sensitive};
use crate::view::code::Code;
use database::{BuildRequest, marks};

impl TriggerRequest {
    /// Tells whether anything but ref and rules is asked for.
    pub(crate) fn has_overrides(&self) -> bool {
        let texts = [&self.dockerfile, &self.context, &self.target, &self.reason, &self.timeout];
        texts.iter().any(|text| text.is_some())
            || !(self.tags.is_empty() && self.build_args.is_empty() && self.env.is_empty())
            || self.secrets.is_some()
            || self.platforms.is_some()
            || self.cache.is_some()
            || self.push.is_some()
            || self.priority.is_some()
    }

    /// Changes a request as was asked for; every value is checked.
    pub(crate) fn change(&self, repository: &Repository, build: &mut BuildRequest) -> Result<(), Problem> {
        self.place(build)?;
        let spec = &mut build.spec;
        if !self.tags.is_empty() {
            if spec.options.bake.is_some() {
                let detail = format!("tags: those of the rule `{}` stand in `{}`", build.rule, spec.dockerfile);
                return Err(Problem::new(Code::InvalidTag, detail));
            }
            let rule = repository.rules.iter().find(|rule| rule.name == build.rule);
            let image = rule.map_or(repository.image.as_str(), |rule| repository.image_of(rule));
            spec.tags.clear();
            for tag in &self.tags {
                if tag.is_empty() || legal(tag) != *tag || tag.contains(marks::is_mark) {
                    return Err(Problem::new(
                        Code::InvalidTag,
                        format!("tags: {tag:?} is not a tag that registries accept"),
                    ));
                }
                spec.tags.push(format!("{image}:{tag}"));
            }
        }
        let invalid = |problem| Problem::new(Code::InvalidBuildArgs, problem);
        check_values("build_args", &self.build_args).map_err(invalid)?;
        check_values("env", &self.env).map_err(invalid)?;
        for (name, value) in self.env.iter().chain(&self.build_args) {
            spec.build_args.insert(name.clone(), marks::without(value));
        }
        sensitive::warn(self.env.keys().chain(self.build_args.keys()), &mut spec.options.warnings);
        match self.cache {
            Some(Cache::Use) => spec.use_cache = true,
            Some(Cache::NoRead | Cache::Off) => spec.use_cache = false,
            None => {}
        }
        if self.pull == Some(false) {
            let problem =
                Problem::new(Code::PullAlways, "pull: base images are always resolved again; `false` is not possible");
            return Err(problem);
        }
        spec.push = self.push.unwrap_or(spec.push);
        self.change_options(build)
    }

    /// Says where Dockerfile and context are, as a rule does.
    fn place(&self, build: &mut BuildRequest) -> Result<(), Problem> {
        let field = |name: &'static str, text: &Option<String>| {
            let escapes = |problem: String| {
                let code = if problem.contains("leads out") { Code::PathEscapesContext } else { Code::InvalidPath };
                Problem::new(code, format!("{name}: {problem}"))
            };
            text.as_deref().map(inside).transpose().map_err(escapes)
        };
        let (dockerfile, context) = (field("dockerfile", &self.dockerfile)?, field("context", &self.context)?);
        let spec = &mut build.spec;
        match (dockerfile, context) {
            (None, None) => {}
            (Some(file), None) => spec.dockerfile = join(&spec.context, &file),
            (None, Some(context)) => {
                let inner = spec.dockerfile.strip_prefix(&format!("{}/", spec.context)).unwrap_or(&spec.dockerfile);
                spec.dockerfile = join(&context, inner);
                spec.context = context;
            }
            (Some(file), Some(context)) => {
                spec.dockerfile = join(&context, &file);
                spec.context = context;
            }
        }
        if let Some(target) = &self.target {
            let target = checked_target(target)?;
            match &mut spec.options.bake {
                Some(file) => file.targets = vec![target],
                None => spec.target = Some(target),
            }
        }
        Ok(())
    }

    fn change_options(&self, build: &mut BuildRequest) -> Result<(), Problem> {
        let options = &mut build.spec.options;
        if let Some(names) = &self.secrets {
            let invalid = |problem| Problem::new(Code::InvalidSecrets, problem);
            names.iter().try_for_each(|name| check_name("secret", name)).map_err(invalid)?;
            options.secrets.clone_from(names);
        }
        if let Some(platforms) = &self.platforms {
            check_platforms(platforms).map_err(|problem| Problem::new(Code::InvalidPlatforms, problem))?;
            options.platforms.clone_from(platforms);
        }
        if let Some(priority) = self.priority {
            options.priority = priority.number();
        }
        if let Some(text) = &self.timeout {
            let span = milliseconds(text)
                .map_err(|problem| Problem::new(Code::InvalidTimeout, format!("timeout: {problem}")))?;
            options.timeout_ms = Some(span);
        }
        options.reason = self.reason.as_deref().map(checked_reason).transpose()?;
        Ok(())
    }
}

fn join(context: &str, file: &str) -> String {
    let file = if file.is_empty() { "Dockerfile" } else { file };
    if context.is_empty() { file.to_owned() } else { format!("{context}/{file}") }
}
