//! The shape of check runs, as GitHub takes them.

use serde_json::Value;

/// Refuses a check run that GitHub would not take, in its words.
pub(super) fn check_document(value: &Value, is_new: bool) -> Result<(), String> {
    let invalid = |why: &str| Err(format!("Invalid request. {why}"));
    let fields = [
        "name",
        "head_sha",
        "details_url",
        "external_id",
        "status",
        "started_at",
        "conclusion",
        "completed_at",
        "output",
        "actions",
    ];
    let Some(object) = value.as_object() else { return invalid("not an object") };
    if let Some(key) = object.keys().find(|key| !fields.contains(&key.as_str()) || *key == "head_sha" && !is_new) {
        return invalid(&format!("\"{key}\" is not a permitted key."));
    }
    if is_new && (!value["name"].is_string() || value["head_sha"].as_str().map(str::len) != Some(40)) {
        return invalid("\"head_sha\" wasn't supplied.");
    }
    let conclusions = ["action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"];
    let status = value["status"].as_str().unwrap_or_default();
    let conclusion = value["conclusion"].as_str();
    if !["queued", "in_progress", "completed"].contains(&status)
        || conclusion.is_some_and(|conclusion| !conclusions.contains(&conclusion))
        || conclusion.is_some() != (status == "completed")
    {
        return invalid("status and conclusion do not go together");
    }
    let short = |value: &Value, max: usize| value.as_str().is_some_and(|text| !text.is_empty() && text.len() <= max);
    let output = &value["output"];
    if !short(&output["title"], 255) || !short(&output["summary"], 65_535) {
        return invalid("output: title and summary are required, of at most 65535 characters");
    }
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let annotations = list(&output["annotations"]);
    let is_annotation = |one: &Value| {
        let (from, to) = (one["start_line"].as_u64().unwrap_or(0), one["end_line"].as_u64().unwrap_or(0));
        short(&one["path"], 4096)
            && !one["path"].as_str().unwrap().starts_with('/')
            && from > 0
            && to >= from
            && short(&one["message"], 65_536)
            && ["notice", "warning", "failure"].contains(&one["annotation_level"].as_str().unwrap_or_default())
    };
    if annotations.len() > 50 || !annotations.iter().all(is_annotation) {
        return invalid("output.annotations: at most 50, each with path, lines, level and message");
    }
    let is_button =
        |one: &Value| short(&one["label"], 20) && short(&one["description"], 40) && short(&one["identifier"], 20);
    let actions = list(&value["actions"]);
    if actions.len() > 3 || !actions.iter().all(is_button) {
        return invalid("actions: at most 3, with a label, a description and an identifier");
    }
    Ok(())
}
