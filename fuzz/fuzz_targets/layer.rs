//! Decompresses and indexes any bytes as a layer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| builder::fuzz::layer(data));
