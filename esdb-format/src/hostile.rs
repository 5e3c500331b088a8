//! Files that lie, with every checksum right: what was once answered wrongly, or never.

use crate::ascending;
use crate::checksum::checksum;
use crate::codec::{Encode, key64};
use crate::compression::Codec;
use crate::error::{Error, ErrorKind, Section};
use crate::event::Event;
use crate::extents::ExtentsBuilder;
use crate::footer::{Footer, Roots};
use crate::handle::{Handle, Root};
use crate::limits;
use crate::page::PageBuilder;
use crate::reader::Reader;
use crate::scan::StoredEvent;
use crate::tables::{Extent, NameEntry, RunEntry, ValueEntry};
use crate::tree::Leaf;
use crate::verify::VerifyLevel;
use crate::writer::WriterOptions;

/// A whole file to which pages are added; its footer is then made to point at them.
struct Forge {
    body: Vec<u8>,
    footer: Footer,
}

impl Forge {
    /// Two spaces of 500 events each, in two groupings each.
    fn new() -> Self {
        Self::of(1_000)
    }

    /// So many events in two spaces of two groupings each.
    fn of(events: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.esdb");
        let mut writer = WriterOptions::new().codec(Codec::None).create(&path).unwrap();
        for i in 0..events {
            let (space, grouping) = (["s", "t"][i % 2], ["g", "h"][i / 2 % 2]);
            writer.add(Event::new(space, i as i64, "data").grouping(grouping).index("a", "b")).unwrap();
        }
        writer.finish().unwrap();
        let mut body = std::fs::read(path).unwrap();
        let footer = Footer::decode(&body, body.len() as u64).unwrap();
        body.truncate(body.len() - Footer::SIZE);
        Self { body, footer }
    }

    fn leaf(&mut self, entries: &[(Vec<u8>, Vec<u8>)]) -> Handle {
        let mut page = PageBuilder::default();
        entries.iter().for_each(|(key, value)| page.add(key, value));
        self.page(&page.take(0))
    }

    /// A leaf of spaces or groupings.
    fn runs(&mut self, section: Section, entries: &[(Vec<u8>, RunEntry)]) -> Handle {
        let mut leaf = ExtentsBuilder::new(section, Codec::None).unwrap();
        entries.iter().for_each(|(key, entry)| leaf.add(key, entry.clone()));
        self.page(&leaf.take().unwrap())
    }

    fn page(&mut self, bytes: &[u8]) -> Handle {
        let offset = self.body.len() as u64;
        self.body.extend_from_slice(bytes);
        Handle { offset, len: bytes.len() as u64, checksum: checksum(bytes) }
    }

    /// Makes these the only index names, each with one value `x` and its list's root and count.
    fn with_lists(&mut self, lists: &[(&str, Handle, u64)]) {
        let mut names = Vec::new();
        for &(name, list, count) in lists {
            let extent = Extent { count, first: 0, last: 999 };
            let mut value = Vec::new();
            ValueEntry::encode_extent(&extent, &mut value);
            list.encode(&mut value);
            let tree = self.leaf(&[(b"x".to_vec(), value)]);
            let mut entry = Vec::new();
            NameEntry { values: 1, extent, tree }.encode(&mut entry);
            names.push((name.as_bytes().to_vec(), entry));
        }
        let page = self.leaf(&names);
        self.footer.roots.names = Root { page, entries: lists.len() as u64 };
    }

    fn open(mut self) -> Reader {
        self.footer.file_len = (self.body.len() + Footer::SIZE) as u64;
        self.body.extend_from_slice(&self.footer.encode());
        Reader::from_bytes(self.body).unwrap()
    }
}

/// A list's frame of `count` time numbers in a row.
fn frame(first: u64, count: u64) -> (Vec<u8>, Vec<u8>) {
    let mut value = Vec::new();
    value.put_varint(count);
    ascending::encode(&(first..first + count).collect::<Vec<_>>(), &mut value);
    (key64(first).to_vec(), value)
}

fn rule<T>(result: crate::Result<T>) -> &'static str {
    result.err().and_then(|error| error.problem().map(|problem| problem.rule)).unwrap_or("no error")
}

#[test]
fn a_list_of_more_frames_than_it_states_is_refused() {
    let mut forge = Forge::new();
    let list = forge.leaf(&[frame(0, 200), frame(300, 128), frame(500, 128)]);
    forge.with_lists(&[("a", list, 200)]);
    let file = forge.open();
    assert_eq!(rule(file.space("t").unwrap().index("a", "x").range(700..).total()), "P3");
    assert_eq!(rule(file.space("t").unwrap().index("a", "x").range(700..).next_back().transpose()), "P3");
}

#[test]
fn a_list_longer_than_the_file_is_refused() {
    let mut forge = Forge::new();
    let list = forge.leaf(&[frame(0, 128), frame(128, 128)]);
    forge.with_lists(&[("a", list, 100_000)]);
    assert_eq!(rule(forge.open().scan().index("a", "x").total()), "T4");
}

#[test]
fn lists_that_do_not_ascend_end_an_intersection() {
    let mut forge = Forge::of(9_000);
    let a = forge.leaf(&[
        frame(0, 1_024),
        frame(2_000, 1_024),
        frame(4_000, 1_024),
        frame(7_000, 1_024),
        frame(5, 1),
    ]);
    let b = forge.leaf(&[frame(4_000, 1_024), frame(7_000, 1_024), frame(3_000, 1)]);
    forge.with_lists(&[("a", a, 4_097), ("b", b, 2_049)]);
    assert_eq!(rule(forge.open().scan().index("a", "x").index("b", "x").total()), "P2");
}

#[test]
fn fewer_events_than_the_blocks_hold_are_noticed() {
    let mut forge = Forge::new();
    forge.footer.events = 900;
    assert!(forge.open().scan().any(|event| event.is_err()));
}

#[test]
fn groupings_end_with_their_space() {
    let mut forge = Forge::new();
    let extent = Extent { count: 500, first: 0, last: 999 };
    let entry = RunEntry { first_ordinal: 0, extent, groupings: 3, only_grouping: None };
    let page = forge.runs(Section::Spaces, &[(b"s".to_vec(), entry)]);
    forge.footer.roots.spaces = Root { page, entries: 1 };
    let listed: Vec<_> = forge.open().groupings("s").unwrap().collect();
    assert_eq!(listed.len(), 3);
    assert_eq!(rule(listed.into_iter().collect::<crate::Result<Vec<_>>>()), "T3");
}

#[test]
fn verify_walks_through_a_shared_page_once() {
    let mut forge = Forge::new();
    let extent = Extent { count: 200, first: 0, last: 999 };
    let list = forge.leaf(&[frame(0, 200)]);
    let mut value = Vec::new();
    ValueEntry::encode_extent(&extent, &mut value);
    list.encode(&mut value);
    let many = |value: &[u8]| (0..200_u64).map(|i| (key64(i).to_vec(), value.to_vec())).collect::<Vec<_>>();
    let tree = forge.leaf(&many(&value));
    let mut value = Vec::new();
    NameEntry { values: 200, extent: Extent { count: 40_000, ..extent }, tree }.encode(&mut value);
    let page = forge.leaf(&many(&value));
    forge.footer.roots.names = Root { page, entries: 200 };
    let found = forge.open().verify(VerifyLevel::Quick);
    assert!((1..20).contains(&found.problem_count), "{} problems", found.problem_count);
}

/// The blocks are walked over by their heads then, as far as there are any.
#[test]
fn a_damaged_table_of_blocks_is_no_damage_of_blocks() {
    let mut forge = Forge::of(9_000);
    forge.footer.roots.blocks.page.checksum ^= 1;
    let file = forge.open();
    for level in [VerifyLevel::Checksums, VerifyLevel::Deep] {
        let problems = file.verify(level).problems;
        let section = |error: &Error| error.problem().map(|problem| problem.section);
        assert!(problems.iter().any(|error| section(error) == Some(Section::Blocks)), "{problems:?}");
        assert!(!problems.iter().any(|error| section(error) == Some(Section::Block)), "{problems:?}");
        // What follows the blocks is where it belongs.
        assert!(!problems.iter().any(|error| section(error) == Some(Section::TimeOrder)), "{problems:?}");
    }
}

/// Each column keeps the limits; the event, which has pairs of all of them, does not.
#[test]
fn more_pairs_than_an_event_may_have_are_refused() {
    let values: Vec<[u8; 4]> = (0..limits::PAIRS as u32).map(u32::to_be_bytes).collect();
    let long = vec![b'n'; limits::KEY];
    let few = limits::PAIR_BYTES / (long.len() + 4);
    let pairs = |name, count: usize| values[..count].iter().map(move |value| (name, &value[..]));
    let half = limits::PAIRS / 2;
    for (is_allowed, indexes) in [
        (true, pairs(&b"a"[..], half).chain(pairs(b"b", half)).collect::<Vec<_>>()),
        (false, pairs(b"a", half).chain(pairs(b"b", half + 1)).collect()),
        (true, pairs(&long, few).collect()),
        (false, pairs(&long, few + 1).collect()),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.esdb");
        let mut writer = WriterOptions::new().create(&path).unwrap();
        writer.put(Event { indexes, ..Event::new("s", 1, "") }.into()).unwrap();
        writer.finish().unwrap();
        let file = Reader::open(&path).unwrap();
        let event = file.scan().next().unwrap().and_then(StoredEvent::into_owned);
        let problems = file.verify(VerifyLevel::Deep).problems;
        if is_allowed {
            assert!(event.is_ok() && problems.is_empty(), "{problems:?}");
        } else {
            assert_eq!(rule(event), "L1");
            assert!(problems[0].problem().is_some_and(|problem| problem.rule == "L1"), "{problems:?}");
        }
    }
}

/// A number that `of` maps to itself: `of` is affine over the bits, as CRC-32 is. `None` if there is none.
fn fixed_point(of: impl Fn(u32) -> u32) -> Option<u32> {
    let constant = of(0);
    // Rows of the equations (M + I) x = constant: what each bit of x adds to a bit, and the constant's bit.
    let adds: Vec<u32> = (0..32).map(|i| of(1 << i) ^ constant ^ (1 << i)).collect();
    let row = |bit: u32| {
        let terms = (0..32).map(|i| u64::from(adds[i] >> bit & 1) << i).sum::<u64>();
        terms | u64::from(constant >> bit & 1) << 32
    };
    let mut rows: Vec<u64> = (0..32).map(row).collect();
    for i in 0..32 {
        let pivot = (i..32).find(|&at| rows[at] >> i & 1 == 1)?;
        rows.swap(i, pivot);
        for at in (0..32).filter(|&at| at != i) {
            rows[at] ^= rows[i] * (rows[at] >> i & 1);
        }
    }
    Some((0..32).map(|i| ((rows[i] >> 32) as u32) << i).sum())
}

impl Forge {
    /// A page of `level` with one entry, which leads to the page itself, checksum and all.
    fn page_of_itself(&mut self, level: u8) -> Handle {
        let offset = self.body.len() as u64;
        let bytes = |key: u8, len: u64, checksum: u32| {
            let mut value = Vec::new();
            Handle { offset, len, checksum }.encode(&mut value);
            value.push(0);
            let mut page = PageBuilder::default();
            page.add(&[key], &value);
            page.take(level)
        };
        let len = bytes(0, 30, 0).len() as u64;
        let found =
            (0..=255).find_map(|key| Some((key, fixed_point(|sum| checksum(&bytes(key, len, sum)))?)));
        let (key, sum) = found.unwrap();
        self.body.extend_from_slice(&bytes(key, len, sum));
        assert_eq!(checksum(&self.body[offset as usize..]), sum);
        Handle { offset, len, checksum: sum }
    }

    /// Pages of all levels above a leaf that begins with `key`, each with one entry; returns the uppermost.
    fn chain(&mut self, key: &[u8], leaf: Handle) -> Handle {
        (1..limits::LEVELS).fold(leaf, |below, level| {
            let mut value = Vec::new();
            below.encode(&mut value);
            value.push(0);
            let mut page = PageBuilder::default();
            page.add(key, &value);
            let bytes = page.take(level);
            let offset = self.body.len() as u64;
            self.body.extend_from_slice(&bytes);
            Handle { offset, len: bytes.len() as u64, checksum: checksum(&bytes) }
        })
    }
}

#[test]
fn h08_a_page_that_is_its_own_child_is_refused() {
    for level in [0, 1, 2, limits::LEVELS - 1] {
        let mut forge = Forge::new();
        let page = forge.page_of_itself(level);
        let root = Root { page, entries: 1_000 };
        forge.footer.roots =
            Roots { time_order: root, names: root, spaces: root, groupings: root, blocks: root };
        let file = forge.open();
        let is_error = |error: Option<Error>| error.is_some_and(|error| error.kind() == ErrorKind::Corrupt);
        let space = file.space("s").and_then(|mut scan| scan.next().transpose());
        assert!(is_error(space.err()) || level == 0, "space, level {level}");
        assert!(is_error(file.scan().next().and_then(Result::err)), "scan");
        assert!(is_error(file.scan().next_back().and_then(Result::err)), "backwards");
        assert!(is_error(file.spaces().find_map(Result::err)), "spaces");
        assert!(is_error(file.index_names().find_map(Result::err)), "index names");
        let found = file.verify(VerifyLevel::Deep);
        assert!((5..20).contains(&found.problem_count), "{:?}", found.problems);
    }
}

/// As many pages one below the other as there can be: in the names, the values of a name, and a list.
#[test]
fn h08_chains_of_all_levels_are_walked_through() {
    let start = std::time::Instant::now();
    let mut forge = Forge::new();
    let list = forge.leaf(&[frame(0, 200)]);
    let list = forge.chain(&key64(0), list);
    let mut value = Vec::new();
    let extent = Extent { count: 200, first: 0, last: 999 };
    ValueEntry::encode_extent(&extent, &mut value);
    list.encode(&mut value);
    let values = forge.leaf(&[(b"x".to_vec(), value)]);
    let tree = forge.chain(b"x", values);
    let mut entry = Vec::new();
    NameEntry { values: 1, extent, tree }.encode(&mut entry);
    let names = forge.leaf(&[(b"a".to_vec(), entry)]);
    let page = forge.chain(b"a", names);
    forge.footer.roots.names = Root { page, entries: 1 };
    let file = forge.open();
    assert_eq!(file.index_values("a").unwrap().count(), 1);
    assert_eq!(file.scan().index("a", "x").count(), 200);
    assert_eq!(file.scan().index("a", "x").rev().count(), 200);
    let problems = file.verify(VerifyLevel::Deep).problems;
    // They stand behind the facts.
    assert!(problems.iter().all(|error| error.kind() == ErrorKind::Corrupt) && !problems.is_empty());
    assert!(start.elapsed().as_secs() < 1, "{:?}", start.elapsed());
}
