//! Reads any bytes as headers and body of a delivery.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| webhook::fuzz::signature(data));
