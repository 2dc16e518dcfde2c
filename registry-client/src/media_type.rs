//! The media types of image documents and layers.

/// An OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An OCI image configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// An uncompressed OCI layer.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// A gzip-compressed OCI layer.
pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// A zstd-compressed OCI layer.
pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// A Docker schema 2 manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// A Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// A Docker image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// A gzip-compressed Docker layer.
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// A zstd-compressed Docker layer, as docker and containerd write it.
pub const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";
/// An uncompressed Docker layer.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// Returns the media type that OCI manifests have for a layer of `media_type`; `None` if it is not one of a layer.
///
/// Layers that are not to be distributed, as they once were marked, are like others where they are there.
pub fn as_oci_layer(media_type: &str) -> Option<&'static str> {
    let (family, compression) = match media_type.split_once(".tar") {
        Some((family, rest)) => (family, rest.trim_start_matches(['.', '+'])),
        None => return None,
    };
    let is_layer = matches!(
        family,
        "application/vnd.oci.image.layer.v1"
            | "application/vnd.oci.image.layer.nondistributable.v1"
            | "application/vnd.docker.image.rootfs.diff"
            | "application/vnd.docker.image.rootfs.foreign.diff"
    );
    match compression {
        _ if !is_layer => None,
        "" => Some(OCI_LAYER),
        "gzip" => Some(OCI_LAYER_GZIP),
        "zstd" => Some(OCI_LAYER_ZSTD),
        _ => None,
    }
}

/// Returns whether `media_type` is that of a manifest of one image.
pub fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST)
}

/// Returns whether `media_type` is that of a list of manifests.
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_LIST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_of_docker_have_a_type_of_their_own_in_oci_manifests() {
        // CQ-12, CQ-13
        let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
        let restricted = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";
        for (kind, expected) in [
            (OCI_LAYER, Some(OCI_LAYER)),
            (DOCKER_LAYER, Some(OCI_LAYER)),
            (DOCKER_LAYER_GZIP, Some(OCI_LAYER_GZIP)),
            (DOCKER_LAYER_ZSTD, Some(OCI_LAYER_ZSTD)),
            (foreign, Some(OCI_LAYER_GZIP)),
            (restricted, Some(OCI_LAYER_ZSTD)),
            ("application/vnd.oci.image.layer.v1.tar+xz", None),
            ("application/vnd.oci.image.layer.v1", None),
            (OCI_CONFIG, None),
            ("", None),
        ] {
            assert_eq!(as_oci_layer(kind), expected, "{kind}");
        }
    }
}
