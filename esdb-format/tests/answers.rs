//! What a reader says of its file, and answers that come from tables alone: the same as from the events.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::collections::BTreeMap;
use std::ops::Bound;

use esdb_format::{
    Codec, CountBy, CountKey, Event, KeyPart, Reader, ReaderOptions, Result, Unit, WriterOptions,
};

/// Five spaces of which some have groupings; times go back and forth.
fn file(count: u64, options: WriterOptions) -> (tempfile::TempDir, Reader, esdb_format::Summary) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.esdb");
    let mut writer = options.create(&path).unwrap();
    for i in 0..count {
        let space = format!("s{}", i % 5);
        let grouping = format!("g{}", if i % 5 < 2 { 0 } else { i % 7 });
        let (kind, data) = (format!("k{}", i % 3), format!("data {i}"));
        let time = (i as i64 * 37) % 1_000 - 500;
        writer.add(Event::new(&space, time, &data).grouping(&grouping).index("kind", &kind)).unwrap();
    }
    let summary = writer.finish().unwrap();
    let reader = Reader::open(&path).unwrap();
    (folder, reader, summary)
}

fn counted(file: &Reader, key: impl Fn(&esdb_format::StoredEvent) -> Vec<u8>) -> BTreeMap<CountKey, u64> {
    let mut counts = BTreeMap::new();
    for event in file.scan().map(Result::unwrap) {
        *counts.entry(vec![KeyPart::Bytes(key(&event))]).or_default() += 1;
    }
    counts
}

#[test]
fn a_reader_says_what_the_writer_was_told() {
    let options =
        WriterOptions::new().unit(Unit::Microseconds).codec(Codec::Zstd { level: 7 }).frame_size(512);
    let (folder, file, summary) = file(500, options);
    assert_eq!(
        (file.unit(), file.codec(), file.frame_size()),
        (Unit::Microseconds, Codec::Zstd { level: 7 }, 512)
    );
    assert_eq!((file.events(), file.time_range()), (summary.events, summary.time_range));
    assert_eq!((file.file_digest(), file.content_digest()), (summary.file_digest, summary.content_digest));
    assert_eq!((file.file_len(), file.version()), (summary.file_len, esdb_format::VERSION));
    assert_eq!(file.statistics(), &summary.statistics);
    let path = folder.path().join("file.esdb");
    for options in
        [ReaderOptions::new().map(false), ReaderOptions::new().cache(0), ReaderOptions::new().checks(false)]
    {
        let other = options.open(&path).unwrap();
        assert!(
            other
                .scan()
                .map(Result::unwrap)
                .map(|event| event.into_owned().unwrap())
                .eq(file.scan().map(Result::unwrap).map(|event| event.into_owned().unwrap()))
        );
    }
    for (unit, name, per_second) in [
        (Unit::Seconds, "s", 1),
        (Unit::Milliseconds, "ms", 1_000),
        (Unit::Microseconds, "us", 1_000_000),
        (Unit::Nanoseconds, "ns", 1_000_000_000),
    ] {
        assert_eq!((unit.name(), unit.per_second()), (name, per_second));
    }
}

#[test]
fn counts_from_tables_are_those_of_the_events() {
    let (_folder, file, _) = file(2_000, WriterOptions::new().block_events_for_tests(100));
    let itself = |time: i64| (time, time);
    let count = |scan: esdb_format::Scan, by: CountBy| scan.count_by(&[by], &itself).unwrap();
    assert_eq!(count(file.scan(), CountBy::Space), counted(&file, |event| event.space().to_vec()));
    let kinds = counted(&file, |event| event.indexes().unwrap().next().unwrap().1.to_vec());
    assert_eq!(count(file.scan(), CountBy::Index(b"kind".to_vec())), kinds);
    for space in file.spaces().map(Result::unwrap) {
        let mut expected: BTreeMap<CountKey, u64> = BTreeMap::new();
        for event in file.space(&space.key).unwrap().map(Result::unwrap) {
            *expected.entry(vec![KeyPart::Bytes(event.grouping().to_vec())]).or_default() += 1;
        }
        assert_eq!(count(file.space(&space.key).unwrap(), CountBy::Grouping), expected);
        assert_eq!(space.groupings, expected.len() as u64);
    }
    // Neither tables nor events have anything.
    for nothing in [file.space("none").unwrap(), file.scan().range(0..0), file.scan().range(i64::MAX..)] {
        assert_eq!(count(nothing, CountBy::Space), BTreeMap::new());
    }
}

#[test]
fn ranges_may_exclude_both_ends() {
    let (_folder, file, _) = file(2_000, WriterOptions::new());
    let within = |range: (Bound<i64>, Bound<i64>)| {
        let given = file.space("s3").unwrap().range(range).count();
        let times = file.space("s3").unwrap().map(|event| event.unwrap().timestamp());
        assert_eq!(given, times.filter(|time| std::ops::RangeBounds::contains(&range, time)).count());
        given
    };
    assert!(within((Bound::Excluded(-9), Bound::Excluded(70))) > 0);
    assert!(within((Bound::Unbounded, Bound::Included(70))) > 0);
    assert_eq!(within((Bound::Excluded(i64::MAX), Bound::Unbounded)), 0);
    assert_eq!(within((Bound::Unbounded, Bound::Excluded(i64::MIN))), 0);
}

#[test]
fn a_cursor_moves_from_both_ends() {
    let (_folder, file, _) = file(999, WriterOptions::new().block_events_for_tests(40));
    for make in [|file: &Reader| file.scan(), |file: &Reader| file.scan().index("kind", "k1")] {
        let all: Vec<u64> = make(&file).map(|event| event.unwrap().ordinal()).collect();
        let mut cursor = make(&file).cursor();
        let (mut front, mut back) = (Vec::new(), Vec::new());
        while let Some(event) = cursor.next().unwrap() {
            front.push(event.ordinal());
            let pairs: Vec<_> = event.indexes().unwrap().collect();
            assert_eq!((pairs.len(), pairs[0].0), (1, &b"kind"[..]));
            back.extend(cursor.next_back().unwrap().map(|event| event.ordinal()));
        }
        assert!(cursor.next_back().unwrap().is_none());
        front.extend(back.into_iter().rev());
        assert_eq!(front, all);
    }
    let first = file.scan().next().unwrap().unwrap();
    let shown = format!("{first:?}");
    assert!(shown.starts_with("StoredEvent { ordinal: 0, timestamp: -500"), "{shown}");
}

#[test]
fn a_grouping_needs_its_space() {
    let (_folder, file, _) = file(10, WriterOptions::new());
    let mut scan = file.scan().grouping("g0");
    assert!(
        scan.next().unwrap().unwrap_err().to_string().contains("a grouping is selected without its space")
    );
    assert!(scan.next().is_none());
    assert!(file.scan().grouping("g0").total().is_err());
}
