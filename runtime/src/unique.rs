//! Unique names: process ids do not serve, since processes of other namespaces that share a directory have the same ids.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Returns 16 hexadecimal digits that were never returned before, here or elsewhere.
pub(crate) fn unique() -> String {
    // The standard library takes its keys from the kernel's random numbers, others for each thread and each call.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::unique;

    #[test]
    fn no_two_are_equal() {
        let mut names: Vec<_> = (0..1000).map(|_| unique()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 1000);
    }
}
