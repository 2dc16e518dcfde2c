//! Reads any bytes as an ignore file and paths.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| builder::fuzz::ignore(data));
