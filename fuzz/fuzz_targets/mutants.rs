//! Choices of mutations, resealed: the same mutants as the tests', steered by coverage.

#![no_main]

#[path = "../../esdb-format/tests/hostile/layout.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod layout;
#[path = "../../esdb-format/tests/hostile/mutate.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod mutate;
#[path = "../../esdb-format/tests/hostile/reseal.rs"]
mod reseal;
#[path = "../../esdb-format/tests/hostile/samples.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod samples;

use std::sync::LazyLock;

use esdb_format::{ReaderOptions, VerifyLevel, fuzzing};
use libfuzzer_sys::fuzz_target;
use samples::{Promise, Sample, ask_the_rest};

/// Small files, and those of the tests.
static SAMPLES: LazyLock<[[Sample; 3]; 2]> = LazyLock::new(|| [Sample::parts(10), Sample::all()]);

/// One in so many inputs is for the files of the tests, which take ten times as long.
const LARGE: u8 = 32;

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    fuzzing::ignore_checksums(false);
    let sample = &SAMPLES[usize::from(first.is_multiple_of(LARGE))][usize::from(first) % 3];
    let mut numbers = bytes.chunks(2);
    let mut choose =
        || numbers.next().map_or(0, |pair| pair.iter().fold(0, |all, &byte| all << 8 | u64::from(byte)));
    let (mut mutant, what) = sample.original.mutate(&mut choose);
    reseal::reseal(&mut mutant);
    let Ok(reader) = ReaderOptions::new().cache(1 << 20).open_source(Box::new(mutant)) else { return };
    let promise = if reader.verify(VerifyLevel::Deep).is_ok() { Promise::True } else { Promise::Ends };
    for question in &sample.questions {
        if let Err(why) = question.ask(&reader, promise) {
            panic!("{}, {what}: {why}", sample.name);
        }
    }
    ask_the_rest(&reader);
});
