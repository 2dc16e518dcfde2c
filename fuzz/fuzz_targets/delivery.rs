//! Reads any bytes as the payload of a delivery.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| webhook::fuzz::delivery(data));
