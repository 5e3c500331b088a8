//! Any bytes as an input of `esdb import`: native lines, foreign lines and CSV, plain and packed.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let [flags, step, bytes @ ..] = bytes {
        esdb_cli::fuzzing::import(*flags, *step, bytes);
    }
});
