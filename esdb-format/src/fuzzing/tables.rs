//! Pages, the trees of them, and the entries of all tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Choices, Memory};
use crate::codec::Decoder;
use crate::error::{Result, Section};
use crate::handle::{Handle, Root};
use crate::page::{Page, PageCursor};
use crate::tables::{BlockEntry, GroupingEntry, NameEntry, SpaceEntry, ValueEntry};
use crate::tree::{Tree, TreeBuilder, TreeCursor};

/// The tables.
const SECTIONS: [Section; 5] =
    [Section::Spaces, Section::Groupings, Section::Names, Section::Values, Section::Blocks];

/// How often a cursor is moved at most.
const MOST_MOVES: usize = 300;

/// Any bytes as an entry: what is accepted is written again as it was read.
pub fn entry(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let section = SECTIONS[choices.small() % SECTIONS.len()];
    let key = choices.bytes(8);
    let _ = decode_entry(section, key, Decoder::new(choices.0, 100, section));
}

/// Decodes an entry of a table and compares what is encoded again.
fn decode_entry(section: Section, key: &[u8], value: Decoder<'_>) -> Result<()> {
    let stored = value.clone().rest();
    let mut again = Vec::new();
    match section {
        Section::Spaces => {
            let entry = SpaceEntry::decode(value)?;
            assert!(entry.groupings <= entry.ordinals().end - entry.ordinals().start);
            entry.encode(&mut again);
        }
        Section::Groupings => GroupingEntry::decode(value)?.encode(&mut again),
        Section::Names => NameEntry::decode(value)?.encode(&mut again),
        Section::Blocks => BlockEntry::decode(key, value)?.encode(&mut again),
        _ => {
            let entry = ValueEntry::decode(value)?;
            assert_eq!(entry.list.count(), entry.extent.count);
            // Frames of a list can be packed in several ways.
            ValueEntry::encode_extent(&entry.extent, &mut again);
            assert!(stored.starts_with(&again));
            return Ok(());
        }
    }
    assert_eq!(again, stored);
    Ok(())
}

/// Any bytes as a page. In one of the right shape every entry is found by its number and by its key.
pub fn page(bytes: &[u8]) {
    let Ok(page) = Page::decode(bytes.to_vec(), 100, Section::Spaces) else { return };
    let page = Arc::new(page);
    let mut all = Vec::new();
    let mut cursor = PageCursor::new(Arc::clone(&page));
    while let Ok(true) = cursor.next() {
        assert_eq!(cursor.index(), all.len());
        all.push((cursor.key().to_vec(), cursor.value().rest().to_vec()));
    }
    assert!(all.len() <= page.count());
    let is_whole = page.check_shape().is_ok();
    for at in (0..page.count()).rev().take(MOST_MOVES) {
        let found = cursor.go_to(at);
        if is_whole {
            assert!(found.is_ok() && cursor.index() == at);
            assert_eq!((cursor.key(), cursor.value().rest()), (all[at].0.as_slice(), all[at].1.as_slice()));
        }
    }
    let keys = all.iter().map(|(key, _)| key).take(MOST_MOVES);
    let near = keys.flat_map(|key| [key.clone(), [key, &[0][..]].concat(), key[..key.len() / 2].to_vec()]);
    for key in near.chain([Vec::new(), vec![0xFF; 9]]) {
        let found = cursor.floor(&key);
        if is_whole {
            let expected = all.partition_point(|(other, _)| *other <= key).checked_sub(1);
            assert_eq!(found.ok(), Some(expected.is_some()));
            assert!(expected.is_none_or(|at| cursor.index() == at && cursor.key() == all[at].0));
        }
    }
}

/// Any bytes as the pages of a tree: every way through it ends.
pub fn tree(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let (offset, len, entries) = (choices.number(2), choices.number(2), choices.sized());
    let root = Root { page: Handle { offset, len, checksum: 0 }, entries };
    let mut moves = choices.moves();
    walk(&mut moves, &Memory(choices.0.to_vec()), root);
}

/// A tree some of whose bytes were changed: every way through it ends.
pub fn damaged_tree(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let (mut pages, mut root, _) = build(&mut choices);
    let mut moves = choices.moves();
    while !choices.is_empty() {
        let (at, change) = (choices.number(3) as usize, choices.number(1) as u8);
        match at % (pages.0.len() + 1) {
            at if at == pages.0.len() => root.entries = choices.sized(),
            at => pages.0[at] ^= change,
        }
    }
    walk(&mut moves, &pages, root);
}

fn walk(moves: &mut Choices<'_>, pages: &Memory, root: Root) {
    let section = SECTIONS[moves.small() % SECTIONS.len()];
    let mut cursor = Tree::new(pages, root, section).cursor();
    let mut steps = 0;
    while let Ok(true) = cursor.next() {
        steps += 1;
        assert!(cursor.position() < root.entries);
        let _ = decode_entry(section, cursor.key(), cursor.value());
        if steps == MOST_MOVES {
            break;
        }
    }
    while !moves.is_empty() {
        let _ = go(&mut cursor, moves, root.entries);
    }
    let _ = Tree::new(pages, root, section).get(b"key", |value| decode_entry(section, b"key", value));
}

/// One move: whether there is an entry, and the answer of a search for a border.
fn go(cursor: &mut TreeCursor<&Memory>, moves: &mut Choices<'_>, entries: u64) -> Result<(bool, u64)> {
    match moves.small() % 5 {
        0 => Ok((cursor.next()?, 0)),
        1 => Ok((cursor.go_to(moves.sized())?, 0)),
        2 => Ok((cursor.floor(moves.string())?, 0)),
        3 => Ok((cursor.seek(moves.string())?, 0)),
        _ => {
            let key = moves.string();
            let border = cursor.partition(0..entries, |cursor| Ok(cursor.key() < key))?;
            Ok((false, border))
        }
    }
}

/// Entries out of choices: the tree of them, and themselves in order.
fn build(choices: &mut Choices<'_>) -> (Memory, Root, Vec<(Vec<u8>, Vec<u8>)>) {
    let mut model = BTreeMap::new();
    for _ in 0..choices.small() {
        if choices.is_empty() {
            break;
        }
        let key = choices.string().to_vec();
        // Long keys and values make trees of several levels out of few choices.
        let (repeat, byte, len) =
            (choices.small() % 8, choices.small() as u8, choices.number(2) as usize % 9_000);
        for number in 0..=repeat as u8 {
            let pad = if byte.is_multiple_of(7) { len * 3 } else { 0 };
            model.insert([key.as_slice(), &vec![byte; pad], &[number]].concat(), vec![byte; len]);
        }
    }
    let (mut pages, mut builder) = (Memory::default(), TreeBuilder::default());
    for (key, value) in &model {
        builder.add(key, value, &mut pages).expect("memory");
    }
    let page = builder.finish_with_root(&mut pages).expect("memory");
    let entries = model.len() as u64;
    (pages, Root { page, entries }, model.into_iter().collect())
}

/// Any entries through a builder, and back by every move there is.
pub fn build_tree(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let (pages, root, model) = build(&mut choices);
    let entries = root.entries;
    let mut cursor = Tree::new(&pages, root, Section::Spaces).cursor();
    for (key, value) in &model {
        assert!(cursor.next().expect("whole"));
        assert_eq!((cursor.key(), cursor.value().rest()), (key.as_slice(), value.as_slice()));
    }
    assert!(!cursor.next().expect("whole"));
    let mut at = None;
    while !choices.is_empty() {
        let (choice, number, key) = (choices.small(), choices.number(1) % (entries + 1), choices.string());
        let first_not = |less: &dyn Fn(&[u8]) -> bool| model.partition_point(|(key, _)| less(key));
        let (found, expected) = match choice % 5 {
            // Without a place before, the next entry is the first one.
            0 if at.is_some() => (cursor.next(), at.map(|at| at + 1)),
            0 | 1 => (cursor.go_to(number), Some(number as usize)),
            2 => (cursor.floor(key), first_not(&|other| other <= key).checked_sub(1)),
            3 => (cursor.seek(key), Some(first_not(&|other| other < key))),
            _ => {
                let border = cursor.partition(0..entries, |cursor| Ok(cursor.key() < key)).expect("whole");
                assert_eq!(border, first_not(&|other| other < key) as u64);
                at = None;
                continue;
            }
        };
        at = expected.filter(|&at| at < model.len());
        assert_eq!(found.expect("whole"), at.is_some());
        if let Some(at) = at {
            assert_eq!((cursor.key(), cursor.position()), (model[at].0.as_slice(), at as u64));
            let value = Tree::new(&pages, root, Section::Spaces)
                .get(&model[at].0, |mut value| Ok(value.rest().to_vec()));
            assert_eq!(value.expect("whole").as_ref(), Some(&model[at].1));
        }
    }
}
