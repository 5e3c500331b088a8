//! Random events against a sorted `Vec`: every query, forwards, backwards, and from both ends at once.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::collections::{BTreeMap, BTreeSet};

use esdb_format::{Codec, CountBy, EventBuf, KeyPart, Reader, ReaderOptions, Scan, WriterOptions};
use proptest::prelude::*;

/// What a file must do, done the simple way.
struct Model {
    /// In file order.
    events: Vec<EventBuf>,
}

impl Model {
    fn new(arrived: &[EventBuf]) -> Self {
        let mut events = arrived.to_vec();
        for event in &mut events {
            event.indexes.sort();
            event.indexes.dedup();
        }
        events.sort_by(EventBuf::cmp_file_order);
        Self { events }
    }

    fn time_order(&self) -> Vec<EventBuf> {
        let mut events = self.events.clone();
        events
            .sort_by(|a, b| (&a.space, a.timestamp, &a.grouping).cmp(&(&b.space, b.timestamp, &b.grouping)));
        events
    }
}

fn collect(scan: Scan) -> Vec<EventBuf> {
    scan.map(|event| event.unwrap().into_owned().unwrap()).collect()
}

/// The scan gives these events, from every side.
fn assert_scan(scan: impl Fn() -> Scan, expected: &[EventBuf], what: &str) {
    assert_eq!(collect(scan()), expected, "{what}");
    let mut backwards: Vec<_> = scan().rev().map(|event| event.unwrap().into_owned().unwrap()).collect();
    backwards.reverse();
    assert_eq!(backwards, expected, "{what}, backwards");

    let (mut both, mut front, mut back) = (scan(), Vec::new(), Vec::new());
    let mut turn = 0;
    loop {
        // Uneven turns, so that the ends meet at different places.
        turn += 1;
        let from_front = turn % 3 != 0;
        let Some(event) = (if from_front { both.next() } else { both.next_back() }) else { break };
        let event = event.unwrap().into_owned().unwrap();
        if from_front { front.push(event) } else { back.push(event) }
    }
    assert!(both.next().is_none() && both.next_back().is_none());
    front.extend(back.into_iter().rev());
    assert_eq!(front, expected, "{what}, from both ends");

    let mut cursor = scan().cursor();
    for event in expected {
        let found = cursor.next().unwrap().unwrap();
        assert_eq!(
            (found.timestamp(), found.data()),
            (event.timestamp, event.data.as_slice()),
            "{what}, lent"
        );
    }
    assert!(cursor.next().unwrap().is_none());
    assert_eq!(scan().total().unwrap(), expected.len() as u64, "{what}, counted");
}

fn check_queries(reader: &Reader, model: &Model) {
    assert_eq!(reader.events(), model.events.len() as u64);
    assert_scan(|| reader.scan(), &model.events, "everything");
    let in_time = model.time_order();
    let times: BTreeSet<i64> = model.events.iter().map(|event| event.timestamp).collect();
    let times: Vec<i64> = times.into_iter().collect();
    let ranges: Vec<(i64, i64)> = match times.as_slice() {
        [] => vec![(0, 10)],
        times => {
            let middle = times[times.len() / 2];
            vec![
                (i64::MIN, middle),
                (middle, i64::MAX),
                (times[times.len() / 3], times[times.len() * 2 / 3]),
                (middle, middle),
            ]
        }
    };
    for &(first, last) in &ranges {
        let expected: Vec<_> =
            model.events.iter().filter(|event| (first..=last).contains(&event.timestamp)).cloned().collect();
        assert_scan(|| reader.scan().range(first..=last), &expected, "a time range of everything");
    }

    let pairs: BTreeSet<_> = model.events.iter().flat_map(|event| event.indexes.iter().cloned()).collect();
    let has = |event: &EventBuf, pair: &(Vec<u8>, Vec<u8>)| event.indexes.contains(pair);
    for pair in &pairs {
        let expected: Vec<_> = in_time.iter().filter(|event| has(event, pair)).cloned().collect();
        assert_scan(|| reader.scan().index(&pair.0, &pair.1), &expected, "an index over all spaces");
        for &(first, last) in &ranges {
            let expected: Vec<_> =
                expected.iter().filter(|event| (first..=last).contains(&event.timestamp)).cloned().collect();
            assert_scan(
                || reader.scan().index(&pair.0, &pair.1).range(first..=last),
                &expected,
                "index and times",
            );
        }
    }
    let spaces: BTreeSet<_> = model.events.iter().map(|event| event.space.clone()).collect();
    let listed: Vec<_> = reader.spaces().map(|space| space.unwrap()).collect();
    assert_eq!(listed.iter().map(|space| space.key.clone()).collect::<BTreeSet<_>>(), spaces);
    for space in &spaces {
        let expected: Vec<_> = in_time.iter().filter(|event| event.space == *space).cloned().collect();
        let entry = listed.iter().find(|listed| listed.key == *space).unwrap();
        assert_eq!(entry.extent.count, expected.len() as u64);
        assert_eq!(entry.extent.first, expected[0].timestamp);
        assert_eq!(entry.extent.last, expected[expected.len() - 1].timestamp);
        assert_scan(|| reader.space(space).unwrap(), &expected, "a space");
        for &(first, last) in &ranges {
            let expected: Vec<_> =
                expected.iter().filter(|event| (first..=last).contains(&event.timestamp)).cloned().collect();
            assert_scan(|| reader.space(space).unwrap().range(first..=last), &expected, "a space and times");
        }
        let groupings: BTreeSet<_> = expected.iter().map(|event| event.grouping.clone()).collect();
        let listed: Vec<_> = reader.groupings(space).unwrap().map(|grouping| grouping.unwrap()).collect();
        assert_eq!(listed.iter().map(|grouping| grouping.key.clone()).collect::<BTreeSet<_>>(), groupings);
        assert_eq!(entry.groupings, groupings.len() as u64);
        for grouping in &groupings {
            let expected: Vec<_> =
                expected.iter().filter(|event| event.grouping == *grouping).cloned().collect();
            let entry = listed.iter().find(|listed| listed.key == *grouping).unwrap();
            assert_eq!(entry.extent.count, expected.len() as u64);
            assert_scan(|| reader.space(space).unwrap().grouping(grouping), &expected, "a grouping");
            for &(first, last) in &ranges {
                let expected: Vec<_> = expected
                    .iter()
                    .filter(|event| (first..=last).contains(&event.timestamp))
                    .cloned()
                    .collect();
                let scan = || reader.space(space).unwrap().grouping(grouping).range(first..=last);
                assert_scan(scan, &expected, "a grouping and times");
            }
            for pair in pairs.iter().take(3) {
                let expected: Vec<_> = expected.iter().filter(|event| has(event, pair)).cloned().collect();
                let scan = || reader.space(space).unwrap().grouping(grouping).index(&pair.0, &pair.1);
                assert_scan(scan, &expected, "a grouping and an index");
            }
        }
        for pair in &pairs {
            let matching: Vec<_> = expected.iter().filter(|event| has(event, pair)).cloned().collect();
            assert_scan(
                || reader.space(space).unwrap().index(&pair.0, &pair.1),
                &matching,
                "a space and an index",
            );
            for other in &pairs {
                let scan = || reader.space(space).unwrap().index(&pair.0, &pair.1).index(&other.0, &other.1);
                let both: Vec<_> = expected
                    .iter()
                    .filter(|event| match pair.0 == other.0 {
                        true => has(event, pair) || has(event, other),
                        false => has(event, pair) && has(event, other),
                    })
                    .cloned()
                    .collect();
                assert_scan(scan, &both, "a space and two indexes");
            }
        }
    }
    assert_scan(|| reader.space("no such space").unwrap(), &[], "no space");
    assert_scan(|| reader.scan().index("no such name", "x"), &[], "no name");
    check_listings(reader, model, &pairs);
}

fn check_listings(reader: &Reader, model: &Model, pairs: &BTreeSet<(Vec<u8>, Vec<u8>)>) {
    let names: BTreeSet<_> = pairs.iter().map(|(name, _)| name.clone()).collect();
    let listed: Vec<_> = reader.index_names().map(|name| name.unwrap()).collect();
    assert_eq!(listed.iter().map(|name| name.key.clone()).collect::<BTreeSet<_>>(), names);
    let spaces: BTreeSet<_> = model.events.iter().map(|event| event.space.clone()).collect();
    let before = reader.frames_decompressed();
    for name in &names {
        for space in spaces.iter().map(Some).chain([None]) {
            let mut expected: BTreeMap<Vec<u8>, (u64, i64, i64)> = BTreeMap::new();
            for event in model.events.iter().filter(|event| space.is_none_or(|space| event.space == *space)) {
                for (_, value) in event.indexes.iter().filter(|(other, _)| other == name) {
                    let entry = expected.entry(value.clone()).or_insert((0, i64::MAX, i64::MIN));
                    *entry = (entry.0 + 1, entry.1.min(event.timestamp), entry.2.max(event.timestamp));
                }
            }
            let listed = match space {
                Some(space) => reader.index_values_in(name, space).unwrap(),
                None => reader.index_values(name).unwrap(),
            };
            let listed: BTreeMap<_, _> = listed
                .map(|value| value.unwrap())
                .map(|value| (value.key, (value.extent.count, value.extent.first, value.extent.last)))
                .collect();
            assert_eq!(listed, expected);
            let scan = || match space {
                Some(space) => reader.space(space).unwrap(),
                None => reader.scan(),
            };
            let by_value = scan().count_by(&[CountBy::Index(name.clone())], &|time| (time, time)).unwrap();
            let expected_counts: BTreeMap<_, _> = expected
                .iter()
                .map(|(value, (count, ..))| (vec![KeyPart::Bytes(value.clone())], *count))
                .collect();
            assert_eq!(by_value, expected_counts);

            let stretch = |time: i64| (time.div_euclid(3) * 3, time.div_euclid(3) * 3 + 2);
            let by = [CountBy::Space, CountBy::Grouping, CountBy::Index(name.clone()), CountBy::Time];
            let counted = scan().range(-50..40).count_by(&by, &stretch).unwrap();
            let mut expected = BTreeMap::new();
            for event in &model.events {
                if space.is_some_and(|space| event.space != *space) || !(-50..40).contains(&event.timestamp) {
                    continue;
                }
                for (_, value) in event.indexes.iter().filter(|(other, _)| other == name) {
                    let key = vec![
                        KeyPart::Bytes(event.space.clone()),
                        KeyPart::Bytes(event.grouping.clone()),
                        KeyPart::Bytes(value.clone()),
                        KeyPart::Time(stretch(event.timestamp).0),
                    ];
                    *expected.entry(key).or_insert(0) += 1;
                }
            }
            assert_eq!(counted, expected);
        }
    }
    assert_eq!(reader.frames_decompressed(), before, "counts decompress no payload");
}

fn key(letters: &'static str, most: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(proptest::sample::select(letters.as_bytes().to_vec()), 0..=most)
}

fn event(spaces: &'static str, groupings: &'static str) -> impl Strategy<Value = EventBuf> {
    let timestamp =
        prop_oneof![20 => -60..60_i64, 1 => Just(i64::MIN), 1 => Just(i64::MAX), 1 => Just(-1_i64)];
    let pair = (key("nm", 1), key("xyz\0", 2));
    (
        key(spaces, 1),
        key(groupings, 1),
        timestamp,
        proptest::collection::vec(pair, 0..4),
        key("data \n{}\"", 40),
    )
        .prop_map(|(space, grouping, timestamp, indexes, data)| EventBuf {
            space,
            grouping,
            timestamp,
            indexes,
            data,
        })
}

fn write(events: &[EventBuf], options: WriterOptions) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.esdb");
    let mut writer = options.create(&path).unwrap();
    for event in events {
        writer.add(event.as_event()).unwrap();
    }
    let summary = writer.finish().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(summary.file_len, bytes.len() as u64);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary stays");
    bytes
}

fn codec() -> impl Strategy<Value = Codec> {
    prop_oneof![Just(Codec::None), Just(Codec::Snappy), Just(Codec::Lz4), Just(Codec::Zstd { level: 1 })]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_query_agrees_with_a_sorted_vec(
        events in proptest::collection::vec(event("ab", "gh"), 0..120),
        codec in codec(),
        block in 1..40_usize,
    ) {
        let options = WriterOptions::new().codec(codec).frame_size(256).block_events_for_tests(block);
        let reader = Reader::from_bytes(write(&events, options)).unwrap();
        check_queries(&reader, &Model::new(&events));
    }

    #[test]
    fn long_lists_agree_too(
        events in proptest::collection::vec(event("a", "gh"), 400..900),
        block in 50..200_usize,
    ) {
        let options = WriterOptions::new().codec(Codec::Lz4).frame_size(300).block_events_for_tests(block);
        let reader = Reader::from_bytes(write(&events, options)).unwrap();
        check_queries(&reader, &Model::new(&events));
    }

    #[test]
    fn windows_and_caches_that_are_too_small_change_nothing(
        events in proptest::collection::vec(event("a", "ghijkl"), 200..400),
    ) {
        let options = WriterOptions::new().codec(Codec::Snappy).frame_size(256).block_events_for_tests(20);
        let bytes = write(&events, options);
        let reader = ReaderOptions::new().cache(2_000).open_source(Box::new(bytes)).unwrap();
        let model = Model::new(&events);
        assert_scan(|| reader.space("a").unwrap(), &model.time_order().into_iter().filter(|event| event.space == b"a").collect::<Vec<_>>(), "a space");
    }

    #[test]
    fn threads_and_chunks_change_no_byte(events in proptest::collection::vec(event("abc", "gh"), 0..300)) {
        let options = || WriterOptions::new().block_events_for_tests(37);
        let one = write(&events, options().threads(1));
        let four = write(&events, options().threads(4));
        assert_eq!(one, four);
        // Already in file order.
        let sorted = Model::new(&events).events;
        assert_eq!(write(&sorted, options()), one);
    }
}
