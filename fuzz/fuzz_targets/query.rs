#![no_main]

use punctual_fuzzed::{Meter, query};

#[global_allocator]
static METER: Meter = Meter;

libfuzzer_sys::fuzz_target!(|data: &[u8]| query::run(data));
