//! Pages, the trees of them, and the entries of all tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Choices, Memory};
use crate::codec::Decoder;
use crate::codecs::Codecs;
use crate::compression::Codec;
use crate::error::{Result, Section};
use crate::extents::ExtentsBuilder;
use crate::handle::{Handle, Root};
use crate::page::{Page, PageCursor};
use crate::tables::{BlockEntry, Extent, NameEntry, RunEntry, ValueEntry};
use crate::tree::{Leaf, Tree, TreeBuilder, TreeCursor};

/// The tables.
const SECTIONS: [Section; 5] =
    [Section::Spaces, Section::Groupings, Section::Names, Section::Values, Section::Blocks];

/// Those whose leaves are of extents.
const RUNS: [Section; 2] = [Section::Spaces, Section::Groupings];

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
        // These have no values.
        Section::Spaces | Section::Groupings => again.extend_from_slice(stored),
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

/// Any bytes as a page of a table. In one of the right shape every entry is found by its number and by its key; what a leaf of
/// extents says is possible, and makes the same leaf again.
pub fn page(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let section = [Section::Names, Section::Spaces, Section::Groupings][choices.small() % 3];
    let codecs = Codecs::new(Codec::Zstd { level: 1 }, true);
    let Ok(page) = Page::decode(choices.0.to_vec(), 100, section, &codecs) else { return };
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
    let runs = runs(&page);
    if section != Section::Names && is_whole && page.level() == 0 && page.count() > 0 {
        let runs = runs.expect("whole");
        let again = leaf(section, all.iter().map(|(key, _)| key).zip(runs.clone()));
        let again = Arc::new(Page::decode(again, 100, section, &codecs).expect("whole"));
        let ascends = runs.windows(2).all(|two| two[0].ordinals().end <= two[1].first_ordinal);
        assert!(!ascends || self::runs(&again).expect("whole") == runs);
    }
}

/// What a leaf says of its keys.
fn runs(page: &Arc<Page>) -> Result<Vec<RunEntry>> {
    let (mut cursor, mut runs) = (PageCursor::new(Arc::clone(page)), Vec::new());
    while cursor.next()? {
        let run = RunEntry::at(&cursor)?;
        assert!(
            run.groupings > 0 && run.groupings <= run.extent.count && run.extent.first <= run.extent.last
        );
        assert!(run.ordinals().end <= i64::MAX as u64);
        runs.push(run);
    }
    Ok(runs)
}

fn leaf<'a>(section: Section, entries: impl Iterator<Item = (&'a Vec<u8>, RunEntry)>) -> Vec<u8> {
    let mut leaf = ExtentsBuilder::new(section, Codec::Zstd { level: 1 }).expect("zstd");
    entries.for_each(|(key, run)| leaf.add(key, run));
    leaf.take().expect("zstd")
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
        if RUNS.contains(&section) {
            let _ = RunEntry::at(cursor.leaf());
        }
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
    let mut cursor = Tree::new(&pages, root, Section::Names).cursor();
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
            let value = Tree::new(&pages, root, Section::Names)
                .get(&model[at].0, |mut value| Ok(value.rest().to_vec()));
            assert_eq!(value.expect("whole").as_ref(), Some(&model[at].1));
        }
    }
}

/// Any spaces or groupings through a builder, and back.
pub fn build_runs(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let section = RUNS[choices.small() % 2];
    let (mut model, mut end) = (BTreeMap::new(), choices.sized() >> 2);
    while !choices.is_empty() && model.len() < MOST_MOVES {
        let key = [&(model.len() as u16).to_be_bytes()[..], choices.string()].concat();
        let gap = if section == Section::Groupings { choices.number(1) } else { 0 };
        let count = choices.sized().max(1) >> 8 | 1;
        let (first, span) = (choices.sized().cast_signed(), choices.sized());
        let Some(last) = first.checked_add_unsigned(if count > 1 { span } else { 0 }) else { continue };
        let Some(first_ordinal) = end.checked_add(gap) else { break };
        let Some(after) = first_ordinal.checked_add(count).filter(|&end| end <= i64::MAX as u64) else {
            break;
        };
        end = after;
        let groupings = if section == Section::Spaces { choices.sized() % count + 1 } else { 1 };
        let only_grouping = (section == Section::Spaces && groupings == 1).then(|| choices.string().to_vec());
        let extent = Extent { count, first, last };
        model.insert(key, RunEntry { first_ordinal, extent, groupings, only_grouping });
    }
    let mut pages = Memory::default();
    let mut builder = TreeBuilder::new(ExtentsBuilder::new(section, Codec::Zstd { level: 1 }).expect("zstd"));
    for (key, run) in &model {
        builder.add_with(&mut pages, |leaf| leaf.add(key, run.clone())).expect("memory");
    }
    let page = builder.finish_with_root(&mut pages).expect("memory");
    let root = Root { page, entries: model.len() as u64 };
    let mut cursor = Tree::new(&pages, root, section).cursor();
    for (key, run) in &model {
        assert!(cursor.next().expect("whole"));
        assert_eq!((cursor.key(), &RunEntry::at(cursor.leaf()).expect("whole")), (key.as_slice(), run));
        let found = Tree::new(&pages, root, section).find(key).expect("whole");
        assert_eq!(&RunEntry::at(found.expect("there").leaf()).expect("whole"), run);
    }
    assert!(!cursor.next().expect("whole"));
}
