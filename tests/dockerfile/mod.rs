//! Dockerfiles: what each instruction does, and how bad ones are refused.

pub mod add;
pub mod bad_dockerfiles;
pub mod conformance;
