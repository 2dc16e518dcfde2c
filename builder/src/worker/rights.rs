//! Decides which images a build may read, and with whose login: strangers' commits read public images and those of their
//! repository.

use super::settings::{Reading, Settings};
use crate::Services;
use database::BuildRequest;
use registry_client::{ImagePattern, Reach, Reference, Rights};

/// Returns the services for a build: its client reads no more than the build may.
pub(crate) fn services(services: &Services, settings: &Settings, request: &BuildRequest) -> Services {
    let Some(rights) = rights(&settings.reading, request) else { return services.clone() };
    let pusher =
        (!request.spec.options.trusted && request.spec.push).then(|| services.client.with_rights(pushing(request)));
    Services { client: services.client.with_rights(rights), pusher, ..services.clone() }
}

/// Returns the rights with which an image of strangers is pushed: the operator's login goes to where its tags are, and nothing
/// is read with it.
fn pushing(request: &BuildRequest) -> Rights {
    Rights { reach: Reach::Anywhere, images: tags(request).collect(), ..Rights::default() }
}

/// Returns the patterns of the images that a build pushes.
fn tags(request: &BuildRequest) -> impl Iterator<Item = ImagePattern> {
    let tags = request.spec.tags.iter().filter_map(|tag| Reference::parse(tag).ok());
    tags.map(|tag| ImagePattern::of(&tag))
}

/// Returns what the build may read; `None` if it is trusted and of a version that did not limit that.
fn rights(reading: &Reading, request: &BuildRequest) -> Option<Rights> {
    let options = &request.spec.options;
    if options.trusted && options.images.is_none() {
        return None;
    }
    let named = options.images.iter().flatten().filter_map(|text| ImagePattern::parse(text).ok());
    let images = named.chain(tags(request)).collect();
    let (reach, with_login) = match options.trusted {
        true => (Reach::Anywhere, reading.with_login.clone()),
        false => (Reach::PublicOnly, Vec::new()),
    };
    Some(Rights { reach, images, with_login, shared: reading.shared.clone(), own_logins: false })
}
