//! Unpacks any bytes as a pack, and packs of any objects.
#![no_main]

libfuzzer_sys::fuzz_target!(init: builder::fuzz::limit_memory(), |data: &[u8]| builder::fuzz::pack(data));
