//! What a writer takes at each limit and refuses one beyond it. What no writer can reach is tested with those who decode it, in
//! `src/limits.rs`.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use esdb_format::{Codec, Error, Event, Reader, VerifyLevel, WriterOptions, limits};

const CODECS: [Codec; 4] = [Codec::None, Codec::Snappy, Codec::Lz4, Codec::Zstd { level: 3 }];

#[track_caller]
fn refused<T>(result: esdb_format::Result<T>, words: &str) {
    match result {
        Err(Error::Invalid(reason)) => assert!(reason.contains(words), "{reason}"),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("taken"),
    }
}

/// Writes with options and verifies.
fn written<'a>(options: WriterOptions, events: impl IntoIterator<Item = Event<'a>>) -> Reader {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.esdb");
    let mut writer = options.create(&path).unwrap();
    events.into_iter().for_each(|event| writer.add(event).unwrap());
    writer.finish().unwrap();
    let file = Reader::open(&path).unwrap();
    let found = file.verify(VerifyLevel::Deep);
    assert!(found.is_ok(), "{:?}", found.problems);
    file
}

fn noise(len: usize) -> Vec<u8> {
    (0..len as u64 / 8 + 1)
        .flat_map(|i| (i ^ 0xA5A5).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31).to_le_bytes())
        .take(len)
        .collect()
}

#[test]
fn index_pairs_may_have_16_mib() {
    let key = vec![b'k'; limits::KEY - 4];
    let values: Vec<Vec<u8>> = (0..129_u8).map(|i| [&[i; 4][..], &key].concat()).collect();
    let mut event = Event::new("s", 1, "");
    let mut left = limits::PAIR_BYTES;
    for value in &values {
        let len = left.min(1 + value.len());
        event.indexes.extend((len > 0).then(|| (&b"n"[..], &value[..len.saturating_sub(1)])));
        left -= len;
    }
    for value in values.iter().map(|value| &value[..]) {
        let len = left.min(1 + value.len());
        event.indexes.extend((len > 0).then(|| (&b"o"[..], &value[..len.saturating_sub(1)])));
        left -= len;
    }
    assert_eq!(left, 0);
    let file = written(WriterOptions::new(), [event.clone()]);
    let stored = file.scan().next().unwrap().unwrap().into_owned().unwrap();
    assert_eq!(stored.as_event(), event);
    event.indexes.push((b"", b"1"));
    let folder = tempfile::tempdir().unwrap();
    let mut writer = WriterOptions::new().create(folder.path().join("file.esdb")).unwrap();
    refused(writer.add(event), "16777217 bytes of index pairs");
}

#[test]
fn data_has_64_mib_unless_more_is_allowed() {
    let data = noise((64 << 20) + 1);
    let folder = tempfile::tempdir().unwrap();
    let mut writer = WriterOptions::new().create(folder.path().join("file.esdb")).unwrap();
    refused(writer.add(Event::new("s", 1, &data)), "data of 67108865 bytes, at most 67108864");
    drop(writer);
    let file = written(WriterOptions::new().codec(Codec::Lz4), [Event::new("s", 1, &data[1..])]);
    assert!(file.scan().next().unwrap().unwrap().data() == &data[1..]);
}

/// `cargo test -p esdb-format --test limits -- --ignored the_largest_event`
#[test]
#[ignore = "8 GiB of memory, a minute"]
fn the_largest_event_round_trips() {
    let zeros = vec![0; limits::DATA];
    let noise = noise(limits::DATA);
    for codec in CODECS {
        for data in [&zeros, &noise] {
            let options = WriterOptions::new().max_event(limits::DATA).codec(codec);
            // Others beside it: the block that it is in may have 1 MiB more.
            let events =
                [Event::new("s", 0, "before"), Event::new("s", 1, data), Event::new("s", 2, "after")];
            let file = written(options, events);
            let mut scan = file.space("s").unwrap().range(1..2);
            assert!(scan.next().unwrap().unwrap().data() == data, "{codec:?}");
            assert_eq!(file.scan().count(), 3);
        }
    }
}

#[test]
fn options_hold_on_both_sides() {
    let path = std::env::temp_dir().join("never created.esdb");
    let new = WriterOptions::new;
    let zstd = |level| new().codec(Codec::Zstd { level });
    let metadata = |bytes: usize| new().metadata("key", vec![7; bytes - 3]);
    for (options, words) in [
        (new().frame_size(limits::FRAME_SIZE_MIN - 1), "frame size is 255"),
        (new().frame_size(limits::FRAME_SIZE_MAX + 1), "frame size is 1048577"),
        (new().memory((8 << 20) - 1), "memory is 8388607"),
        (new().threads(0), "0 threads"),
        (new().threads(257), "257 threads"),
        (new().max_event(limits::DATA + 1), "events of 1073741824 bytes"),
        (zstd(-8), "zstd level -8"),
        (zstd(23), "zstd level 23"),
        (metadata(limits::METADATA + 1), "16777217 bytes of metadata"),
    ] {
        refused(options.create(&path), words);
    }
    let data = noise(3_000);
    for options in [
        new().frame_size(limits::FRAME_SIZE_MIN),
        new().frame_size(limits::FRAME_SIZE_MAX),
        new().memory(8 << 20),
        new().threads(1),
        new().threads(256),
        new().max_event(limits::DATA),
        zstd(-7),
        zstd(22),
        metadata(limits::METADATA),
    ] {
        let events = (0..5_000).map(|i| Event::new("s", i, &data[..i as usize % 3_000]));
        let file = written(options, events);
        assert_eq!((file.scan().count(), file.space("s").unwrap().total().unwrap()), (5_000, 5_000));
    }
}

/// Case S7: how many there are of each is limited by nothing but the file.
#[test]
fn a_hundred_thousand_of_each_are_no_limit() {
    let keys: Vec<String> = (0..100_000).map(|i| format!("{i:06x}")).collect();
    let event = |(i, key)| Event::new("s", i, "").grouping(key).index(key, key).index("all", key);
    let file = written(WriterOptions::new().codec(Codec::Lz4), (0..).zip(&keys).map(event));
    assert_eq!(file.groupings("s").unwrap().count(), 100_000);
    assert_eq!(file.index_names().count(), 100_001);
    assert_eq!(file.index_values("all").unwrap().count(), 100_000);
    assert_eq!(file.scan().index("09abc0", "09abc0").count(), 0);
    assert_eq!(file.scan().index("0186a0", "0186a0").count(), 0);
    assert_eq!(file.scan().index("01869f", "01869f").count(), 1);
    let spaces = written(
        WriterOptions::new().codec(Codec::Lz4),
        (0..).zip(&keys).map(|(i, key)| Event::new(key, i, "")),
    );
    assert_eq!(spaces.spaces().count(), 100_000);
}
