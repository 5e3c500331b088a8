//! Any bytes as entries, pages and trees of the tables; any entries through a tree and back.

#![no_main]

use esdb_format::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, bytes)) = bytes.split_first() else { return };
    match kind % 6 {
        0 => fuzzing::entry(bytes),
        1 => fuzzing::page(bytes),
        2 => fuzzing::tree(bytes),
        3 => fuzzing::damaged_tree(bytes),
        4 => fuzzing::build_tree(bytes),
        _ => fuzzing::build_runs(bytes),
    }
});
