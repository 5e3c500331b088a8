//! Any bytes as a file: opening, verifying and every kind of scan end, with checksums and without.

#![no_main]

use esdb_format::{CountBy, Reader, VerifyLevel, fuzzing};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    fuzzing::ignore_checksums(first & 1 == 1);
    let Ok(reader) = Reader::from_bytes(bytes.to_vec()) else { return };
    let deep = reader.verify(VerifyLevel::Deep).is_ok();
    let mut scans_ok = true;
    let mut walk = |scan: esdb_format::Scan| {
        for event in scan.take(10_000) {
            scans_ok &= event.is_ok_and(|event| event.indexes().is_ok());
        }
    };
    walk(reader.scan());
    walk(reader.scan().range(-5..1_000_000));
    for space in reader.spaces().take(20).flatten() {
        if let Ok(scan) = reader.space(&space.key) {
            walk(scan);
        }
        if let Ok(groupings) = reader.groupings(&space.key) {
            groupings.take(20).flatten().for_each(|_| ());
        }
    }
    for name in reader.index_names().take(20).flatten() {
        let Ok(values) = reader.index_values(&name.key) else { continue };
        for value in values.take(20).flatten() {
            walk(reader.scan().index(&name.key, &value.key));
        }
        let day = |time: i64| (time.div_euclid(10) * 10, time.div_euclid(10).saturating_mul(10).saturating_add(9));
        let _ = reader.scan().count_by(&[CountBy::Index(name.key), CountBy::Time], &day);
    }
    for event in reader.scan().rev().take(10_000) {
        let _ = event;
    }
    assert!(!deep || scans_ok, "verify found nothing, and a scan failed");
});
