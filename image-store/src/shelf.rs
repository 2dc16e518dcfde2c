//! The two sets of names: tags of the registry, and names of local images.

/// The set that a name belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shelf {
    /// In the registry.
    Tags,
    /// With those who build by hand.
    Local,
}

impl Shelf {
    pub(crate) fn directory(self) -> &'static str {
        match self {
            Shelf::Tags => "tags",
            Shelf::Local => "kept",
        }
    }
}
