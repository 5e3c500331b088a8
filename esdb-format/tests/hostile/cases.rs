//! H1 to H25: each a file that lies, resealed.

use std::time::{Duration, Instant};

use esdb_format::{Codec, Event, Reader, VerifyLevel, WriterOptions};

use crate::layout::{FOOTER, Kind, TREES, key64, put_number};
use crate::mutants::{Verdict, alone, examine, examine_bounded, most_time};
use crate::mutate::with_root;
use crate::reseal::reseal;
use crate::samples::Sample;

/// The places of trees among the roots.
const NAMES: usize = 1;
const BLOCKS: usize = 4;

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    reseal(&mut bytes);
    bytes
}

fn plain() -> Sample {
    let [_, plain, _] = Sample::all();
    plain
}

/// The file with these numbers of 8 or fewer bytes, at places counted from the footer's start.
fn with_footer(original: &[u8], numbers: &[(usize, usize, u64)]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    let footer = bytes.len() - FOOTER;
    for &(at, len, value) in numbers {
        put_number(&mut bytes, footer + at, len, value);
    }
    sealed(bytes)
}

fn assert_refused(sample: &Sample, bytes: &[u8], what: &str) {
    let verdict = examine(sample, bytes, true).unwrap_or_else(|why| panic!("{what}: {why}"));
    assert_ne!(verdict, Verdict::Whole, "{}: {what}", sample.name);
}

fn message(bytes: Vec<u8>) -> String {
    Reader::from_bytes(bytes).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn h01_every_number_of_header_and_footer() {
    let _alone = alone();
    let sample = plain();
    let most = most_time(&sample);
    for (bytes, what) in sample.original.outer_lies().step_by(3) {
        examine_bounded(&sample, &sealed(bytes), true, most, &what);
    }
}

#[test]
fn h02_offset_and_length_beyond_64_bits() {
    let sample = plain();
    for root in (64..184).step_by(24) {
        for (offset, len) in [(u64::MAX - 7, 16), (u64::MAX, 1), (i64::MAX as u64, 8), (1 << 63, 9)] {
            let bytes = with_footer(&sample.original.bytes, &[(root, 8, offset), (root + 8, 4, len)]);
            assert_refused(&sample, &bytes, &format!("root at {root}: {offset}, {len}"));
        }
    }
    let bytes = with_footer(&sample.original.bytes, &[(184, 8, u64::MAX - 7), (192, 4, 16)]);
    assert!(Reader::from_bytes(bytes).is_err(), "facts");
}

#[test]
fn h03_counts_that_the_bytes_cannot_hold() {
    let _alone = alone();
    let sample = plain();
    let most = most_time(&sample);
    for count in [1 << 32, 1 << 61, i64::MAX as u64] {
        for at in (40..).step_by(40).take(1).chain((80..200).step_by(24)) {
            let bytes = with_footer(&sample.original.bytes, &[(at, 8, count)]);
            let verdict = examine_bounded(&sample, &bytes, true, most, &format!("{count} at {at}"));
            assert_ne!(verdict, Verdict::Whole, "{count} at {at}");
        }
    }
}

#[test]
fn h06_many_entries_of_one_block() {
    let _alone = alone();
    let sample = plain();
    let bytes = with_root(&sample.original.bytes, BLOCKS, |entries| {
        let (_, value) = entries[0].clone();
        *entries = (0..9_000_u64).map(|i| (key64(i * 40), value.clone())).collect();
    });
    let bytes = with_footer(&bytes, &[(40, 8, 360_000)]);
    let verdict = examine_bounded(&sample, &bytes, true, most_time(&sample), "one block, 9,000 entries");
    assert_eq!(verdict, Verdict::Damaged);
}

#[test]
fn h07_sections_that_overlap() {
    let sample = plain();
    let len = sample.original.bytes.len() as u64;
    for root in (64..208).step_by(24) {
        for offset in [0, 8, 64, len - 288, len - 100, len - 1, len] {
            assert_refused(&sample, &with_footer(&sample.original.bytes, &[(root, 8, offset)]), "overlap");
        }
    }
}

#[test]
fn h09_entries_out_of_order() {
    for sample in Sample::all() {
        for (tree, kind) in TREES.into_iter().enumerate() {
            // Without the library strings that are compressed cannot be read.
            if matches!(kind, Kind::Spaces | Kind::Groupings) && sample.name != "plain" {
                continue;
            }
            let listed = |bytes: Vec<u8>| -> Vec<String> {
                let file = Reader::from_bytes(bytes).unwrap();
                let spaces = file.spaces().map(|space| space.unwrap());
                let groupings =
                    |key: &[u8]| file.groupings(key).unwrap().map(Result::unwrap).collect::<Vec<_>>();
                spaces.map(|space| format!("{space:?} {:?}", groupings(&space.key))).collect()
            };
            let same = with_root(&sample.original.bytes, tree, |_| {});
            assert_eq!(listed(sealed(same)), listed(sample.original.bytes.clone()));
            let swapped = with_root(&sample.original.bytes, tree, |entries| entries.reverse());
            let repeated = with_root(&sample.original.bytes, tree, |entries| {
                let last = entries.last().unwrap().clone();
                entries.push(last);
            });
            assert_refused(&sample, &sealed(swapped), "reversed");
            assert_refused(&sample, &sealed(repeated), "repeated");
        }
    }
}

/// Every number of the tables, made false, is refused; every number of the columns too.
fn assert_every_lie_is_found(step: usize) {
    let (mut count, mut harmless) = (0, 0);
    for sample in Sample::all() {
        for in_tables in [true, false] {
            for (bytes, what) in sample.original.small_lies(in_tables).step_by(step) {
                let bytes = sealed(bytes);
                let Ok(reader) = Reader::from_bytes(bytes.clone()) else { continue };
                // What is only written in another way, such as a wider frame (I3 binds writers), is no lie.
                if reader.verify(VerifyLevel::Deep).is_ok() {
                    let verdict = examine(&sample, &bytes, true);
                    assert_eq!(verdict, Ok(Verdict::Whole), "{}: {what}", sample.name);
                    harmless += 1;
                }
                count += 1;
            }
        }
    }
    println!("{count} false numbers, {harmless} of them true in other words");
    assert!(harmless * 10 < count, "{harmless} of {count}");
}

#[test]
fn h10_h13_h18_false_numbers_are_found_by_verify() {
    assert_every_lie_is_found(11);
}

/// `cargo test -p esdb-format --test hostile -- --ignored h10`
#[test]
#[ignore = "every number takes a minute"]
fn h10_h13_h18_every_false_number_is_found_by_verify() {
    assert_every_lie_is_found(1);
}

#[test]
fn h11_a_missing_index_name_is_found_by_verify() {
    for sample in Sample::all() {
        let bytes = with_root(&sample.original.bytes, NAMES, |entries| drop(entries.remove(0)));
        assert_refused(&sample, &sealed(bytes), "a name is missing");
    }
}

#[test]
fn h14_h16_what_is_newer_is_no_damage() {
    let original = plain().original.bytes;
    let bytes = with_footer(&original, &[(272, 2, 0xFFFF)]);
    assert_eq!(message(bytes), "format 65535 is newer than this program reads (1)");
    let bytes = with_footer(&original, &[(12, 4, 4)]);
    assert!(message(bytes).contains("feature"), "required flag");
    let bytes = with_footer(&original, &[(11, 1, 9)]);
    assert!(message(bytes).contains("codec is 9"), "unknown codec");
}

#[test]
fn h17_any_bytes_are_names() {
    let long = vec![b'x'; 65_535];
    let names: [&[u8]; 8] =
        [b"", b"\0", b"\n", b"\x1b]0;x\x07", b"\xff\xfe", "\u{202e}abc".as_bytes(), &long, b"plain"];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("names.esdb");
    let mut writer = WriterOptions::new().codec(Codec::Lz4).create(&path).unwrap();
    for (i, name) in names.iter().enumerate() {
        writer.add(Event::new(name, i as i64, name).grouping(name).index(name, name)).unwrap();
    }
    writer.finish().unwrap();
    let reader = Reader::open(&path).unwrap();
    assert!(reader.verify(VerifyLevel::Deep).is_ok());
    for name in names {
        let event = reader.space(name).unwrap().grouping(name).index(name, name).next().unwrap().unwrap();
        assert_eq!((event.space(), event.grouping(), event.data()), (name, name, name));
    }
    assert_eq!((reader.spaces().count(), reader.index_names().count()), (8, 8));
}

/// `cargo test --release -p esdb-format --test hostile -- --ignored h19`
#[test]
#[ignore = "measures time, which wants a quiet machine"]
fn h19_time_grows_with_the_number_of_blocks() {
    let time = |count: i64| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blocks.esdb");
        let mut writer = WriterOptions::new().block_events_for_tests(1).create(&path).unwrap();
        (0..count).for_each(|i| writer.add(Event::new("s", i, "x")).unwrap());
        writer.finish().unwrap();
        let reader = Reader::open(&path).unwrap();
        let start = Instant::now();
        assert!(reader.verify(VerifyLevel::Deep).is_ok());
        assert_eq!(reader.scan().count() as i64, count);
        start.elapsed()
    };
    let (once, twice) = (time(50_000), time(100_000));
    println!("{once:?}, {twice:?}");
    assert!(twice.as_secs_f64() <= once.as_secs_f64() * 2.3);
}

#[test]
fn h25_unrelated_files_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut go = vec![0; 100];
    go[84..92].copy_from_slice(&[0x57, 0xFB, 0x80, 0x8B, 0x24, 0x75, 0x47, 0xDB]);
    let files: [&[u8]; 4] =
        [&b"text ".repeat(100), &b"\x7fELF\x02\x01\x01\0".repeat(50), &b"SQLite format 3\0".repeat(50), &go];
    for bytes in files {
        let path = folder.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        let before = path.metadata().unwrap().modified().unwrap();
        assert!(Reader::open(&path).is_err());
        assert_eq!(path.metadata().unwrap().modified().unwrap(), before);
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn an_entry_that_leads_to_a_block_in_the_cache_is_refused() {
    let sample = plain();
    let bytes = with_root(&sample.original.bytes, BLOCKS, |entries| entries[1].1 = entries[2].1.clone());
    let reader = Reader::from_bytes(sealed(bytes)).unwrap();
    let (done, result) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for _ in 0..2 {
            // From the end: the block comes into the cache by its own entry.
            let failed = reader.scan().range(1_000..1_499).rev().any(|event| event.is_err());
            done.send(failed).unwrap();
        }
    });
    for _ in 0..2 {
        assert_eq!(
            result.recv_timeout(Duration::from_secs(20)),
            Ok(true),
            "the scan must end, with an error"
        );
    }
}

#[test]
fn a_footer_that_counts_whole_blocks_less_is_noticed_by_scans() {
    let sample = plain();
    for events in [40, 80, 120] {
        let reader = Reader::from_bytes(with_footer(&sample.original.bytes, &[(40, 8, events)])).unwrap();
        assert!(reader.scan().any(|event| event.is_err()), "{events} of 160");
        assert!(reader.scan().rev().any(|event| event.is_err()), "{events} of 160, backwards");
    }
}
