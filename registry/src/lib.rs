//! The embedded OCI registry: the distribution API over the image store
#![forbid(unsafe_code)]
