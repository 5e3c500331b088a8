//! The columns of a block.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Choices;
use crate::block::{BlockDraft, Columns, FrameCuts, Head, LabelBytes};
use crate::codecs::Codecs;
use crate::compression::{Codec, Compressor};

/// Any bytes as columns: decoding ends, and what is accepted can be asked for every row.
pub fn columns(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let Some(codec) = Codec::from_code(choices.small() as u8 % 4, 1) else { return };
    let (rows, payload_len) = (choices.number(2) as u32 % 4096 + 1, choices.number(2));
    let rows_len = choices.number(2) as usize;
    if let Some(columns) = decode(codec, rows, payload_len, choices.0, rows_len) {
        ask(&columns);
    }
}

/// Columns of which so many bytes are row areas, and the rest label areas. No checksum is compared.
fn decode(codec: Codec, rows: u32, payload_len: u64, columns: &[u8], rows_len: usize) -> Option<Columns> {
    let (row_areas, label_areas) = columns.split_at(rows_len.min(columns.len()));
    let head = Head {
        offset: 100,
        first_ordinal: 0,
        count: rows,
        rows_len: row_areas.len() as u32,
        labels_len: label_areas.len() as u32,
        payload_len,
        rows_checksum: 0,
        checksum: 0,
    };
    let labels = LabelBytes::AtHand(label_areas.to_vec());
    Columns::decode(head, row_areas.to_vec(), labels, Arc::new(Codecs::new(codec, false))).ok()
}

/// Asks for every part, whatever becomes of the others.
fn ask(columns: &Columns) {
    let rows = columns.rows();
    let each: Vec<_> = (0..rows).step_by(rows / 50 + 1).map(|row| (row, columns.time(row).ok())).collect();
    if let Ok(times) = columns.times() {
        assert_eq!(times.len(), rows);
        assert!(each.iter().all(|&(row, time)| time == Some(times[row])));
    }
    if let Ok(keys) = columns.decode_keys() {
        let spaces: Vec<&[u8]> = (0..rows).map(|row| keys.of_row(row, columns.runs()).0).collect();
        assert!(spaces.is_sorted());
    }
    if let Ok(frames) = columns.frames() {
        for frame in 0..frames.len().min(50) {
            assert_eq!(frames.of_row(frames.rows(frame).end - 1), frame);
            let Ok(part) = columns.part(frames.widen(&frames.rows(frame))) else { continue };
            for row in frames.rows(frame) {
                assert!(part.range_in(frames, frame, row).end <= part.frame(frames, frame).data_len);
            }
        }
        if let Ok(whole) = columns.whole() {
            let lens = (0..frames.len()).map(|frame| whole.frame(frames, frame).data_len);
            assert_eq!(lens.sum::<usize>(), whole.data_len());
        }
    }
    let indexes = columns.decode_indexes();
    if let Ok(indexes) = &indexes {
        for row in 0..rows {
            assert!(indexes.pairs(row).is_sorted_by(|a, b| a < b));
        }
        for (name, value) in (0..rows.min(20)).filter_map(|row| indexes.pairs(row).next()) {
            let column = columns.decode_index(name).ok().flatten().expect("the name is there");
            let place = column.place(value).expect("the value is there");
            assert!((0..rows).any(|row| column.places(row).contains(&place)));
        }
        for column in indexes.columns() {
            let (middle, mut found) = (rows / 3..rows - rows / 3, Vec::new());
            column.for_each_in(middle.clone(), |row, place| found.push((row, place)));
            let places = |row| column.places(row).iter().map(move |&place| (row, place));
            assert!(middle.flat_map(places).eq(found));
            assert!(column.values().memory() < indexes.memory());
        }
    }
    assert!(indexes.is_err() || columns.decode_index(b"no such name").is_ok());
}

/// Rows in file order: space, grouping, timestamp, pairs, data.
type Row = (Vec<u8>, Vec<u8>, i64, BTreeSet<(Vec<u8>, Vec<u8>)>, Vec<u8>);

fn rows(choices: &mut Choices<'_>) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for _ in 0..choices.small() % 40 + 1 {
        let space: Vec<u8> = choices.string().iter().take(3).copied().collect();
        let grouping = choices.string().to_vec();
        let time = choices.sized().cast_signed() >> (choices.small() % 64);
        let pairs = (0..choices.small() % 4)
            .map(|_| (vec![choices.small() as u8 % 5], choices.string().to_vec()))
            .collect();
        let data = choices.string().repeat(choices.small() % 9);
        let row: Row = (space, grouping, time, pairs, data);
        // Rows that come often make columns of several frames.
        for number in 0..[1, 1, 1, 1, 2, 9, 40, 150][choices.small() % 8] {
            let (space, grouping, time, pairs, data) = row.clone();
            rows.push((space, grouping, time.wrapping_add(number), pairs, data));
        }
    }
    rows.truncate(4096);
    rows.sort_by(|a, b| (&a.0, &a.1, a.2).cmp(&(&b.0, &b.1, b.2)));
    rows
}

/// Rows as a block's columns, and back; then the same columns with some bytes changed, cut or added.
pub fn build_columns(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let Some(codec) = Codec::from_code(choices.small() as u8 % 4, 1) else { return };
    let mut built = choices.moves();
    let rows = rows(&mut built);
    let (mut draft, mut data) = (BlockDraft::default(), Vec::new());
    for (at, (space, grouping, time, pairs, its_data)) in rows.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| &rows[before]);
        let same_space = before.is_some_and(|before| before.0 == *space);
        if !same_space {
            draft.add_space(space);
        }
        if !same_space || before.is_some_and(|before| before.1 != *grouping) {
            draft.add_grouping(grouping);
        }
        draft.add(*time, its_data.len(), 0);
        for (name, value) in pairs {
            draft.add_pair(name, value);
        }
        data.extend_from_slice(its_data);
    }
    let compressor = || Compressor::new(codec, &[]).expect("codec");
    let frame_size = 256 << (choices.small() % 5);
    let cuts = FrameCuts::new(frame_size, rows.len());
    let block = draft.encode(&data, cuts, &mut compressor(), &mut compressor()).expect("encoded");
    let (stored, rows_len) = ([block.rows.as_slice(), &block.labels].concat(), block.rows.len());
    let payload_len = block.frames.len() as u64;
    let columns = decode(codec, block.count, payload_len, &stored, rows_len).expect("whole");
    ask(&columns);
    let (times, keys) = (columns.times().expect("whole"), columns.decode_keys().expect("whole"));
    let indexes = columns.decode_indexes().expect("whole");
    assert_eq!(columns.whole().expect("whole").data_len(), data.len());
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(
            (times[at], keys.of_row(at, columns.runs())),
            (row.2, (row.0.as_slice(), row.1.as_slice()))
        );
        assert!(indexes.pairs(at).eq(row.3.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))));
    }
    let (mut damaged, mut count, mut payload_len, mut rows_len) =
        (stored, block.count, payload_len, rows_len);
    while !choices.is_empty() {
        let at = choices.number(2) as usize % damaged.len().max(1);
        match choices.small() % 7 {
            0 => damaged.truncate(at),
            4 => rows_len = at,
            1 => damaged.insert(at, choices.number(1) as u8),
            2 => count = count.wrapping_add(choices.number(1) as u32).wrapping_sub(128).clamp(1, 4096),
            3 => payload_len = choices.sized(),
            _ => damaged.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= choices.number(1) as u8),
        }
    }
    if let Some(columns) = decode(codec, count, payload_len, &damaged, rows_len) {
        ask(&columns);
    }
}
