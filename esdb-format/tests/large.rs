//! Cases S3 and S10 in earnest: files of more than 2^32 bytes, and of more than 2^32 events. `src/writer/far.rs` asks the same of small ones.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::time::Instant;

use esdb_format::{Codec, Event, Reader, ReaderOptions, VerifyLevel, WriterOptions};

/// `cargo test --release -p esdb-format --test large -- --ignored five_gib --nocapture`
#[test]
#[ignore = "5 GiB of disk, some minutes"]
fn a_file_of_five_gib_is_read_on_both_sides_of_4_gib() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.esdb");
    // Incompressible, and another 64 KiB for each event.
    let noise: Vec<u8> = (0..(1_u64 << 20) / 8 + 81_920)
        .flat_map(|i| (i ^ 0x5A5A).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31).to_le_bytes())
        .collect();
    let data = |i: usize| &noise[i * 8 % 640_000..][..65_536 - i % 7];
    let count = 82_000;
    let mut writer = WriterOptions::new().codec(Codec::Lz4).create(&path).unwrap();
    for i in 0..count {
        let number = (i % 1_000).to_string();
        writer.add(Event::new(["a", "b"][i / 60_000], i as i64, data(i)).index("n", &number)).unwrap();
    }
    let summary = writer.finish().unwrap();
    assert!(summary.file_len > 5 << 30, "{} bytes", summary.file_len);
    for file in [Reader::open(&path).unwrap(), ReaderOptions::new().map(false).open(&path).unwrap()] {
        let found = file.verify(VerifyLevel::Deep);
        assert!(found.is_ok(), "{:?}", found.problems);
        for (i, event) in file.scan().enumerate() {
            let event = event.unwrap();
            assert!(event.timestamp() == i as i64 && event.data() == data(i), "event {i}");
        }
        // About 65,600 events lie below 2^32.
        for i in 65_000..66_500 {
            let event = file.space("b").unwrap().range(i..=i).next().unwrap().unwrap();
            assert!(event.data() == data(i as usize), "event {i}");
        }
        let given: Vec<i64> = file.scan().index("n", "77").map(|event| event.unwrap().timestamp()).collect();
        assert!(given.into_iter().eq((77..count as i64).step_by(1_000)));
    }
}

/// `cargo test --release -p esdb-format --test large -- --ignored four_billion --nocapture`
#[test]
#[ignore = "4.3 billion events take an hour or two"]
fn four_billion_events_are_counted_and_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.esdb");
    let count = (1_i64 << 32) + 5_000;
    let start = Instant::now();
    let mut writer = WriterOptions::new().codec(Codec::Lz4).create(&path).unwrap();
    for i in 0..count {
        let event = Event::new(if i < count - 10_000 { "a" } else { "b" }, i / 3, "");
        // Either side of 2^32.
        writer.add(if i > count - 7_000 { event.index("late", "yes") } else { event }).unwrap();
    }
    let summary = writer.finish().unwrap();
    println!("written in {:.0?}: {} bytes", start.elapsed(), summary.file_len);
    assert_eq!(summary.events, count as u64);
    let file = Reader::open(&path).unwrap();
    let last = file.scan().rev().take(20_000).map(|event| event.unwrap().ordinal());
    assert!(last.eq((0..count as u64).rev().take(20_000)));
    assert_eq!(file.space("b").unwrap().total().unwrap(), 10_000);
    let late: Vec<u64> = file.scan().index("late", "yes").map(|event| event.unwrap().ordinal()).collect();
    assert!(late.into_iter().eq(count as u64 - 6_999..count as u64));
    let mut scan = file.scan().cursor();
    let mut expected = 0;
    while let Some(event) = scan.next().unwrap() {
        assert!(event.ordinal() == expected && event.timestamp() == expected as i64 / 3);
        expected += 1;
    }
    assert_eq!(expected, count as u64);
    println!("scanned after {:.0?}", start.elapsed());
    let found = file.verify(VerifyLevel::Checksums);
    assert!(found.is_ok(), "{:?}", found.problems);
}
