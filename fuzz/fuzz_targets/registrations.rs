#![no_main]

use punctual_fuzzed::{Meter, registrations};

#[global_allocator]
static METER: Meter = Meter;

libfuzzer_sys::fuzz_target!(|data: &[u8]| registrations::run(data));
