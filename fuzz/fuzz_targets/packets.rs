//! Reads any bytes as the answer of a git server.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| builder::fuzz::packets(data));
