//! Reads any bytes as a repository's own file of rules.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| webhook::fuzz::rules(data));
