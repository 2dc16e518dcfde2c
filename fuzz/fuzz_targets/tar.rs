//! Reads any bytes as a tar and writes what it holds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| builder::fuzz::tar(data));
