//! The reading of what strangers write, looked at from outside: against recorded results, other parsers, and noise.
//!
//! One binary holds all, because linking is what takes long.
// A test that cannot go on panics.
#![allow(clippy::unwrap_used)]

mod corpus;
mod noise;
mod second_opinions;
