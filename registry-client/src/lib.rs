//! References, digests, image documents, registry authentication, pull and push
#![forbid(unsafe_code)]
