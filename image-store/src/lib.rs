//! Blobs by digest, tags, layer indexes, garbage collection
#![forbid(unsafe_code)]
