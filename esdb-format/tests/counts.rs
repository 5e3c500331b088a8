//! Counts and listings read tables, posting lists and columns, never payloads.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::collections::BTreeMap;

use esdb_format::{Codec, CountBy, CountKey, Event, Reader, Result, Scan, WriterOptions};

const DAY: i64 = 86_400_000;

fn sample() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sample.esdb");
    let mut writer =
        WriterOptions::new().codec(Codec::Lz4).block_events_for_tests(300).create(&path).unwrap();
    for i in 0..5_000_i64 {
        let (space, grouping, data) =
            (format!("s{}", i % 7), format!("g{}", i % 5 % 3), "some words ".repeat(9));
        let kind = ["view", "click", "buy"][(i % 3) as usize];
        let event = Event::new(&space, i * DAY / 100, &data).grouping(&grouping).index("type", kind);
        let event =
            if i % 10 == 0 { event.index("campaign", ["a", "b"][(i / 10 % 2) as usize]) } else { event };
        writer.add(event).unwrap();
    }
    writer.finish().unwrap();
    std::fs::read(path).unwrap()
}

/// Overwrites every payload area, whose place the block heads state (spec §5.1).
fn with_noise_for_payloads(mut bytes: Vec<u8>) -> Vec<u8> {
    let number = |bytes: &[u8], at: usize, len: usize| {
        bytes[at..at + len].iter().rev().fold(0_usize, |number, &byte| number << 8 | usize::from(byte))
    };
    let heads: Vec<usize> =
        (0..bytes.len() - 8).filter(|&at| &bytes[at..at + 8] == b"\x89ESDBB\r\n").collect();
    assert!(heads.len() > 10);
    for head in heads {
        let start = head + 60 + number(&bytes, head + 28, 4) + number(&bytes, head + 32, 4);
        let len = number(&bytes, head + 36, 8);
        assert!(len > 0);
        for (i, byte) in bytes[start..start + len].iter_mut().enumerate() {
            *byte = ((i * 7919) >> 3) as u8;
        }
    }
    bytes
}

type Counted = (u64, u64, u64, BTreeMap<CountKey, u64>, BTreeMap<CountKey, u64>, Vec<String>);

fn count_everything(file: &Reader) -> Result<Counted> {
    let day = |time: i64| (time.div_euclid(DAY) * DAY, time.div_euclid(DAY) * DAY + DAY - 1);
    let everything = || file.scan();
    let narrowed = || -> Result<Scan> {
        Ok(file.space("s3")?.index("type", "buy").index("campaign", "a").range(DAY..40 * DAY))
    };
    let mut listed = Vec::new();
    for space in file.spaces() {
        let space = space?;
        listed.push(format!("{space:?}"));
        for grouping in file.groupings(&space.key)? {
            listed.push(format!("{:?}", grouping?));
        }
        for value in file.index_values_in("type", &space.key)? {
            listed.push(format!("{:?}", value?));
        }
    }
    for name in file.index_names() {
        let name = name?;
        listed.push(format!("{name:?}"));
        for value in file.index_values(&name.key)? {
            listed.push(format!("{:?}", value?));
        }
    }
    Ok((
        everything().range(DAY..2 * DAY).total()?,
        narrowed()?.total()?,
        file.space("s1")?.grouping("g1").index("type", "view").total()?,
        everything().count_by(&[CountBy::Index(b"type".to_vec()), CountBy::Time], &day)?,
        narrowed()?.count_by(&[CountBy::Space, CountBy::Grouping, CountBy::Time], &day)?,
        listed,
    ))
}

#[test]
fn payloads_that_are_noise_change_no_count() {
    let bytes = sample();
    let whole = Reader::from_bytes(bytes.clone()).unwrap();
    let noisy = Reader::from_bytes(with_noise_for_payloads(bytes)).unwrap();
    assert_eq!(count_everything(&noisy).unwrap(), count_everything(&whole).unwrap());
    assert_eq!(noisy.frames_decompressed(), 0);
    assert_eq!(whole.frames_decompressed(), 0);
    // The test would notice: a scan does need payloads.
    assert!(noisy.scan().any(|event| event.is_err()));
    assert!(noisy.frames_decompressed() + whole.scan().count() as u64 > 0);
}

#[test]
fn scans_decompress_each_frame_about_once() {
    let file = Reader::from_bytes(sample()).unwrap();
    let frames = file.statistics().frames;
    for scan in [file.scan(), file.scan().index("type", "view")] {
        let before = file.frames_decompressed();
        assert!(scan.count() > 1_000);
        // The first windows are small, so that the first events come soon.
        assert!(file.frames_decompressed() - before <= frames + 30, "{} frames", frames);
    }
}
