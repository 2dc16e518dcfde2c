//! Reads any bytes as reference, digest and platform.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| registry_client::fuzz::reference(data));
