//! Checks a Dockerfile without building it: what the rules object to, and whether it could be planned.

use crate::error::Code;
use crate::{Error, Request, Services, build};
use dockerfile::DockerfileText;
use dockerfile::plan::{self, Scope};
use dockerfile::{Dockerfile, Warning, snippet, snippet_of_error};
use runtime::CancellationToken;
use std::time::Duration;

/// How long registries are waited for altogether: a file can be checked without them, save for what its images say.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// The result of a check.
#[derive(Debug)]
pub struct Checked {
    /// The warnings, in the order of the file.
    pub warnings: Vec<Warning>,
    /// Why it cannot be built, as far as that can be told without building.
    pub error: Option<Error>,
    /// Why the configurations of some images could not be read; what depends on them was left out.
    pub unknown: Vec<String>,
}

impl Checked {
    /// Tells whether there is nothing to object to.
    pub fn is_clean(&self) -> bool {
        self.error.is_none() && self.warnings.iter().all(|warning| warning.rule.is_note())
    }

    /// Returns the findings as they are shown to people: each with its lines.
    pub fn report(&self, file: &DockerfileText) -> String {
        let mut text = String::new();
        for warning in &self.warnings {
            let url = warning.rule.url().map_or_else(String::new, |url| format!(" - {url}"));
            let lines = (warning.span.first_line, warning.span.last_line);
            let shown = snippet(&file.name, &file.text, &[lines]);
            text.push_str(&format!("\nWARNING: {}{url}\n{}\n{shown}\n", warning.rule.name, warning.message));
        }
        if let Some(error) = &self.error {
            let shown = snippet_of_error(&file.name, &file.text, &error.places(), &error.report());
            text.push_str(&format!("\nERROR: {}\n{shown}\n", error.report()));
        }
        text
    }

    /// Returns the findings as BuildKit's `frontend.lint` answers them.
    pub fn json(&self, file: &DockerfileText) -> serde_json::Value {
        let location = |places: &[(usize, usize)]| {
            let ranges: Vec<_> = places
                .iter()
                .map(|(first, last)| serde_json::json!({"start": {"line": first}, "end": {"line": last}}))
                .collect();
            serde_json::json!({"sourceIndex": 0, "ranges": ranges})
        };
        let warnings: Vec<_> = self
            .warnings
            .iter()
            .map(|warning| {
                serde_json::json!({
                    "ruleName": warning.rule.name,
                    "description": warning.rule.description,
                    "url": warning.rule.url(),
                    "detail": warning.message,
                    "location": location(&[(warning.span.first_line, warning.span.last_line)]),
                })
            })
            .collect();
        let mut found = serde_json::json!({
            "warnings": warnings,
            "sources": [{"filename": file.name, "language": "Dockerfile", "text": String::from_utf8_lossy(&file.text)}],
        });
        if let Some(error) = &self.error {
            found["buildError"] = serde_json::json!({"message": error.report(), "location": location(&error.places())});
        }
        found
    }
}

/// Checks the Dockerfile of `request`: all its stages, or those that the target needs if one is named.
pub fn check(request: &Request, services: &Services) -> Checked {
    let readable = match Readable::new(request) {
        Ok(readable) => readable,
        Err(error) => return Checked { warnings: Vec::new(), error: Some(error), unknown: Vec::new() },
    };
    let scope = if readable.settings.target.is_some() { Scope::Target } else { Scope::All };
    let (planned, unknown) = plan_as_known(request, services, &readable, scope);
    Checked { warnings: readable.lint.warnings(), error: planned.err(), unknown }
}

/// A Dockerfile that could be read, with all that a plan is made from.
pub(crate) struct Readable {
    /// The file.
    pub parsed: Dockerfile,
    /// The choices of the requester.
    pub settings: plan::Settings,
    /// Takes what the rules object to.
    pub lint: plan::Lint,
}

impl Readable {
    /// Reads the Dockerfile of `request`.
    pub(crate) fn new(request: &Request) -> Result<Self, Error> {
        let parsed = Dockerfile::parse(&request.dockerfile.text).map_err(plan::Error::from)?;
        let settings = request.settings(&request.platform());
        let lint = plan::Lint::new(&parsed, &settings)?;
        Ok(Readable { parsed, settings, lint })
    }
}

/// Plans what can be planned, also where images cannot be had; tells why these could not.
pub(crate) fn plan_as_known(
    request: &Request,
    services: &Services,
    readable: &Readable,
    scope: Scope,
) -> (Result<plan::Plan, Error>, Vec<String>) {
    let Readable { parsed, settings, lint } = readable;
    let (mut images, mut unknown) = (plan::BaseImages::new(), Vec::new());
    let cancel = request.options.cancel();
    let asking = ends_soon(services, cancel);
    loop {
        let needed = match plan::Plan::for_file(parsed, settings, &images, scope, lint) {
            Ok(plan::Planned::Ready(plan)) => return (Ok(*plan), unknown),
            Ok(plan::Planned::Needs(needed)) => needed,
            Err(error) => return (Err(error.into()), unknown),
        };
        for (image, resolved) in build::resolve(request, services, needed, &asking) {
            match resolved {
                Ok(resolved) => images.insert(image.key, resolved.config),
                Err(error) if error.code() == Code::Cancelled && !cancel.is_cancelled() => {
                    let seconds = LOOKUP_TIMEOUT.as_secs();
                    unknown.push(format!("resolving image `{}`: no answer within {seconds} s", image.name));
                    images.insert_unknown(image.key);
                }
                Err(error) => {
                    unknown.push(error.with_hint(&plan::image_hint(parsed, &image.name)).report());
                    images.insert_unknown(image.key);
                }
            }
        }
    }
}

/// Returns what is cancelled with `cancel`, or when registries were waited for long enough.
fn ends_soon(services: &Services, cancel: &CancellationToken) -> CancellationToken {
    let asking = cancel.child_token();
    let late = asking.clone();
    services.tokio.spawn(async move {
        tokio::time::sleep(LOOKUP_TIMEOUT).await;
        late.cancel();
    });
    asking
}
