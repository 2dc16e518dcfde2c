//! One JSON object a line on standard output, for tools.

use super::display::Display;
use builder::Built;
use builder::event::{Event, Observer};
use serde_json::{Value, json};
use std::time::Duration;

/// Writes events as JSON; those of one of several builds name its target.
#[derive(Default)]
pub(crate) struct Json(pub Option<String>);

impl Json {
    fn print(&self, mut value: Value) {
        if let Some(target) = &self.0 {
            value["target"] = json!(target);
        }
        println!("{value}");
    }
}

impl Observer for Json {
    fn observe(&self, event: Event<'_>) {
        self.print(match event {
            Event::Phase(phase, text) => {
                json!({"event": "phase", "phase": format!("{phase:?}").to_lowercase(), "text": text})
            }
            Event::Commit { id, message } => json!({"event": "commit", "id": id, "message": message}),
            Event::Warning(text) | Event::StaleImage(text) => json!({"event": "warning", "text": text}),
            Event::Planned(steps) => {
                let steps: Vec<_> = steps
                    .iter()
                    .map(|step| json!({"step": step.number, "stage": step.stage, "line": step.line, "instruction": step.instruction}))
                    .collect();
                json!({"event": "planned", "steps": steps})
            }
            Event::Waiting { step } => json!({"event": "waiting", "step": step}),
            Event::Cancelled { step, duration } => {
                json!({"event": "cancelled", "step": step, "duration_ms": duration.as_millis()})
            }
            Event::Started { step } => json!({"event": "started", "step": step}),
            Event::Output { step, bytes } => {
                json!({"event": "output", "step": step, "text": String::from_utf8_lossy(bytes)})
            }
            Event::Finished { step, cached, duration } => {
                json!({"event": "finished", "step": step, "cached": cached, "duration_ms": duration.as_millis()})
            }
            Event::Layer { step, digest, size } => {
                json!({"event": "layer", "step": step, "digest": digest.to_string(), "size": size})
            }
            Event::Failed { step, exit_code, duration } => {
                json!({"event": "failed", "step": step, "exit_code": exit_code, "duration_ms": duration.as_millis()})
            }
        });
    }
}

impl Display for Json {
    fn done(&self, built: &Built, took: Duration) {
        let tags: Vec<_> = built.pushed.iter().map(ToString::to_string).collect();
        let image = &built.image;
        self.print(json!({
            "event": "done", "digest": image.digest.to_string(), "media_type": image.media_type,
            "size": image.size(), "pushed": tags, "duration_ms": took.as_millis(),
        }));
    }

    fn failed(&self, error: &builder::Error) {
        self.print(json!({"event": "error", "code": error.code(), "message": error.report()}));
    }
}
