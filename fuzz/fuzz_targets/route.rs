//! Reads any bytes as the path of a request to the embedded registry.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| registry::fuzz::route(data));
