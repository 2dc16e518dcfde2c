//! The keys of a repository that only administrators of the server change.

use crate::configuration::document::RepositoryDocument;
use crate::configuration::settings::Scope;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::intake::catalog::Entry;
use crate::rules::is_at_or_below;
use crate::view::code::Code;

/// Refuses changes of what decides whose code is built and where images go, if the forge of one repository is all that the
/// caller's rights come from: another address there would make them rights to another repository.
pub(super) fn check_reserved(
    caller: &Caller,
    present: Option<&Entry>,
    document: &RepositoryDocument,
) -> Result<(), Problem> {
    if !caller.token.as_ref().is_some_and(|token| token.has_owner()) {
        return Ok(());
    }
    let Some(present) = present.map(|entry| &entry.document) else {
        return caller.require_everywhere(Scope::Admin).map(drop);
    };
    let changes = [
        ("clone_url", present.clone_url != document.clone_url),
        ("image", present.image != document.image),
        ("shadow_of", present.shadow_of != document.shadow_of),
        ("forge", present.forge != document.forge),
        ("forge_name", present.forge_name != document.forge_name),
        ("may_read", present.may_read != document.may_read),
        ("own_rules.images", allowed_images(present) != allowed_images(document)),
        ("rules.image", names_new_image(present, document)),
    ];
    match changes.into_iter().find(|change| change.1) {
        Some((key, _)) => {
            let detail = format!(
                "`{key}` is changed by those who administer this server: it decides what your rights are about"
            );
            Err(Problem::new(Code::Forbidden, detail))
        }
        None => Ok(()),
    }
}

fn allowed_images(document: &RepositoryDocument) -> &[String] {
    document.own_rules.as_ref().map_or(&[], |own| own.images.as_slice())
}

/// Tells whether a rule names an image that is neither below the repository's nor in a rule already.
fn names_new_image(present: &RepositoryDocument, document: &RepositoryDocument) -> bool {
    let known: Vec<&String> = present.rules.iter().filter_map(|rule| rule.image.as_ref()).collect();
    let images = document.rules.iter().filter_map(|rule| rule.image.as_ref());
    images.into_iter().any(|image| !is_at_or_below(image, &present.image) && !known.contains(&image))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(rules: &str) -> RepositoryDocument {
        let text =
            format!(r#"{{"name":"a/b","clone_url":"https://x/y.git","image":"r.example.com/a/b","rules":[{rules}]}}"#);
        crate::configuration::document::from_json(text.as_bytes()).unwrap()
    }

    #[test]
    fn rules_name_images_of_others_only_where_an_administrator_named_them() {
        let image = |image: &str| format!(r#"{{"branch":"main","image":"{image}"}}"#);
        let present = document(&image("r.example.com/mono/web"));
        for (named, is_new) in [
            ("r.example.com/mono/web", false),
            ("r.example.com/a/b", false),
            ("r.example.com/a/b/web", false),
            ("r.example.com/a/bc", true),
            ("r.example.com/mono/web/x", true),
            ("other.example.com/a/b", true),
        ] {
            assert_eq!(names_new_image(&present, &document(&image(named))), is_new, "{named}");
        }
    }
}
