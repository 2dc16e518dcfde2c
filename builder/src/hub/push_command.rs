//! `docker push`, `login` and `logout` in a hook.
//!
//! Images of the rule's own repositories are pushed with the build's rights and in its order. To any other place only a
//! login of the hook itself leads, over a client that has no login of the operator and connects to public addresses.

use super::asked::Asked;
use super::engine::{Engine, Failed};
use super::flags::Flags;
use super::images::{familiar, named};
use crate::image::push::{TagOrder, Unordered};
use crate::image::uploads::whole;
use crate::{Image, Services};
use registry_client::{Client, Credentials, Reach, Reference, Rights, Settings};
use std::io::Read;

/// Longest password that is read.
const MAX_PASSWORD: u64 = 64 * 1024;
/// The name of Docker Hub in logins.
const HUB: &str = "docker.io";

const PUSH: Flags = Flags {
    values: &[],
    switches: &[("all-tags", 'a'), ("quiet", 'q'), ("disable-content-trust", ' ')],
    stops_at_argument: false,
};
const LOGIN: Flags = Flags {
    values: &[("username", 'u'), ("password", 'p'), ("email", 'e')],
    switches: &[("password-stdin", ' ')],
    stops_at_argument: false,
};
const LOGOUT: Flags = Flags { values: &[], switches: &[], stops_at_argument: false };

/// `docker push`: one name, or all of a repository.
pub(crate) fn push(asked: &Asked<'_>) -> Result<u8, Failed> {
    let flags = PUSH.parse(asked.arguments).map_err(Failed::usage)?;
    let [text] = flags.arguments.as_slice() else {
        return Err(Failed::usage("\"docker push\" requires exactly 1 argument."));
    };
    let name = named(text).ok_or_else(|| Failed::usage("invalid reference format"))?;
    let is_wanted = |known: &Reference| match flags.is_on("all-tags") {
        true => known.registry() == name.registry() && known.repository() == name.repository(),
        false => *known == name,
    };
    let known = asked.engine.images.all();
    let wanted = known.iter().flat_map(|known| known.names.iter().map(move |name| (&known.image, name)));
    let wanted: Vec<(&Image, &Reference)> = wanted.filter(|(_, known)| is_wanted(known)).collect();
    if wanted.is_empty() {
        let text = format!("An image does not exist locally with the tag: {}", familiar(&name));
        return Err(Failed { code: 1, text });
    }
    for (found, name) in wanted {
        image(asked, found, std::slice::from_ref(name))?;
    }
    Ok(0)
}

/// Pushes an image under names that it has.
pub(crate) fn image(asked: &Asked<'_>, image: &Image, names: &[Reference]) -> Result<(), Failed> {
    for name in names {
        asked.caller.print(format!("The push refers to repository [{}/{}]\n", name.registry(), name.repository()));
        let way = way(asked.engine, name)?;
        let resources = asked.engine.resources(&way.services, &asked.caller.cancel)?;
        let order: &dyn TagOrder = if way.is_own { asked.engine.terms.order.as_ref() } else { &Unordered };
        let pushed = whole(&resources, image, std::slice::from_ref(name), order)?;
        let tag = name.tag().unwrap_or("latest");
        match pushed.is_empty() {
            true => asked.caller.print(format!("{tag}: left alone: a newer commit has it\n")),
            false => {
                let size = image.manifest.len();
                asked.caller.print(format!("{tag}: digest: {} size: {size}\n", image.digest));
            }
        }
        if way.is_own {
            asked.engine.note_pushed(pushed, image);
        }
    }
    Ok(())
}

/// The way to a registry.
struct Way {
    services: Services,
    /// Whether it is where the rule pushes.
    is_own: bool,
}

/// Returns how `name` may be pushed, if it may.
fn way(engine: &Engine, name: &Reference) -> Result<Way, Failed> {
    let terms = &engine.terms;
    let is_own =
        terms.tags.iter().any(|tag| tag.registry() == name.registry() && tag.repository() == name.repository());
    if is_own {
        return Ok(Way { services: terms.services.clone(), is_own });
    }
    if !engine.logins().contains_key(name.registry()) {
        let own = terms.tags.first().map(|tag| format!("to {}/{}", tag.registry(), tag.repository()));
        let own = own.unwrap_or_else(|| "nowhere".to_owned());
        let text = format!(
            "denied: requested access to the resource is denied: this build pushes {own}; for `{}` the hook needs a \
             login of its own: `docker login {}`",
            familiar(name),
            name.registry()
        );
        return Err(Failed { code: 1, text });
    }
    Ok(Way { services: own_login(engine)?, is_own })
}

/// Returns services whose client has the logins of the hooks, none of the operator, and connects to public addresses.
pub(crate) fn own_login(engine: &Engine) -> Result<Services, Failed> {
    let credentials = Credentials::Fixed(engine.logins().clone());
    let client = Client::new(Settings { credentials, ..Settings::default() }).map_err(Failed::daemon)?;
    let rights = Rights { reach: Reach::PublicOnly, own_logins: true, ..Rights::default() };
    Ok(Services { client: client.with_rights(rights), ..engine.terms.services.clone() })
}

/// `docker login`: the login is the attempt's and is checked at the registry.
pub(crate) fn login(asked: &Asked<'_>) -> Result<u8, Failed> {
    let flags = LOGIN.parse(asked.arguments).map_err(Failed::usage)?;
    let server = server(flags.arguments.first().map(String::as_str));
    let user = flags.last("username").ok_or_else(|| Failed {
        code: 1,
        text: "Error: Cannot perform an interactive login from a non TTY device".to_owned(),
    })?;
    let password = match (flags.last("password"), flags.is_on("password-stdin")) {
        (Some(password), _) => password.to_owned(),
        (None, true) => {
            let mut text = String::new();
            let read = asked.caller.input().take(MAX_PASSWORD).read_to_string(&mut text);
            read.map_err(|error| Failed::usage(format!("reading the password: {error}")))?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
        (None, false) => return Err(Failed::usage("--password-stdin or --password is needed")),
    };
    let engine = asked.engine;
    let before = engine.logins().insert(server.clone(), (user.to_owned(), password));
    // A build's own registry is not asked: what the rule pushes goes there with the build's own login.
    let is_own = engine.terms.tags.iter().any(|tag| tag.registry() == server);
    if !is_own {
        let name = Reference::parse(&format!("{server}/login/check")).map_err(Failed::daemon)?;
        let client = own_login(engine)?.client;
        let answer = crate::execute::ask(&engine.terms.services.tokio, &asked.caller.cancel, client.check_login(&name));
        if let Err(error) = answer {
            match before {
                Some(before) => engine.logins().insert(server.clone(), before),
                None => engine.logins().remove(&server),
            };
            return Err(Failed::from(error.at(format!("logging in to {server}"))));
        }
    }
    asked.caller.print("Login Succeeded\n");
    Ok(0)
}

/// `docker logout`.
pub(crate) fn logout(asked: &Asked<'_>) -> Result<u8, Failed> {
    let flags = LOGOUT.parse(asked.arguments).map_err(Failed::usage)?;
    let server = server(flags.arguments.first().map(String::as_str));
    asked.engine.logins().remove(&server);
    asked.caller.print(format!("Removing login credentials for {server}\n"));
    Ok(0)
}

/// Returns the registry that a login is for, as references name it.
fn server(text: Option<&str>) -> String {
    let text = text.unwrap_or(HUB);
    let host = text.trim_start_matches("https://").trim_start_matches("http://");
    let host = host.split('/').next().unwrap_or(host);
    match host {
        "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" | "hub.docker.com" | "" => {
            HUB.to_owned()
        }
        host => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_of_a_login_is_that_of_references() {
        for (text, expected) in [
            (None, "docker.io"),
            (Some("https://index.docker.io/v1/"), "docker.io"),
            (Some("quay.io"), "quay.io"),
            (Some("http://host:5000/v2/"), "host:5000"),
        ] {
            assert_eq!(server(text), expected);
        }
    }
}
