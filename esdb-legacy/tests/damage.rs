//! Damaged and hostile old files: what is given was stored, what is missing is told, and the end comes soon.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod old;

use std::collections::HashSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use esdb_legacy::{Legacy, Options, Report};

use old::{Event, put_uvarint};

type Shown = (i64, Vec<u8>);

/// Events and report; `None` if nothing can be read.
fn convert(bytes: Vec<u8>) -> Option<(Vec<Shown>, Report)> {
    let old = Legacy::open_source(Box::new(bytes)).ok()?;
    let mut events = Vec::new();
    let mut each = |event: &esdb_format::Event<'_>| {
        events.push((event.timestamp, event.data.to_vec()));
        Ok(())
    };
    let report = old.for_each(&Options::new().memory(8 << 20), &mut each, &mut |_| ()).ok()?;
    assert_eq!(report.events, events.len() as u64);
    Some((events, report))
}

/// Two spaces, raw and packed blocks, indexes. `keys` tells whether the events have any.
fn spaces() -> Vec<(&'static [u8], Vec<Event>)> {
    let event = |i: u32, len: usize| Event {
        grouping: (i % 2).to_string().into_bytes(),
        timestamp: 1_000 + i / 3,
        keys: vec![b"all:x".to_vec(), format!("n:{}", i % 3).into_bytes()],
        data: (0..len).map(|at| (i as usize * 31 + at * at * 7) as u8).collect(),
    };
    let packed = |i: u32| Event {
        data: format!("{{\"number\":{i},\"text\":\"text text text\"}}").into_bytes(),
        ..event(i, 0)
    };
    vec![(b"packed", (0..40).map(packed).collect()), (b"raw", (0..9).map(|i| event(i, 20)).collect())]
}

fn stored() -> HashSet<Shown> {
    let events = spaces().into_iter().flat_map(|(_, events)| events);
    events.map(|event| (event.timestamp.into(), event.data)).collect()
}

/// Where the blocks of events are in the archive: what each space has in common with one without keys.
fn groupings(whole: &[u8]) -> [Range<usize>; 2] {
    let second =
        whole.windows(8).position(|bytes| bytes == [0x57, 0xFB, 0x80, 0x8B, 0x24, 0x75, 0x47, 0xDB]).unwrap()
            + 16;
    let plain = |space: usize| {
        let (name, events) = spaces().swap_remove(space);
        let without = events.iter().map(|event| Event { keys: Vec::new(), ..event.clone() }).collect();
        let (with, without) = (old::archive(&[(name, events)]), old::archive(&[(name, without)]));
        with.iter().zip(&without).take_while(|(a, b)| a == b).count()
    };
    [1..plain(0), second + 1..second + plain(1)]
}

#[test]
fn a_flipped_bit_is_told_unless_it_is_inside_of_events() {
    flip(|at| at % 16..at % 16 + 1);
}

/// `cargo test -p esdb-legacy --test damage every_flipped -- --ignored`
#[test]
#[ignore = "13,000 conversions"]
fn every_flipped_bit_is_told_unless_it_is_inside_of_events() {
    flip(|_| 0..8);
}

/// Flips some bits of each byte, those below 8.
fn flip(bits: impl Fn(usize) -> Range<usize>) {
    let whole = old::archive(&spaces());
    let (stored, groupings) = (stored(), groupings(&whole));
    // Behind the blocks of events, up to the table.
    let table =
        |from: usize| from + whole[from..].windows(4).position(|bytes| bytes == b"\0\x02\x03g").unwrap();
    let indexes = groupings.clone().map(|range| range.end..table(range.end));
    let mut silent = 0;
    let mut flips = 0;
    for (at, bit) in
        (0..whole.len()).flat_map(|at| bits(at).map(move |bit| (at, bit))).filter(|(_, bit)| *bit < 8)
    {
        flips += 1;
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << bit;
        let Some((events, report)) = convert(bytes) else {
            panic!("nothing can be read with byte {at} changed")
        };
        let inside = groupings.iter().any(|range| range.contains(&at));
        if report.is_complete() {
            // An entry may lead to another event of the same time, in another grouping.
            let inside = inside || indexes.iter().any(|range| range.contains(&at));
            assert!(inside, "bit {bit} of byte {at} is changed, and nothing was told");
            assert_eq!(events.len(), stored.len());
            silent += 1;
        }
        if !inside {
            let made_up: Vec<&Shown> = events.iter().filter(|event| !stored.contains(event)).collect();
            assert!(made_up.is_empty(), "bit {bit} of byte {at}: {made_up:?} {:?}", report.losses);
        }
        assert!(report.events + 49 >= stored.len() as u64, "byte {at}");
    }
    println!("{silent} of {flips} flips, all inside of events or index entries, were not found");
}

fn splitmix(i: u64) -> u64 {
    let mixed = (i ^ i << 31).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 32
}

/// A block that does not decode, a length of a record that is wrong, a hole of zeros: each in the middle of a grouping of many blocks, with
/// index entries that vouch for what follows, and without.
#[test]
fn damage_inside_of_a_grouping_costs_what_is_there() {
    for has_keys in [true, false] {
        let event = |i: u32| Event {
            timestamp: 1_500_000_000 + i / 2,
            keys: if has_keys { vec![b"all:".to_vec()] } else { Vec::new() },
            data: format!("{{\"number\":{i},\"page\":\"/path/to/page/{}\"}}", i * i % 97).into_bytes(),
            ..Event::default()
        };
        let noise = |i: u32| Event {
            data: (0..90).map(|at| splitmix(u64::from(i * 90 + at)) as u8).collect(),
            ..event(i)
        };
        let packed: Vec<Event> = (0..2_000).map(event).collect();
        let raw: Vec<Event> = (0..500).map(noise).collect();
        let stored: HashSet<Shown> =
            packed.iter().chain(&raw).map(|event| (event.timestamp.into(), event.data.clone())).collect();
        let archive = |events: &[Event]| old::archive(&[(b"s", events.to_vec())]);
        let (packed, raw) = (archive(&packed), archive(&raw));
        // The third block of each begins behind two others.
        let third = |bytes: &[u8]| {
            (0..2).fold(1, |at, _| at + 3 + usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]])))
        };
        let damage = |bytes: &[u8], range: Range<usize>, value: u8| {
            let mut bytes = bytes.to_vec();
            bytes[range].fill(value);
            bytes
        };
        let (in_packed, in_raw) = (third(&packed), third(&raw) + 1_000);
        // Records of 95 bytes: the first one that begins in the third block.
        let length = third(&raw) + 3 + 95 - 2 * 4096 % 95;
        let cases = [
            ("a block that does not decode", damage(&packed, in_packed + 3..in_packed + 5, 0xFF), 1_900),
            ("a wrong header", damage(&packed, in_packed..in_packed + 2, 0xFF), 2_000),
            ("a hole", damage(&raw, in_raw..in_raw + 600, 0), 500 - 12),
            ("a wrong length", damage(&raw, length..length + 1, 99), 500 - 12),
        ];
        for (name, bytes, least) in cases {
            let (events, report) = convert(bytes).unwrap();
            println!("{name}, keys {has_keys}: {} events, {:?}", events.len(), report.losses.first());
            assert!(!report.is_complete(), "{name}");
            let made_up: Vec<&Shown> = events.iter().filter(|event| !stored.contains(event)).collect();
            assert!(made_up.len() <= 2, "{name}, keys {has_keys}: {made_up:?}");
            assert!(events.len() >= least, "{name}, keys {has_keys}: {} events", events.len());
        }
    }
}

#[test]
fn a_cut_file_gives_what_is_before_the_cut() {
    let whole = old::archive(&spaces());
    let stored = stored();
    for len in (0..whole.len()).filter(|len| len % 5 == 0 || len + 200 > whole.len()) {
        let Some((events, report)) = convert(whole[..len].to_vec()) else {
            assert!(len < 600, "nothing of {len} bytes");
            continue;
        };
        assert!(!report.is_complete(), "{len} bytes");
        assert!(events.iter().all(|event| stored.contains(event)), "{len} bytes: an event was made up");
    }
    let (events, _) = convert(whole[..whole.len() - 120].to_vec()).unwrap();
    assert_eq!(events.len(), 49);
}

#[test]
fn archives_inside_of_events_mislead_nobody() {
    let noise = |i: u64, len: u64| (0..len).map(|at| splitmix(i * 1_000 + at) as u8).collect::<Vec<u8>>();
    let inner = |i: u64| {
        let event = |n: u64| Event { timestamp: n as u32, data: noise(i + n, 300), ..Event::default() };
        old::raw_archive(&[(b"inner", (0..3).map(event).collect())])
    };
    let event = |i: u64| Event {
        timestamp: 1_000 + i as u32,
        keys: vec![b"k:v".to_vec()],
        data: if i.is_multiple_of(3) { inner(i) } else { noise(i, 500) },
        ..Event::default()
    };
    let spaces = [(&b"a"[..], (0..20).map(event).collect::<Vec<_>>()), (b"b", (20..40).map(event).collect())];
    let whole = old::raw_archive(&spaces);
    let stored: HashSet<Shown> = spaces
        .iter()
        .flat_map(|(_, events)| events.iter().map(|event| (event.timestamp.into(), event.data.clone())))
        .collect();
    // Without the length at the end, the table of spaces, and a part of it.
    for cut in [4, 60, 200] {
        let (events, report) = convert(whole[..whole.len() - cut].to_vec()).unwrap();
        assert!(!report.is_complete());
        assert!(events.iter().all(|event| stored.contains(event)), "{cut}");
        assert_eq!((events.len(), report.spaces), (40, 2), "{cut}: {:?}", report.losses);
    }
}

#[test]
fn a_damaged_stream_gives_what_is_whole() {
    let records: Vec<(Vec<u8>, Vec<Vec<u8>>)> =
        (0..30).map(|i: u8| (vec![i; usize::from(i)], vec![format!("k:{}", i % 3).into_bytes()])).collect();
    let data: HashSet<&Vec<u8>> = records.iter().map(|(data, _)| data).collect();
    for is_closed in [false, true] {
        let whole = old::stream(&records, is_closed);
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            let Some((events, report)) = convert(bytes) else {
                panic!("nothing can be read with byte {at} changed")
            };
            let altered = events.iter().filter(|(_, found)| !data.contains(found)).count();
            assert!(altered <= 1 && events.len() + 3 >= records.len(), "byte {at}: {} events", events.len());
            // Only the bytes of data and of keys can change without a trace.
            assert!(!report.is_complete() || events.len() == records.len(), "byte {at}");
        }
        for len in 0..whole.len() {
            if let Some((events, _)) = convert(whole[..len].to_vec()) {
                assert!(events.iter().all(|(_, found)| data.contains(found)), "{len} bytes");
            }
        }
    }
}

/// Each of these is told, or nothing of it can be read; none takes long, or much memory.
#[test]
fn hostile_files_are_refused_soon() {
    let behind = |mut bytes: Vec<u8>, table: Vec<u8>| {
        bytes.extend_from_slice(&table);
        bytes.extend_from_slice(&(table.len() as u64).to_le_bytes());
        bytes
    };
    let file_entry = |offset: u64, len: u64| [offset.to_le_bytes(), len.to_le_bytes()].concat();
    let section = |offset: u64, len: u64| {
        let mut value = Vec::new();
        put_uvarint(&mut value, offset);
        put_uvarint(&mut value, len);
        value
    };
    let block =
        |encoding: u8, body: &[u8]| [&(body.len() as u16).to_le_bytes()[..], &[encoding], body].concat();
    let space = |sections: &[u8], entries: &[(Vec<u8>, Vec<u8>)]| {
        behind([&[0x2A], sections].concat(), old::table(entries))
    };
    let one = |space: Vec<u8>| {
        let len = space.len() as u64;
        behind(space, old::table(&[(b"s".to_vec(), file_entry(0, len))]))
    };
    let numbered = |prefix: &[u8], i: u64| [prefix, format!("{i:08}").as_bytes()].concat();

    let mut cases: Vec<(&str, Vec<u8>)> = Vec::new();
    let raw = block(0, b"\x01\x01\0\0\0a\0");
    let good = space(&raw, &[(b"g".to_vec(), section(1, raw.len() as u64))]);
    let len = good.len() as u64;
    let many: Vec<_> = (0..100_000).map(|i| (numbered(b"s", i), file_entry(0, len))).collect();
    cases.push(("many ids of one space", behind(good.clone(), old::table(&many))));
    let far: Vec<_> = (0..50_000).map(|i| (numbered(b"s", i), file_entry(i << 32, u64::MAX - i))).collect();
    cases.push(("spaces beyond the file", behind(good, old::table(&far))));
    let many: Vec<_> = (0..100_000).map(|i| (numbered(b"g", i), section(1, raw.len() as u64))).collect();
    cases.push(("many groupings of one section", one(space(&raw, &many))));
    let many: Vec<_> =
        (0..5_000).map(|i| (numbered(&[&b"g"[..], &[b'x'; 60_000]].concat(), i), section(1, 1))).collect();
    cases.push(("long names that share all but the end", one(space(&raw, &many))));
    cases.push((
        "a Snappy length of 4 GiB",
        one({
            let bomb = block(1, b"\xff\xff\xff\xff\x0fabcdef");
            space(&bomb, &[(b"g".to_vec(), section(1, bomb.len() as u64))])
        }),
    ));
    for len in [u64::from(u32::MAX), 1 << 40, u64::MAX] {
        let mut record = Vec::new();
        put_uvarint(&mut record, len);
        let bytes = block(0, &[&record[..], b"\0\0\0\0abc\0"].concat());
        cases.push((
            "a record without end",
            one(space(&bytes, &[(b"g".to_vec(), section(1, bytes.len() as u64))])),
        ));
    }
    let entries: Vec<u8> =
        (0..400).flat_map(|_| [&u64::MAX.to_le_bytes()[..], &[0xFF; 2]].concat()).chain([0]).collect();
    let index = block(0, &entries);
    let sections = [&raw[..], &index].concat();
    let table = [
        (b"g".to_vec(), section(1, raw.len() as u64)),
        (b"ia:b".to_vec(), section(1 + raw.len() as u64, index.len() as u64)),
    ];
    cases.push(("index entries that point nowhere", one(space(&sections, &table))));
    let magic = [0x57, 0xFB, 0x80, 0x8B, 0x24, 0x75, 0x47, 0xDB];
    cases.push(("a million marks", [&[0x2A][..], &magic.repeat(200_000)].concat()));
    cases.push(("blocks of one byte", [&[0x2A][..], &b"\x01\0\0\0".repeat(300_000)].concat()));
    cases.push(("headers of empty blocks", [&[0x2A][..], &[0; 1_000_000]].concat()));
    let stream = |records: &[u8]| [b"ESDBstream", records].concat();
    cases.push(("a stream of tiny lengths", stream(&b"\x01\0\0\0\x05".repeat(200_000))));
    cases.push((
        "a record with 2^60 keys",
        stream(&[&[100, 0, 0, 0, 0][..], &[0xFF; 8], &[0x0F], &[0; 100_000]].concat()),
    ));
    cases.push(("a stream of nothing but 0xFF", stream(&[0xFF; 1_000_000])));
    let far = |_| [&0x0010_0000_u32.to_le_bytes()[..], &[0xC0, 0xFF, 0x3F, 0]].concat();
    let far: Vec<u8> = (0..250_000).flat_map(far).collect();
    cases.push(("a stream of records that all reach far", stream(&far)));
    let shared: Vec<_> = (0..20_000).map(|i| (numbered(b"g", i), section(2 + i, 400_000 - i))).collect();
    cases.push(("sections that share their blocks", one(space(&b"\x01\0\0\0".repeat(110_000), &shared))));
    for (name, bytes) in cases {
        let start = Instant::now();
        if let Some((events, report)) = convert(bytes) {
            assert!(!report.is_complete() && events.len() <= 300_000, "{name}");
            println!("{name}: {} events, {} losses, {:?}", report.events, report.loss_count, start.elapsed());
        } else {
            println!("{name}: refused, {:?}", start.elapsed());
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{name}: {:?}", start.elapsed());
    }
}

#[test]
fn what_fuzzing_found_ends_well() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/legacy");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        convert(std::fs::read(path).unwrap());
    }
}

/// `cargo test -p esdb-legacy --test damage seeds -- --ignored` writes the seeds of `fuzz/fuzz_targets/legacy.rs`.
#[test]
#[ignore = "writes into fuzz/corpus"]
fn seeds() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/legacy");
    std::fs::create_dir_all(&folder).unwrap();
    let mut few = spaces();
    few[0].1.truncate(3);
    few[1].1.truncate(2);
    let records = [
        (b"one".to_vec(), vec![b"k:v".to_vec()]),
        (b"two".to_vec(), vec![b"k:v".to_vec(), b"a:b:c".to_vec()]),
    ];
    for (name, bytes) in [
        ("archive", old::archive(&spaces())),
        ("few", old::archive(&few)),
        ("empty", old::archive(&[])),
        ("closed", old::stream(&records, true)),
        ("open", old::stream(&records, false)),
    ] {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}
