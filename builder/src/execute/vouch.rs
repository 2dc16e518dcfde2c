//! Layers of images that somebody else made: what is here under their names is used once it is known to be theirs (SEC-M1).

use super::layer::Committed;
use super::resources::BuildResources;
use image_store::Served;

impl BuildResources {
    /// Returns what registries served to this build.
    pub(super) fn served(&self) -> Served<'_> {
        Served { store: &self.store, client: &self.client }
    }

    /// Returns whether the blob of `layer` may be taken from the store.
    pub(super) fn is_served(&self, layer: &Committed) -> bool {
        let image = layer.origin.as_ref().filter(|_| layer.is_foreign);
        image.is_none_or(|image| self.served().has(image, &layer.descriptor.digest))
    }

    /// Returns whether what is known of the tar of `layer` may be used: its image has the blob, and the blob holds that tar.
    /// A configuration can name the tar of any layer.
    pub(super) fn is_vouched(&self, layer: &Committed) -> bool {
        let holds = || self.store.holds_tar(&layer.descriptor.digest, &layer.diff_id);
        !layer.is_foreign || (self.is_served(layer) && holds())
    }

    /// Takes note that the blob of `layer` was read to its end and holds its tar; what cannot be noted is read again.
    pub(super) fn note_tar(&self, layer: &Committed) {
        if layer.is_foreign {
            self.store.note_tar(&layer.descriptor.digest, &layer.diff_id);
        }
    }
}
