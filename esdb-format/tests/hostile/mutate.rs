//! Files that lie: mutations that know where the numbers, entries, pages and handles are.
//!
//! Every choice comes from the caller, as a number: from a seed in tests, from the fuzzer's input there. The same choices make the
//! same mutant.

use crate::layout::{
    Entry, FOOTER, HEAD, KeyAndValue, Kind, PAGE_MAX, TREES, Target, columns, leaf_of_runs, link, number,
    page, parts_of_runs, put_number, put_varint, range_in, runs, varint,
};

/// How a number is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Fixed,
    Varint,
}

/// Where a number stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: usize,
    len: usize,
    form: Form,
}

/// A whole file, and where its numbers are.
pub(crate) struct Original {
    pub(crate) bytes: Vec<u8>,
    /// Of header, footer and roots.
    outer: Vec<Place>,
    /// Of pages, heads, columns and facts.
    inner: Vec<Place>,
    /// Where the handles of pages and blocks stand.
    handles: Vec<Place>,
    /// The end of the last block.
    pub(crate) events_end: usize,
}

/// Numbers from a seed (SplitMix64).
pub(crate) fn choices(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl Original {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let footer = bytes.len() - FOOTER;
        let fixed = |at: usize, len: usize| Place { at, len, form: Form::Fixed };
        let layout = [(0, 2), (2, 1), (3, 1), (4, 4), (8, 4), (12, 4), (16, 4), (20, 4)];
        let mut outer: Vec<Place> = Vec::new();
        outer.extend(layout.iter().flat_map(|&(at, len)| [fixed(8 + at, len), fixed(footer + 8 + at, len)]));
        outer.extend([0, 40, 48, 56, 184].map(|at| fixed(footer + at, 8)));
        outer.extend([36, 192, 268].map(|at| fixed(footer + at, 4)));
        outer.push(fixed(footer + 272, 2));
        let mut original = Self { bytes, outer, inner: Vec::new(), handles: Vec::new(), events_end: HEAD };
        for (i, kind) in TREES.into_iter().enumerate() {
            let root = footer + 64 + 24 * i;
            original.outer.extend([fixed(root, 8), fixed(root + 8, 4), fixed(root + 16, 8)]);
            let bytes = &original.bytes;
            let (offset, len) = (number(bytes, root, 8).unwrap(), number(bytes, root + 8, 4).unwrap());
            original.page(kind, offset, len);
        }
        let facts = number(&original.bytes, footer + 184, 8).unwrap() as usize;
        original.varints(facts, footer, 24);
        original
    }

    fn varints(&mut self, mut at: usize, end: usize, most: usize) {
        for _ in 0..most {
            let start = at;
            if varint(&self.bytes[..end], &mut at).is_none() {
                return;
            }
            self.inner.push(Place { at: start, len: at - start, form: Form::Varint });
        }
    }

    fn bytes_of(&mut self, start: usize, end: usize, most: usize) {
        let places = (start..end.min(start + most)).map(|at| Place { at, len: 1, form: Form::Fixed });
        self.inner.extend(places);
    }

    fn page(&mut self, kind: Kind, offset: u64, len: u64) {
        let range = range_in(&self.bytes, offset, len).unwrap();
        let start = range.start;
        if is_of_runs(kind, &self.bytes[range.clone()]) {
            return self.leaf_of_runs(range);
        }
        let (level, entries) = page(&self.bytes[range]);
        self.bytes_of(start, start + 1, 1);
        self.inner.push(Place { at: start + 1, len: 2, form: Form::Fixed });
        for group in 0..entries.len().div_ceil(16) {
            self.inner.push(Place { at: start + 3 + 2 * group, len: 2, form: Form::Fixed });
        }
        for entry in entries {
            self.varints(start + entry.start, start + entry.suffix.start, 3);
            self.bytes_of(start + entry.suffix.start, start + entry.suffix.end, 8);
            let value = start + entry.value.start..start + entry.value.end;
            self.varints(value.start, value.end, 8);
            self.bytes_of(value.start, value.end, 24);
            let Some(link) = link(kind, level, &self.bytes[value.clone()]) else { continue };
            let at = value.start + link.range.start;
            self.handles.push(Place { at, len: link.range.len(), form: Form::Fixed });
            match link.target {
                Target::Page(kind) => self.page(kind, link.offset, link.len),
                Target::Block => self.block(link.offset as usize, (link.offset + link.len) as usize),
            }
        }
    }

    /// A leaf of spaces or groupings: its offsets, lengths, strings, and the beginnings of its extent frames.
    fn leaf_of_runs(&mut self, leaf: std::ops::Range<usize>) {
        let bytes = &self.bytes[leaf.clone()];
        let Some([lengths, strings, frames]) = parts_of_runs(bytes) else { return };
        let count = number(bytes, 1, 2).unwrap() as usize;
        let starts = (0..count.div_ceil(128)).filter_map(|frame| number(bytes, lengths - 2 * frame - 2, 2));
        let starts: Vec<_> = starts.map(|start| leaf.start + frames + start as usize).collect();
        self.bytes_of(leaf.start, leaf.start + 1, 1);
        for at in (leaf.start + 1..leaf.start + lengths).step_by(2) {
            self.inner.push(Place { at, len: 2, form: Form::Fixed });
        }
        self.varints(leaf.start + lengths, leaf.start + strings, 3);
        self.bytes_of(leaf.start + strings, leaf.start + frames, 64);
        for start in starts {
            self.varints(start, leaf.end, 8);
            self.bytes_of(start, leaf.end, 128);
        }
    }

    fn block(&mut self, head: usize, end: usize) {
        self.events_end = self.events_end.max(end);
        for (at, len) in
            [(8, 8), (16, 8), (24, 4), (28, 4), (32, 4), (36, 8), (48, 4), (52, 1), (53, 1), (54, 1)]
        {
            self.inner.push(Place { at: head + at, len, form: Form::Fixed });
        }
        let columns = columns(&self.bytes, head).unwrap();
        let mut start = columns.directory.start;
        for sum in columns.sums {
            self.varints(start, sum, usize::MAX);
            start = sum + 4;
        }
        for area in columns.areas {
            self.varints(area.start, area.end, 6);
            self.bytes_of(area.start, area.end, 64);
        }
    }

    /// Every number of header, footer and roots, replaced by every kind of false one.
    pub(crate) fn outer_lies(&self) -> impl Iterator<Item = (Vec<u8>, String)> {
        self.outer.iter().flat_map(move |&place| {
            (0..22).map(move |kind| {
                let mut bytes = self.bytes.clone();
                let what = lie(&mut bytes, place, &mut || kind);
                (bytes, what)
            })
        })
    }

    /// Every number behind the events (`in_tables`) or in them, made one greater, or over-long.
    pub(crate) fn small_lies(&self, in_tables: bool) -> impl Iterator<Item = (Vec<u8>, String)> {
        let wanted = move |place: &&Place| (place.at >= self.events_end) == in_tables;
        self.inner.iter().filter(wanted).map(|place| {
            let mut bytes = self.bytes.clone();
            match place.form {
                Form::Fixed => {
                    let value = number(&bytes, place.at, place.len).unwrap_or_default();
                    put_number(&mut bytes, place.at, place.len, value.wrapping_add(1));
                }
                // Its groups of 7 bits stand the lowest first.
                Form::Varint => bytes[place.at] ^= 1,
            }
            (bytes, format!("{place:?}"))
        })
    }

    /// A mutant, its checksums as they were, and what was done.
    pub(crate) fn mutate(&self, choose: &mut impl FnMut() -> u64) -> (Vec<u8>, String) {
        let mut bytes = self.bytes.clone();
        let mut what = Vec::new();
        for _ in 0..1 + choose() % 8 / 6 {
            let len = bytes.len();
            let done = match choose() % 16 {
                0..=3 => lie(&mut bytes, *of(&self.outer, choose()), choose),
                4..=8 => lie(&mut bytes, *of(&self.inner, choose()), choose),
                9 => swap_handles(&mut bytes, *of(&self.handles, choose()), *of(&self.handles, choose())),
                10 => {
                    let (from, to) = (choose() as usize % 5, choose() as usize % 5);
                    let root = len - FOOTER + 64 + 24 * from;
                    bytes.copy_within(root..root + 24, len - FOOTER + 64 + 24 * to);
                    format!("root {from} as root {to}")
                }
                11 => {
                    let region = 1 + choose() as usize % 200.min(len / 3);
                    let (from, to) = (choose() as usize % (len - region), choose() as usize % (len - region));
                    bytes.copy_within(from..from + region, to);
                    format!("{region} bytes at {from} copied to {to}")
                }
                12 => {
                    let at = choose() as usize % (len - FOOTER);
                    let region = (choose() as usize % 64).min(len - FOOTER - at);
                    if choose().is_multiple_of(2) {
                        bytes.drain(at..at + region);
                    } else {
                        bytes.splice(at..at, vec![choose() as u8; region]);
                    }
                    set_file_len(&mut bytes);
                    format!("{region} bytes inserted or removed at {at}")
                }
                _ => edit_tree(&mut bytes, choose).unwrap_or_default(),
            };
            what.push(done);
        }
        (bytes, what.join(", "))
    }
}

fn of<T>(all: &[T], choice: u64) -> &T {
    &all[choice as usize % all.len()]
}

fn set_file_len(bytes: &mut [u8]) {
    let len = bytes.len();
    put_number(bytes, len - FOOTER, 8, len as u64);
}

/// A number that is as false as `choose` wants it.
fn false_number(true_one: u64, own: u64, file_len: u64, choose: &mut impl FnMut() -> u64) -> u64 {
    match choose() % 22 {
        0 => 0,
        1 => 1,
        2 => true_one.wrapping_add(1),
        3 => true_one.wrapping_sub(1),
        4 => file_len,
        5 => file_len + 1,
        6 => file_len - 1,
        7 => 1 << 31,
        8 => u64::from(u32::MAX),
        9 => 1 << 40,
        10 => i64::MAX as u64,
        11 => u64::MAX,
        12 => own,
        13 => u64::MAX - 7,
        14 => 1 << 61,
        15 => true_one.wrapping_mul(2),
        16 => true_one ^ 1 << (choose() % 64),
        17 => 128,
        18 => 4096,
        19 => true_one / 2,
        20 => choose() % 256,
        _ => choose() % file_len,
    }
}

fn lie(bytes: &mut [u8], place: Place, choose: &mut impl FnMut() -> u64) -> String {
    let (file_len, Place { at, len, form }) = (bytes.len() as u64, place);
    let Some(stored) = bytes.get(at..at + len) else { return String::new() };
    let value = match form {
        Form::Fixed => number(bytes, at, len).unwrap_or_default(),
        Form::Varint => varint(stored, &mut 0).unwrap_or_default(),
    };
    let mut value = false_number(value, at as u64, file_len, choose);
    match form {
        Form::Fixed => put_number(bytes, at, len, value),
        Form::Varint => {
            let mut new = Vec::new();
            let is_over_long = choose().is_multiple_of(4);
            if !is_over_long && choose().is_multiple_of(2) {
                value &= 1_u64.checked_shl(7 * len as u32).map_or(u64::MAX, |bit| bit - 1);
            }
            put_varint(&mut new, value);
            // Lengthened, or as long as it was: what follows keeps its place unless the value needs more.
            let most = if is_over_long { 11 } else { len };
            while new.len() < most {
                if let Some(last) = new.last_mut() {
                    *last |= 0x80;
                }
                new.push(0);
            }
            let end = bytes.len().min(at + new.len());
            bytes[at..end].copy_from_slice(&new[..end - at]);
        }
    }
    format!("{value} at {at} ({len} bytes, {form:?})")
}

fn swap_handles(bytes: &mut [u8], a: Place, b: Place) -> String {
    if a.at + a.len > bytes.len() || b.at + b.len > bytes.len() {
        return String::new();
    }
    let len = a.len.min(b.len);
    for i in 0..len {
        bytes.swap(a.at + i, b.at + i);
    }
    format!("handles at {} and {} swapped", a.at, b.at)
}

/// Writes a page again with other entries, and all above it, before the footer, whose root then leads to them.
fn edit_tree(bytes: &mut Vec<u8>, choose: &mut impl FnMut() -> u64) -> Option<String> {
    let mut footer = bytes.split_off(bytes.len() - FOOTER);
    let tree = choose() as usize % TREES.len();
    let root = 64 + 24 * tree;
    let (offset, len) = (number(&footer, root, 8)?, number(&footer, root + 8, 4)?);
    let mut what = format!("{:?}: ", TREES[tree]);
    let edited = edit_page(bytes, TREES[tree], offset, len, choose, &mut what, 0);
    if let Some((offset, len)) = edited {
        put_number(&mut footer, root, 8, offset);
        put_number(&mut footer, root + 8, 4, len);
        if choose().is_multiple_of(4) {
            let entries = number(&footer, root + 16, 8)?;
            put_number(&mut footer, root + 16, 8, entries.wrapping_add(choose() % 3).wrapping_sub(1));
        }
    }
    bytes.append(&mut footer);
    set_file_len(bytes);
    edited.map(|_| what)
}

fn edit_page(
    bytes: &mut Vec<u8>,
    kind: Kind,
    offset: u64,
    len: u64,
    choose: &mut impl FnMut() -> u64,
    what: &mut String,
    depth: usize,
) -> Option<(u64, u64)> {
    let stored = bytes[range_in(bytes, offset, len.min(PAGE_MAX))?].to_vec();
    let (level, mut entries) = entries(kind, &stored)?;
    let links: Vec<_> =
        (0..entries.len()).filter_map(|i| Some((i, link(kind, level, &entries[i].1)?))).collect();
    let child =
        (!links.is_empty() && depth < 8 && !choose().is_multiple_of(3)).then(|| of(&links, choose()).clone());
    match child {
        Some((i, link)) if link.target != Target::Block => {
            let Target::Page(kind) = link.target else { return None };
            let (offset, len) = edit_page(bytes, kind, link.offset, link.len, choose, what, depth + 1)?;
            replace_handle(&mut entries[i].1, &link.range, offset, len);
        }
        _ => edit_entries(&mut entries, &links, (offset, len), choose, what),
    }
    let page = encode_page(kind, level, &entries, choose() % 40);
    let offset = bytes.len() as u64;
    bytes.extend_from_slice(&page);
    Some((offset, page.len() as u64))
}

/// Writes the root page of a tree again, its entries changed by `edit`.
pub(crate) fn with_root(bytes: &[u8], tree: usize, edit: impl FnOnce(&mut Vec<KeyAndValue>)) -> Vec<u8> {
    let (mut bytes, mut footer) = (bytes.to_vec(), bytes[bytes.len() - FOOTER..].to_vec());
    bytes.truncate(bytes.len() - FOOTER);
    let root = 64 + 24 * tree;
    let (offset, len) = (number(&footer, root, 8).unwrap(), number(&footer, root + 8, 4).unwrap());
    let stored = &bytes[range_in(&bytes, offset, len).unwrap()];
    let (level, mut entries) = entries(TREES[tree], stored).unwrap();
    edit(&mut entries);
    let page = encode_page(TREES[tree], level, &entries, 2);
    put_number(&mut footer, root, 8, bytes.len() as u64);
    put_number(&mut footer, root + 8, 4, page.len() as u64);
    put_number(&mut footer, root + 16, 8, entries.len() as u64);
    bytes.extend_from_slice(&page);
    bytes.append(&mut footer);
    set_file_len(&mut bytes);
    bytes
}

fn replace_handle(value: &mut Vec<u8>, range: &std::ops::Range<usize>, offset: u64, len: u64) {
    let mut handle = Vec::new();
    put_varint(&mut handle, offset);
    put_varint(&mut handle, len);
    handle.extend_from_slice(&[0; 4]);
    value.splice(range.clone(), handle);
}

/// Whether a page is a leaf of extent frames.
fn is_of_runs(kind: Kind, page: &[u8]) -> bool {
    matches!(kind, Kind::Spaces | Kind::Groupings) && page.first() == Some(&0) && number(page, 1, 2) > Some(0)
}

/// The level and the entries of a page; `None` of a leaf whose strings are compressed.
fn entries(kind: Kind, stored: &[u8]) -> Option<(u8, Vec<KeyAndValue>)> {
    if is_of_runs(kind, stored) {
        return Some((0, runs(stored, kind == Kind::Spaces)?));
    }
    let (level, parsed) = page(stored);
    let entry = |entry: &Entry| (entry.key.clone(), stored[entry.value.clone()].to_vec());
    Some((level, parsed.iter().map(entry).collect()))
}

fn edit_entries(
    entries: &mut Vec<KeyAndValue>,
    links: &[(usize, crate::layout::Link)],
    own: (u64, u64),
    choose: &mut impl FnMut() -> u64,
    what: &mut String,
) {
    if entries.is_empty() {
        entries.push((vec![0; 8], vec![1; choose() as usize % 20]));
        what.push_str("an entry of no meaning");
        return;
    }
    let (i, j) = (choose() as usize % entries.len(), choose() as usize % entries.len());
    what.push_str(match choose() % 9 {
        0 => {
            entries.remove(i);
            "entry dropped"
        }
        1 => {
            entries.insert(j, entries[i].clone());
            "entry repeated"
        }
        2 => {
            entries.swap(i, j);
            "entries swapped"
        }
        3 => {
            let value = entries[i].1.clone();
            entries[j].1 = value;
            "value of another entry"
        }
        4 if !links.is_empty() => {
            let (i, link) = of(links, choose());
            replace_handle(&mut entries[*i].1, &link.range, own.0, own.1);
            "page that leads to itself"
        }
        5 => {
            let key = &mut entries[i].0;
            match key.last_mut() {
                Some(last) => *last = last.wrapping_add((choose() % 5) as u8),
                None => key.push(b'x'),
            }
            "another key"
        }
        6 => {
            let key = &mut entries[i].0;
            if choose().is_multiple_of(2) {
                key.push(0)
            } else {
                key.truncate(choose() as usize % 8)
            }
            "key of another length"
        }
        _ => {
            // One of the value's first numbers, written whole or over-long: what follows moves.
            let value = &mut entries[i].1;
            let mut at = 0;
            for _ in 0..choose() % 5 {
                let _ = varint(value, &mut at);
            }
            let start = at.min(value.len());
            if let Some(number) = varint(value, &mut at) {
                let mut new = Vec::new();
                put_varint(&mut new, false_number(number, own.0, own.0 + own.1, choose));
                value.splice(start..at, new);
            }
            "false number in a value"
        }
    });
}

/// A page of these entries; with `fault` 0 or 1 its count is false.
fn encode_page(kind: Kind, level: u8, entries: &[KeyAndValue], fault: u64) -> Vec<u8> {
    let count =
        (entries.len() as u16).wrapping_add(u16::from(fault == 0)).wrapping_sub(u16::from(fault == 1));
    if level == 0 && matches!(kind, Kind::Spaces | Kind::Groupings) {
        return leaf_of_runs(entries, count, kind == Kind::Spaces);
    }
    let (mut out, mut restarts): (Vec<u8>, Vec<u8>) = Default::default();
    let mut last: &[u8] = &[];
    for (i, (key, value)) in entries.iter().enumerate() {
        let mut shared = last.iter().zip(key).take_while(|(a, b)| a == b).count();
        if i.is_multiple_of(16) {
            restarts.extend_from_slice(&(out.len() as u16).to_le_bytes());
            shared = 0;
        }
        put_varint(&mut out, shared as u64);
        put_varint(&mut out, (key.len() - shared) as u64);
        put_varint(&mut out, value.len() as u64);
        out.extend_from_slice(&key[shared..]);
        out.extend_from_slice(value);
        last = key;
    }
    [&[level][..], &count.to_le_bytes(), &restarts, &out].concat()
}
