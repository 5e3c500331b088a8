//! Leaves of the spaces and groupings tables, whole and damaged.

use std::sync::Arc;

use super::*;
use crate::codec::key64;
use crate::page::{Page, PageCursor};
use crate::tree::tests::Memory;
use crate::tree::{Tree, TreeBuilder};

fn codecs() -> Codecs {
    Codecs::new(Codec::Zstd { level: 3 }, true)
}

fn page_of(bytes: &[u8], section: Section) -> Result<Arc<Page>> {
    Page::decode(bytes.to_vec(), 1000, section, &codecs()).map(Arc::new)
}

/// All entries, after everything was checked.
fn read(bytes: &[u8], section: Section) -> Result<Vec<(Vec<u8>, RunEntry)>> {
    let page = page_of(bytes, section)?;
    page.check_shape()?;
    let (mut cursor, mut entries) = (PageCursor::new(page), Vec::new());
    while cursor.next()? {
        entries.push((cursor.key().to_vec(), RunEntry::at(&cursor)?));
    }
    Ok(entries)
}

fn rule<T>(result: Result<T>) -> &'static str {
    result.err().and_then(|error| error.problem().map(|problem| problem.rule)).unwrap_or("")
}

fn leaf(section: Section, entries: &[(Vec<u8>, RunEntry)]) -> Vec<u8> {
    let mut leaf = ExtentsBuilder::new(section, Codec::Zstd { level: 3 }).unwrap();
    entries.iter().for_each(|(key, entry)| leaf.add(key, entry.clone()));
    leaf.take().unwrap()
}

/// Some entries of one event, some of many; of one grouping or several; in the groupings table with gaps.
fn entries(section: Section, count: u64) -> Vec<(Vec<u8>, RunEntry)> {
    let (mut first_ordinal, mut entries) = (700, Vec::new());
    for i in 0..count {
        let random = i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        let events = if random.is_multiple_of(3) { 1 } else { random % 500 + 2 };
        let first = 1_767_225_600_000 + (random % 90_000_000) as i64 * 1000;
        let last = if events == 1 { first } else { first + (random % 77) as i64 * 1000 };
        let is_space = section == Section::Spaces;
        let groupings = if is_space && random.is_multiple_of(5) { random % events + 1 } else { 1 };
        let only_grouping = (is_space && groupings == 1).then(|| vec![b'g'; (random % 4) as usize]);
        let extent = Extent { count: events, first, last };
        let key = format!("customer-{:06}{}", i * 7, if i % 9 == 0 { "-with-a-long-name" } else { "" });
        entries.push((key.into_bytes(), RunEntry { first_ordinal, extent, groupings, only_grouping }));
        first_ordinal += events + if is_space { 0 } else { random % 2 * (random % 1000) };
    }
    entries
}

const BOTH: [Section; 2] = [Section::Spaces, Section::Groupings];

#[test]
fn leaves_come_back_as_they_were() {
    for section in BOTH {
        for count in [1, 2, 15, 16, 17, 127, 128, 129, 255, 256] {
            let entries = entries(section, count);
            let bytes = leaf(section, &entries);
            assert_eq!(read(&bytes, section).unwrap(), entries, "{section:?} {count}");
            let mut cursor = PageCursor::new(page_of(&bytes, section).unwrap());
            for (key, entry) in entries.iter().rev().step_by(5) {
                assert!(cursor.floor(key).unwrap() && cursor.key() == key);
                assert_eq!(&RunEntry::at(&cursor).unwrap(), entry);
            }
        }
        assert_eq!(leaf(section, &[]), [0, 0, 0]);
        assert!(page_of(&[0, 0, 0], section).unwrap().extents().is_none());
    }
}

#[test]
fn extremes_come_back() {
    let run = |first_ordinal, count, first, last| RunEntry {
        first_ordinal,
        extent: Extent { count, first, last },
        groupings: count,
        only_grouping: None,
    };
    let most = i64::MAX as u64;
    let extremes = [
        vec![run(0, most, i64::MIN, i64::MAX)],
        vec![run(most - 5, 2, i64::MIN, i64::MIN + 7), run(most - 3, 3, i64::MAX - 7, i64::MAX)],
        vec![run(0, 2, i64::MAX, i64::MAX)],
    ];
    for runs in extremes {
        let entries: Vec<_> = (0_u8..).map(|key| vec![key; 65_535]).zip(runs).collect();
        assert_eq!(read(&leaf(Section::Spaces, &entries), Section::Spaces).unwrap(), entries);
    }
    let only_grouping = Some(vec![7; 65_535]);
    let entry = RunEntry { groupings: 1, only_grouping, ..run(0, 1, 5, 5) };
    let entries = [(Vec::new(), entry)];
    assert_eq!(read(&leaf(Section::Spaces, &entries), Section::Spaces).unwrap(), entries);
}

#[test]
fn every_truncation_is_rejected() {
    for section in BOTH {
        let mut bytes = leaf(section, &entries(section, 140));
        for len in 0..bytes.len() {
            assert!(read(&bytes[..len], section).is_err(), "{section:?} {len}");
        }
        bytes.push(0);
        assert_eq!(rule(read(&bytes, section)), "P4");
    }
}

#[test]
fn differences_are_divided_by_what_they_share() {
    let of_times = |times: [i64; 3]| {
        let entry = |(key, time): (u8, i64)| {
            let extent = Extent { count: 2, first: time, last: time + (times[1] - times[0]) };
            let first_ordinal = u64::from(key) * 2;
            (vec![key], RunEntry { first_ordinal, extent, groupings: 2, only_grouping: None })
        };
        leaf(Section::Spaces, &(0..).zip(times).map(entry).collect::<Vec<_>>()).len()
    };
    // As many steps, of a thousand and of one.
    assert_eq!(of_times([5_000, 6_000, 90_000]), of_times([5_000, 5_001, 5_085]) + 1);
}

/// What a frame of two entries says.
#[derive(Clone)]
struct Forged {
    first_ordinal: u64,
    only_start: u64,
    base: i64,
    step: u64,
    counts: [u64; 2],
    gap: u64,
    firsts: [u64; 2],
    spans: [u64; 2],
    groupings: [u64; 2],
    lens: Vec<u64>,
}

/// Two events of two groupings, and three events of one grouping, `g`.
fn forged() -> Forged {
    Forged {
        first_ordinal: 9,
        only_start: 0,
        base: -100,
        step: 10,
        counts: [1, 2],
        gap: 0,
        firsts: [0, 3],
        spans: [5, 0],
        groupings: [1, 0],
        lens: vec![1],
    }
}

impl Forged {
    fn leaf(&self, section: Section) -> Vec<u8> {
        let mut out = vec![0, 2, 0, 0, 0, 0, 0, 4, 1, 5];
        out.extend_from_slice(&[0x01, b'a', 0x01, b'b', b'g']);
        out.put_varint(self.first_ordinal);
        if section == Section::Spaces {
            out.put_varint(self.only_start);
        } else {
            (out[8], out[9]) = (0, 4);
            out.remove(14);
        }
        out.put_svarint(self.base);
        out.put_varint(self.step);
        encode_column(&self.counts, &mut out);
        if section == Section::Groupings {
            encode_column(&[self.gap], &mut out);
        }
        encode_column(&self.firsts, &mut out);
        encode_column(&self.spans, &mut out);
        if section == Section::Spaces {
            encode_column(&self.groupings, &mut out);
            encode_column(&self.lens, &mut out);
        }
        out
    }
}

#[test]
fn false_frames_are_rejected() {
    let most = i64::MAX as u64;
    type Change = fn(&mut Forged);
    let cases: [(&str, Section, Change); 22] = [
        ("", Section::Spaces, |_| {}),
        ("", Section::Groupings, |_| {}),
        ("P6", Section::Spaces, |forged| forged.step = 0),
        ("P6", Section::Spaces, |forged| forged.firsts[0] = 1),
        ("P6", Section::Spaces, |forged| forged.firsts[1] = u64::MAX / 9),
        ("P6", Section::Spaces, |forged| forged.firsts[1] = u64::MAX / 10),
        ("P6", Section::Spaces, |forged| forged.spans[1] = u64::MAX / 9),
        ("P6", Section::Spaces, |forged| forged.spans[1] = u64::MAX / 10),
        ("P6", Section::Spaces, |forged| forged.counts[1] = u64::MAX),
        ("P6", Section::Spaces, |forged| forged.counts[1] = i64::MAX as u64 - 11),
        ("", Section::Spaces, |forged| forged.counts[1] = i64::MAX as u64 - 12),
        ("P6", Section::Spaces, |forged| forged.first_ordinal = u64::MAX),
        ("P6", Section::Spaces, |forged| forged.first_ordinal = i64::MAX as u64 - 4),
        ("", Section::Spaces, |forged| forged.first_ordinal = i64::MAX as u64 - 5),
        ("P6", Section::Groupings, |forged| forged.gap = u64::MAX),
        ("P6", Section::Groupings, |forged| forged.gap = i64::MAX as u64 - 13),
        ("", Section::Groupings, |forged| forged.gap = i64::MAX as u64 - 14),
        ("P6", Section::Spaces, |forged| forged.groupings[0] = 2),
        ("P6", Section::Spaces, |forged| forged.groupings[0] = u64::MAX),
        ("P4", Section::Spaces, |forged| forged.lens[0] = 2),
        ("P4", Section::Spaces, |forged| forged.lens[0] = 0),
        ("L1", Section::Spaces, |forged| forged.lens[0] = limits::KEY as u64 + 1),
    ];
    for (number, (expected, section, change)) in cases.into_iter().enumerate() {
        let mut forged = forged();
        change(&mut forged);
        let result = read(&forged.leaf(section), section);
        if let Ok(entries) = &result {
            assert!(entries.iter().all(|(_, entry)| entry.ordinals().end <= most), "case {number}");
        }
        assert_eq!(rule(result), expected, "case {number}");
    }
    for only_start in [1, u64::MAX] {
        assert_eq!(
            rule(read(&Forged { only_start, ..forged() }.leaf(Section::Spaces), Section::Spaces)),
            "P4"
        );
    }
    let no_entry = page_of(&forged().leaf(Section::Spaces), Section::Spaces).unwrap();
    assert_eq!(rule(no_entry.extents().unwrap().row(2).map(drop)), "P4");
    assert_eq!(rule(no_entry.extents().unwrap().row(128).map(drop)), "P4");
}

#[test]
fn false_lengths_and_places_are_rejected() {
    let bytes = forged().leaf(Section::Spaces);
    // Number of entries; where the frame begins; lengths of keys, groupings, and both stored.
    for (at, value, expected) in [(2, 2, "L1"), (5, 1, "P4"), (7, 3, "Z1"), (7, 5, "Z2"), (8, 0, "Z1")] {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        bytes.extend_from_slice(&[0; 2_000]);
        assert_eq!(rule(read(&bytes, Section::Spaces)), expected, "{value} at {at}");
    }
    let long = [&bytes[..7], &[0x81, 0x80, 0x10], &bytes[8..]].concat();
    assert_eq!(rule(read(&long, Section::Spaces)), "L1");
    let one_entry = [&[0, 1, 0, 0, 0, 0, 0][..], &[2, 0, 2, 0x0F, b'a']].concat();
    assert_eq!(rule(read(&one_entry, Section::Spaces)), "P4");
}

/// Who asks for an entry reads the frame that it is in.
#[test]
fn damage_in_a_frame_costs_its_entries() {
    let entries = entries(Section::Spaces, 200);
    let mut bytes = leaf(Section::Spaces, &entries);
    let end = bytes.len();
    bytes[end - 30..].fill(0xFF);
    let mut cursor = PageCursor::new(page_of(&bytes, Section::Spaces).unwrap());
    cursor.go_to(127).unwrap();
    assert_eq!(RunEntry::at(&cursor).unwrap(), entries[127].1);
    cursor.go_to(128).unwrap();
    let error = RunEntry::at(&cursor).unwrap_err().to_string();
    assert!(error.starts_with("corrupt spaces table at byte "), "{error}");
}

#[test]
fn leaves_end_with_256_entries_or_8_kib_of_strings() {
    let leaves = |key_len: usize, only_len: usize, count: usize| {
        let mut pages = Memory::default();
        let mut tree = TreeBuilder::new(ExtentsBuilder::new(Section::Spaces, Codec::None).unwrap());
        for i in 0..count {
            let key = [&key64(i as u64)[..], &vec![7; key_len - 8]].concat();
            let extent = Extent { count: 1, first: 0, last: 0 };
            let only_grouping = Some(vec![8; only_len]);
            let entry = RunEntry { first_ordinal: i as u64, extent, groupings: 1, only_grouping };
            tree.add_with(&mut pages, |leaf| leaf.add(&key, entry)).unwrap();
        }
        let root = tree.finish_with_root(&mut pages).unwrap();
        let mut cursor = Tree::of(&pages, root, count as u64, Section::Spaces).cursor();
        let (mut counts, mut at) = (Vec::new(), 0);
        while cursor.go_to(at).unwrap() {
            let len = cursor.leaf().page().count() as u64;
            counts.push(len);
            at += len;
        }
        counts
    };
    assert_eq!(leaves(8, 0, 600), [256, 256, 88]);
    assert_eq!(leaves(8, 0, 256), [256]);
    // The first key of a leaf takes 9 bytes.
    assert_eq!(leaves(8, 8_183, 3), [1, 1, 1]);
    assert_eq!(leaves(8, 8_182, 3), [2, 1]);
    assert_eq!(leaves(8, 4_000, 7), [3, 3, 1]);
    assert_eq!(leaves(65_535, 65_535, 3), [1, 1, 1]);
}

#[test]
fn memory_is_what_is_held_once_all_was_decoded() {
    for count in [1, 128, 256] {
        let page =
            page_of(&leaf(Section::Spaces, &entries(Section::Spaces, count)), Section::Spaces).unwrap();
        let extents = page.extents().unwrap();
        extents.check().unwrap();
        let rows: usize = extents.decoded.iter().map(|rows| rows.get().unwrap().len()).sum();
        let bytes = extents.strings.capacity() + extents.bytes.capacity();
        let held =
            bytes + rows * size_of::<Row>() + extents.decoded.len() * size_of::<OnceLock<Box<[Row]>>>();
        assert_eq!((extents.memory(), rows), (held + size_of::<Extents>(), count as usize));
        assert!(page.memory() > extents.memory());
    }
}
