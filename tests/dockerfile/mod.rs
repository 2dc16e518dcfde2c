//! Dockerfiles: what each instruction does, and how bad ones are refused.

pub(crate) mod add;
pub(crate) mod bad_dockerfiles;
pub(crate) mod conformance;
