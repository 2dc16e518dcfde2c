//! Parses and plans any bytes as a Dockerfile.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| builder::fuzz::dockerfile(data));
