#![no_main]

use punctual_fuzzed::{Meter, streams};

#[global_allocator]
static METER: Meter = Meter;

libfuzzer_sys::fuzz_target!(|data: &[u8]| streams::deflate(data));
