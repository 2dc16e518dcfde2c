//! `docker tag`, `images`, `rmi`, `inspect` and `pull` in a hook.

use super::asked::Asked;
use super::engine::Failed;
use super::flags::Flags;
use super::images::{SHORT, by_name, familiar, named};
use super::push_command::own_login;
use crate::execute::SourceImage;
use crate::image::local::image_of;
use registry_client::{ImageConfig, Platform};
use serde_json::{Value, json};

const NONE: Flags = Flags { values: &[], switches: &[], stops_at_argument: false };
const LIST: Flags = Flags {
    values: &[("filter", 'f'), ("format", ' ')],
    switches: &[("all", 'a'), ("quiet", 'q'), ("no-trunc", ' ')],
    stops_at_argument: false,
};
const REMOVE: Flags = Flags { values: &[], switches: &[("force", 'f'), ("no-prune", ' ')], stops_at_argument: false };
const INSPECT: Flags =
    Flags { values: &[("format", 'f'), ("type", ' ')], switches: &[("size", 's')], stops_at_argument: false };
const PULL: Flags = Flags {
    values: &[("platform", ' ')],
    switches: &[("quiet", 'q'), ("disable-content-trust", ' ')],
    stops_at_argument: false,
};

/// `docker tag`.
pub(crate) fn tag(asked: &Asked<'_>) -> Result<u8, Failed> {
    let flags = NONE.parse(asked.arguments).map_err(Failed::usage)?;
    let [source, target] = flags.arguments.as_slice() else {
        return Err(Failed::usage("\"docker tag\" requires exactly 2 arguments."));
    };
    let name = named(target).ok_or_else(|| Failed::usage(format!("Error parsing reference: \"{target}\"")))?;
    if name.digest().is_some() {
        return Err(Failed::daemon("refusing to create a tag with a digest reference"));
    }
    let known = asked.engine.images.get(source).ok_or_else(|| no_such_image(source))?;
    asked.engine.images.add(known.image, &[name]).map_err(Failed::daemon)?;
    Ok(0)
}

/// `docker images`: the columns that scripts read, ids alone with `-q`, or a template of the usual fields.
pub(crate) fn list(asked: &Asked<'_>) -> Result<u8, Failed> {
    let flags = LIST.parse(asked.arguments).map_err(Failed::usage)?;
    if let Some(filter) = flags.last("filter") {
        return Err(Failed::usage(format!("--filter {filter}: slipway's docker in hooks filters by name alone")));
    }
    let known = asked.engine.images.all();
    let wanted = flags.arguments.first().map(String::as_str);
    let mut lines = Vec::new();
    for (name, image) in by_name(&known) {
        let (repository, tag) = name.rsplit_once(':').unwrap_or((&name, "latest"));
        let fits = wanted
            .is_none_or(|wanted| wanted == repository || named(wanted).is_some_and(|wanted| familiar(&wanted) == name));
        if !fits {
            continue;
        }
        let id = image.id().trim_start_matches("sha256:");
        let id = if flags.is_on("no-trunc") { image.id() } else { &id[..SHORT] };
        let size = files::size::Size(image.image.size());
        lines.push(match (flags.last("format"), flags.is_on("quiet")) {
            (Some(template), _) => filled(template, &[("Repository", repository), ("Tag", tag), ("ID", id)])?,
            (None, true) => id.to_owned(),
            (None, false) => format!("{repository:<40} {tag:<20} {id:<14} {size}"),
        });
    }
    if flags.last("format").is_none() && !flags.is_on("quiet") {
        lines.insert(0, format!("{:<40} {:<20} {:<14} SIZE", "REPOSITORY", "TAG", "IMAGE ID"));
    }
    lines.iter().for_each(|line| asked.caller.print(format!("{line}\n")));
    Ok(0)
}

/// `docker rmi`.
pub(crate) fn remove(asked: &Asked<'_>) -> Result<u8, Failed> {
    let flags = REMOVE.parse(asked.arguments).map_err(Failed::usage)?;
    let mut code = 0;
    for name in &flags.arguments {
        match asked.engine.images.remove(name) {
            Some(said) => said.iter().for_each(|line| asked.caller.print(format!("{line}\n"))),
            None => {
                asked.caller.complain(format!("{}\n", no_such_image(name).text));
                code = u8::from(!flags.is_on("force")).max(code);
            }
        }
    }
    Ok(code)
}

/// `docker inspect`: the whole as JSON, or one field.
pub(crate) fn inspect(asked: &Asked<'_>) -> Result<u8, Failed> {
    let flags = INSPECT.parse(asked.arguments).map_err(Failed::usage)?;
    let mut all = Vec::new();
    let mut code = 0;
    for name in &flags.arguments {
        match asked.engine.images.get(name) {
            Some(known) => {
                let names: Vec<String> = known.names.iter().map(familiar).collect();
                let config = known.image.config.clone();
                let bytes = asked.engine.terms.services.store.read(&config.digest, config.size);
                let bytes = bytes.map_err(Failed::daemon)?;
                let config: ImageConfig = serde_json::from_slice(&bytes).map_err(Failed::daemon)?;
                all.push(inspected(known.id(), &names, &config, known.image.size())?);
            }
            None => {
                asked.caller.complain(format!("Error: No such object: {name}\n"));
                code = 1;
            }
        }
    }
    match flags.last("format") {
        Some(template) => {
            for image in &all {
                asked.caller.print(format!("{}\n", field(template, image)?));
            }
        }
        None => {
            let text = serde_json::to_string_pretty(&all).map_err(Failed::daemon)?;
            asked.caller.print(format!("{text}\n"));
        }
    }
    Ok(code)
}

fn inspected(id: &str, names: &[String], config: &ImageConfig, size: u64) -> Result<Value, Failed> {
    let container = serde_json::to_value(&config.config).map_err(Failed::daemon)?;
    Ok(json!({
        "Id": id, "RepoTags": names, "Created": config.created, "Config": container,
        "Architecture": config.architecture, "Os": config.os, "Size": size,
        "RootFS": { "Type": "layers", "Layers": config.rootfs.diff_ids },
    }))
}

/// Returns what a template shows of `value`: one path of fields, or one as JSON.
fn field(template: &str, value: &Value) -> Result<String, Failed> {
    let inside = template.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).map(str::trim);
    let unknown = || {
        let text = "a path of fields is understood, as {{.Config.Env}} or {{json .RepoTags}}";
        Failed::usage(format!("--format {template}: {text}"))
    };
    let inside = inside.ok_or_else(unknown)?;
    let (path, is_json) = inside.strip_prefix("json ").map_or((inside, false), |path| (path.trim(), true));
    let mut at = value;
    for name in path.strip_prefix('.').ok_or_else(unknown)?.split('.').filter(|name| !name.is_empty()) {
        at = at.get(name).unwrap_or(&Value::Null);
    }
    Ok(match at {
        Value::String(text) if !is_json => text.clone(),
        Value::Null if !is_json => "<no value>".to_owned(),
        Value::Array(items) if !is_json => {
            let words: Vec<String> = items.iter().map(|item| item.as_str().unwrap_or_default().to_owned()).collect();
            format!("[{}]", words.join(" "))
        }
        other => other.to_string(),
    })
}

/// Fills the fields of a line's template in.
fn filled(template: &str, fields: &[(&str, &str)]) -> Result<String, Failed> {
    let mut text = template.replace("\\t", "\t");
    for (name, value) in fields {
        text = text.replace(&format!("{{{{.{name}}}}}"), value).replace(&format!("{{{{ .{name} }}}}"), value);
    }
    match text.contains("{{") {
        false => Ok(text),
        true => Err(Failed::usage(format!("--format {template}: .Repository, .Tag and .ID are understood"))),
    }
}

/// `docker pull`, with the rights of the build, or with a login of the hook.
pub(crate) fn pull(asked: &Asked<'_>) -> Result<u8, Failed> {
    let flags = PULL.parse(asked.arguments).map_err(Failed::usage)?;
    let [text] = flags.arguments.as_slice() else {
        return Err(Failed::usage("\"docker pull\" requires exactly 1 argument."));
    };
    let platform = flags.last("platform").map_or(Ok(Platform::host()), str::parse);
    let platform = platform.map_err(|error| Failed::usage(format!("--platform: {error}")))?;
    let known = fetch(asked, text, &platform)?;
    let digest = known.reference.digest().map(ToString::to_string).unwrap_or_default();
    if !flags.is_on("quiet") {
        asked.caller.print(format!("Digest: {digest}\nStatus: Downloaded newer image for {text}\n"));
    }
    asked.caller.print(format!("{}\n", known.asked));
    Ok(0)
}

/// Finds an image of a registry and adds it to those of the attempt.
pub(crate) fn fetch(asked: &Asked<'_>, text: &str, platform: &Platform) -> Result<SourceImage, Failed> {
    let name = named(text).ok_or_else(|| Failed::usage("invalid reference format"))?;
    let engine = asked.engine;
    let has_login = engine.logins().contains_key(name.registry());
    let is_own = engine.terms.tags.iter().any(|tag| tag.registry() == name.registry());
    let services = if has_login && !is_own { own_login(engine)? } else { engine.terms.services.clone() };
    let wanted = std::iter::once((name.to_string(), platform.clone()));
    let found = crate::image::resolve::images(&services, &asked.caller.cancel, wanted).next();
    let found = found.unwrap_or_else(|| Err(crate::Error::cancelled()))?;
    let image = image_of(&services, &found)?;
    engine.images.add(image, &[name]).map_err(Failed::daemon)?;
    Ok(found)
}

/// Returns docker's words for an image that is not there.
pub(crate) fn no_such_image(name: &str) -> Failed {
    Failed::daemon(format!("No such image: {}", named(name).map_or_else(|| name.to_owned(), |name| familiar(&name))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_show_one_path_of_fields() {
        let value = json!({"Config": {"Env": ["A=b", "C=d"], "User": null}, "Id": "sha256:x"});
        for (template, expected) in [
            ("{{.Id}}", "sha256:x"),
            ("{{ .Config.Env }}", "[A=b C=d]"),
            ("{{json .Config.Env}}", r#"["A=b","C=d"]"#),
            ("{{.Config.User}}", "<no value>"),
        ] {
            assert_eq!(field(template, &value).unwrap(), expected);
        }
        assert!(field("{{range .Config.Env}}x{{end}}", &value).is_err());
        assert_eq!(filled("{{.Repository}}:{{.Tag}}", &[("Repository", "a"), ("Tag", "b")]).unwrap(), "a:b");
        assert!(filled("{{.Size}}", &[("Tag", "b")]).is_err());
    }
}
