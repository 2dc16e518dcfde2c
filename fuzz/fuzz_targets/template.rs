//! Reads any bytes as template, ref, message and schedule.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| webhook::fuzz::template(data));
