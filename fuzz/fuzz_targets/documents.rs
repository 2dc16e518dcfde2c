//! Reads any bytes as manifest, index and configuration.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| registry_client::fuzz::documents(data));
