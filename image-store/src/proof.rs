//! Proofs: a client that can read the store's key shares the store, and need not send blobs that are in it.

use crate::Store;
use registry_client::Digest;

impl Store {
    /// Returns what the registry that serves from this store calls itself; no secret.
    pub fn id(&self) -> String {
        self.key.sign(["id", "", ""])
    }

    /// Returns the signature of an access token of the registry.
    pub fn sign_token(&self, text: &str) -> String {
        self.key.sign(["token", text, ""])
    }

    /// Returns what ties tokens of the registry to the password, or its hash, that an account has; it tells nothing of either.
    pub fn sign_login(&self, account: &str, password: &str) -> String {
        self.key.sign(["login", account, password])
    }

    /// Returns what shows that the store is at hand to who wants a repository to have a blob of it; good for nothing else.
    pub fn proof(&self, repository: &str, digest: &Digest) -> String {
        self.key.sign(["blob", repository, digest.as_str()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KEY;
    use std::fs;

    #[test]
    fn a_proof_is_for_one_blob_of_one_repository_and_one_store() {
        let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [one, two] = [&directories[0], &directories[1]].map(|directory| Store::open(directory.path()).unwrap());
        let (digest, other) = (Digest::of(b"a"), Digest::of(b"b"));
        assert_eq!(one.proof("a/b", &digest), Store::open(directories[0].path()).unwrap().proof("a/b", &digest));
        let all =
            [one.proof("a/b", &digest), one.proof("a", &digest), one.proof("a/b", &other), two.proof("a/b", &digest)];
        assert_eq!(std::collections::HashSet::from(all).len(), 4);
        assert_ne!(one.id(), two.id());
        fs::write(directories[0].path().join(KEY), b"short").unwrap();
        assert_ne!(Store::open(directories[0].path()).unwrap().id(), one.id(), "a damaged key is replaced");
    }
}
