//! The services that every build of a process shares.

/// The services that all builds of a process share.
#[derive(Clone)]
pub struct Services {
    /// Blobs, tags and layer indexes.
    pub store: image_store::Store,
    /// Talks to registries.
    pub client: registry_client::Client,
    /// Pushes images, where that takes other rights than reading does.
    pub pusher: Option<registry_client::Client>,
    /// Holds the cache index.
    pub database: database::Database,
    /// Runs what is asynchronous on behalf of the build's threads.
    pub tokio: tokio::runtime::Handle,
    /// How containers are confined.
    pub sandbox: runtime::Settings,
}

impl Services {
    /// Begins to connect to the registries of `tags`, for a push that will come: a fetch or a step takes as long.
    pub fn prepare_push(&self, tags: &[registry_client::Reference]) {
        for tag in tags {
            let (pusher, tag) = (self.pusher().clone(), tag.clone());
            self.tokio.spawn(async move { pusher.prepare_push(&tag).await });
        }
    }

    /// Returns the client that pushes images.
    pub(crate) fn pusher(&self) -> &registry_client::Client {
        self.pusher.as_ref().unwrap_or(&self.client)
    }
}
