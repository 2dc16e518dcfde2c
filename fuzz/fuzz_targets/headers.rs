//! Reads any bytes as challenge, date and error of a registry.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| registry_client::fuzz::headers(data));
