//! What fuzzers start from, and what they have found, on every run of the tests.

use std::fs;
use std::path::PathBuf;

use punctual_fuzzed::{Meter, TARGETS, within};

#[global_allocator]
static METER: Meter = Meter;

fn fuzz_dir() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz"))
}

#[test]
fn the_kept_inputs_do_no_harm_and_take_no_more_memory_than_they_should() {
    assert!(Meter::is_in_use());
    for target in TARGETS {
        let mut tried = 0;
        for seed in fs::read_dir(fuzz_dir().join("seeds").join(target.name)).unwrap() {
            let path = seed.unwrap().path();
            let input = fs::read(&path).unwrap();
            eprintln!("{}", path.display());
            (target.run)(&input);
            // As they are, and cut off: much is decided by what is missing.
            for end in (0..input.len()).step_by(input.len() / 40 + 1) {
                (target.run)(&input[..end]);
            }
            tried += 1;
        }
        assert!(tried >= 4, "{} has only {tried} inputs", target.name);
    }
}

#[test]
fn every_target_has_its_program_and_every_program_its_target() {
    let dir = fuzz_dir().join("fuzz_targets");
    let programs = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut programs: Vec<_> = programs.map(|name| name.trim_end_matches(".rs").to_owned()).collect();
    programs.sort_unstable();
    let targets: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(programs, targets);
    let manifest = fs::read_to_string(fuzz_dir().join("Cargo.toml")).unwrap();
    for name in targets {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in fuzz/Cargo.toml");
    }
}

#[test]
#[should_panic = "bytes of memory were taken at a time"]
fn what_takes_more_memory_than_allowed_is_found() {
    within(1000, || drop(std::hint::black_box(Vec::<u8>::with_capacity(64 << 20))));
}
