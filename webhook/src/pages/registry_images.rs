//! The images of the embedded registry as pages show them; the program that serves both brings them together.

/// Reads the registry and puts deleted tags back. The calls block.
pub trait RegistryImages: Send + Sync {
    /// Returns the host by which images are pulled.
    fn host(&self) -> &str;

    /// Returns the names of all repositories, sorted; those that have only deleted tags, too.
    fn repositories(&self) -> Result<Vec<String>, String>;

    /// Returns what a repository has; the newest `limit` tags.
    fn repository(&self, name: &str, limit: usize) -> Result<RegistryRepository, String>;

    /// Puts a deleted tag back with what belongs to it, on behalf of somebody, and returns the names that came back.
    fn restore(&self, repository: &str, reference: &str, by: &str) -> Result<Vec<String>, String>;
}

/// A repository of the registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryRepository {
    /// Bytes of all blobs and manifests, each counted once.
    pub size: u64,
    /// Number of tags.
    pub total: usize,
    /// The newest tags.
    pub tags: Vec<RegistryTag>,
    /// Deleted tags that can be put back.
    pub deleted: Vec<DeletedRegistryTag>,
    /// How tags are kept, in words; `None` where all are.
    pub retention: Option<String>,
}

/// A tag of the registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryTag {
    /// Its name.
    pub name: String,
    /// Digest of its manifest.
    pub digest: String,
    /// When it was set, in milliseconds since 1970.
    pub set_ms: i64,
    /// Bytes that a pull downloads, of all platforms together.
    pub size: u64,
    /// The platforms.
    pub platforms: Vec<String>,
    /// Number of layers of the first platform.
    pub layers: usize,
}

/// A deleted tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedRegistryTag {
    /// The tag, or the digest of what was put by digest alone.
    pub name: String,
    /// Digest of the manifest.
    pub digest: String,
    /// Until when it can be put back, in milliseconds since 1970.
    pub until_ms: i64,
}
