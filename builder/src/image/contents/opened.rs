//! An image that is looked at: its configuration, and the indexes of its layers.

use super::items::{Item, of_layer, of_tree};
use super::settings;
use crate::error::Code;
use crate::execute::{BuildResources, Committed};
use crate::image::resolve;
use crate::{Error, Services};
use database::{ImageLayer, ImageSettings};
use files::tar::Reader;
use files::tree::{Index, Tree};
use registry_client::{ImageConfig, Platform, Reference};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

/// Bytes of one file that are read.
const MAX_FILE: u64 = 64 * 1024 * 1024;
/// Bytes that are read of all files.
const MAX_READ: u64 = 256 * 1024 * 1024;

/// An image with its indexes.
pub(crate) struct Opened<'r> {
    resources: &'r BuildResources,
    platform: Platform,
    config: ImageConfig,
    layers: Vec<Committed>,
    indexes: Vec<Arc<Index>>,
    tree: Tree,
}

impl<'r> Opened<'r> {
    /// Opens the image `reference`, which has the digest that a build of ours pushed.
    pub(crate) fn open(
        services: &Services,
        resources: &'r BuildResources,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<Opened<'r>, Error> {
        // The image was put together by a build: it had these layers, and its configuration tells the truth about their
        // tars.
        let ours = |layer: &Committed| Committed { is_foreign: false, ..layer.clone() };
        Opened::resolve(services, resources, reference, platform, &ours)
    }

    /// Opens the image `reference`, which anybody may have made.
    pub(crate) fn foreign(
        services: &Services,
        resources: &'r BuildResources,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<Opened<'r>, Error> {
        Opened::resolve(services, resources, reference, platform, &Committed::clone)
    }

    fn resolve(
        services: &Services,
        resources: &'r BuildResources,
        reference: &Reference,
        platform: &Platform,
        known: &dyn Fn(&Committed) -> Committed,
    ) -> Result<Opened<'r>, Error> {
        let wanted = std::iter::once((reference.to_string(), platform.clone()));
        let missing = || Error::new(Code::Resolve, format!("reading the image `{reference}`"));
        let image = resolve::images(services, &resources.cancel, wanted).next().ok_or_else(missing)??;
        let mut layers = Vec::with_capacity(image.layers.len());
        for layer in &image.layers {
            layers.push(known(&*resources.committed(layer)?));
        }
        let indexes = layers.iter().map(|layer| resources.index(layer)).collect::<Result<Vec<_>, _>>()?;
        let tree = Tree::new(indexes.iter().cloned().enumerate().collect());
        Ok(Opened { resources, platform: image.config.platform(), config: image.config, layers, indexes, tree })
    }

    /// Returns the platform.
    pub(crate) fn platform(&self) -> String {
        self.platform.to_string()
    }

    /// Returns the settings.
    pub(crate) fn settings(&self) -> ImageSettings {
        settings::of(&self.config.config)
    }

    /// Returns the diff ids of the layers, bottom first.
    pub(super) fn diff_ids(&self) -> Vec<&str> {
        self.layers.iter().map(|layer| layer.diff_id.as_str()).collect()
    }

    /// Returns the layers with the instructions that made them.
    pub(crate) fn layers(&self) -> Vec<ImageLayer> {
        let made = self.config.history.iter().filter(|entry| !entry.empty_layer);
        let mut made = made.map(|entry| instruction(entry.created_by.as_deref().unwrap_or_default()));
        let layer = |layer: &Committed| ImageLayer {
            digest: layer.descriptor.digest.to_string(),
            size: layer.descriptor.size,
            instruction: made.next().unwrap_or_default(),
        };
        self.layers.iter().map(layer).collect()
    }

    /// Returns the files below `path`: of one layer, counted from 1, or of all together.
    pub(crate) fn items(&self, layer: Option<u64>, path: &[u8]) -> Result<Vec<Item>, Error> {
        let Some(number) = layer else { return of_tree(&self.tree, path) };
        let index = usize::try_from(number).ok().and_then(|number| self.indexes.get(number.checked_sub(1)?));
        let count = self.indexes.len();
        let none = || Error::new(Code::Index, format!("the image has no layer {number}: it has {count}"));
        Ok(of_layer(index.ok_or_else(none)?, path))
    }

    /// Returns the contents of regular files that are not too large, in one pass through each layer that has some.
    pub(crate) fn read(&self, paths: impl Iterator<Item = Vec<u8>>) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Error> {
        let mut wanted: BTreeMap<usize, BTreeSet<Vec<u8>>> = BTreeMap::new();
        for path in paths {
            if let Some((layer, path, size)) = self.tree.location(&path)
                && size <= MAX_FILE
            {
                wanted.entry(layer).or_default().insert(path);
            }
        }
        let (mut found, mut budget) = (BTreeMap::new(), MAX_READ);
        for (layer, paths) in &wanted {
            self.read_layer(*layer, paths, &mut budget, &mut found)?;
        }
        Ok(found)
    }

    fn read_layer(
        &self,
        layer: usize,
        paths: &BTreeSet<Vec<u8>>,
        budget: &mut u64,
        found: &mut BTreeMap<Vec<u8>, Vec<u8>>,
    ) -> Result<(), Error> {
        let committed = &self.layers[layer];
        let reading = || format!("reading layer {}", committed.descriptor.digest);
        let mut tar = self.resources.tar(committed)?;
        let mut reader = Reader::new(&mut tar);
        let (mut number, mut left) = (0, paths.len());
        while left > 0
            && let Some(entry) =
                reader.next_entry().map_err(|error| Error::new(Code::LayerUnsafe, reading()).with_cause(error))?
        {
            let path = files::path::clean_path(&entry.path);
            let path = self.indexes[layer].path_of_content(number, &path).map(<[u8]>::to_vec);
            number += 1;
            let Some(path) = path.filter(|path| paths.contains(path)) else { continue };
            let mut content = Vec::new();
            let limit = MAX_FILE.min(*budget);
            (&mut reader)
                .take(limit)
                .read_to_end(&mut content)
                .map_err(|error| Error::new(Code::LayerUnsafe, reading()).with_cause(error))?;
            *budget -= content.len() as u64;
            found.insert(path, content);
            left -= 1;
        }
        Ok(())
    }
}

/// Returns an instruction as it stands in a Dockerfile, of what the history of an image has.
fn instruction(created_by: &str) -> String {
    let text = created_by.trim().trim_end_matches("# buildkit").trim_end();
    let text = text.strip_prefix("/bin/sh -c #(nop)").map(str::trim_start).unwrap_or(text);
    match text.strip_prefix("/bin/sh -c ") {
        Some(command) => format!("RUN {command}"),
        None => {
            text.strip_prefix("RUN /bin/sh -c ").map_or_else(|| text.to_owned(), |command| format!("RUN {command}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_read_as_in_a_dockerfile() {
        for (created_by, expected) in [
            ("RUN /bin/sh -c apk add git # buildkit", "RUN apk add git"),
            ("/bin/sh -c apt-get update", "RUN apt-get update"),
            ("/bin/sh -c #(nop) ADD file:5a in / ", "ADD file:5a in /"),
            ("COPY . /app # buildkit", "COPY . /app"),
            ("", ""),
        ] {
            assert_eq!(instruction(created_by), expected);
        }
    }
}
