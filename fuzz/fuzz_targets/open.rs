//! Any bytes as a file: opening, verifying and every kind of scan end, with checksums and without.

#![no_main]

use esdb_format::{CountBy, ReaderOptions, Scan, VerifyLevel, fuzzing};
use libfuzzer_sys::fuzz_target;

/// How many events of a scan, and entries of a listing, are asked for: enough for several blocks of a small file.
const EVENTS: usize = 300;
const ENTRIES: usize = 6;

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    fuzzing::ignore_checksums(first & 1 == 1);
    // Making room for the default cache takes longer than reading a small file.
    let Ok(reader) = ReaderOptions::new().cache(256 << 10).open_source(Box::new(bytes.to_vec())) else {
        return;
    };
    fuzzing::ends(&reader, bytes);
    let deep = reader.verify(VerifyLevel::Deep).is_ok();
    assert!(!deep || reader.verify(VerifyLevel::Checksums).is_ok());
    let mut all_ok = true;
    let mut walk = |scan: Scan| {
        for event in scan.take(EVENTS) {
            all_ok &= event.is_ok_and(|event| event.indexes().is_ok());
        }
    };
    walk(reader.scan());
    walk(reader.scan().range(-5..1_000_000));
    for space in reader.spaces().take(ENTRIES).flatten() {
        if let Ok(scan) = reader.space(&space.key) {
            walk(scan);
        }
        if let Ok(groupings) = reader.groupings(&space.key) {
            for grouping in groupings.take(ENTRIES).flatten() {
                if let Ok(scan) = reader.space(&space.key) {
                    walk(scan.grouping(&grouping.key));
                }
            }
        }
    }
    for name in reader.index_names().take(ENTRIES).flatten() {
        let Ok(values) = reader.index_values(&name.key) else { continue };
        for value in values.take(ENTRIES).flatten() {
            walk(reader.scan().index(&name.key, &value.key));
        }
        let ten =
            |time: i64| (time.div_euclid(10) * 10, time.div_euclid(10).saturating_mul(10).saturating_add(9));
        let _ = reader.scan().count_by(&[CountBy::Index(name.key), CountBy::Time], &ten);
    }
    for event in reader.scan().rev().take(EVENTS) {
        all_ok &= event.is_ok();
    }
    assert!(!deep || all_ok, "verify found nothing, and a scan failed");
});
