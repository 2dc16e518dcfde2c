//! Rules as sentences: which pushes build what, into which tags, and how.

use crate::rules::{RefKind, Rule};
use crate::view::text::plain;
use database::{LayerCompression, PathFilter, Policy};
use maud::{Markup, html};

/// Returns the rules as a list of sentences.
pub(super) fn list(rules: &[Rule]) -> Markup {
    html! { ol.say { @for rule in rules { li { (sentence(rule)) } } } }
}

fn sentence(rule: &Rule) -> Markup {
    let (kind, kinds) = if rule.kind == RefKind::Branch { ("branch", "branches") } else { ("tag", "tags") };
    let is_expression = rule.source().starts_with('/');
    let how = how(rule);
    html! {
        b { (plain(rule.name.as_bytes())) } ": "
        @if rule.autobuild { "a push to " } @else { "a request for " }
        @if is_expression { (kinds) " like " } @else { "the " (kind) " " }
        code { (plain(rule.source().as_bytes())) } " builds " code { (plain(rule.dockerfile.as_bytes())) }
        @if !rule.context.is_empty() { " in " code { (plain(rule.context.as_bytes())) } }
        @if let Some(target) = &rule.target { " up to the stage " code { (plain(target.as_bytes())) } }
        " into "
        @if let Some(image) = &rule.image { code { (plain(image.as_bytes())) } " as " }
        @for (at, tag) in rule.templates().enumerate() {
            @if at > 0 { ", " }
            code.tag { (plain(tag.as_bytes())) }
        }
        @if !how.is_empty() { "; " (plain(how.join(", ").as_bytes())) }
        "."
    }
}

/// Returns the options that differ from the defaults.
fn how(rule: &Rule) -> Vec<String> {
    let options = &rule.options;
    let mut words = Vec::new();
    let mut say = |holds: bool, what: &str| {
        if holds {
            words.push(what.to_owned())
        }
    };
    say(!rule.cache, "without cache");
    say(options.policy == Policy::Serial, "one at a time");
    say(options.policy == Policy::LatestOnly, "only the latest");
    say(options.path_filter == PathFilter::Automatic, "only if the push changes the image");
    say(options.path_filter == PathFilter::Paths, "only if the push changes its paths");
    say(options.compression == LayerCompression::Zstd, "with layers in zstd");
    say(options.compression == LayerCompression::ZstdChunked, "with layers in zstd:chunked");
    say(options.compression == LayerCompression::Estargz, "with layers in eStargz");
    say(!options.submodules, "without submodules");
    say(options.priority > 0, "before others");
    say(options.priority < 0, "after all others");
    words.extend(rule.schedules.iter().map(|schedule| format!("also at {}", schedule.shown())));
    words.extend((!options.platforms.is_empty()).then(|| format!("for {}", options.platforms.join(" and "))));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_reads_as_a_sentence() {
        let text = |rule: &Rule| {
            let html = sentence(rule).into_string();
            html.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect::<String>()
        };
        let mut rule = Rule::new("main", RefKind::Branch, "main", &["latest".to_owned(), "{sha7}".to_owned()]).unwrap();
        assert_eq!(text(&rule), "main: a push to the branch main builds Dockerfile into latest, {sha7}.");
        rule.image = Some("r.example.com/team/web".to_owned());
        assert!(text(&rule).ends_with(" builds Dockerfile into r.example.com/team/web as latest, {sha7}."));
        rule = Rule::new("release", RefKind::Tag, "/^v(.*)$/", &["{\\1}".to_owned()]).unwrap();
        (rule.cache, rule.autobuild) = (false, false);
        assert_eq!(
            text(&rule),
            "release: a request for tags like /^v(.*)$/ builds Dockerfile into {\\1}; without cache."
        );
    }
}
