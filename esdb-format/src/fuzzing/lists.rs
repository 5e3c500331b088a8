//! Posting lists, time order, and the packed columns that both are made of.

use super::{Choices, Memory};
use crate::codec::Decoder;
use crate::error::Section;
use crate::packed::{Marks, decode_column, encode_column};
use crate::postings::{List, ListBuilder};
use crate::time_order::{self, Place, TimeFrame};

/// How many numbers of a list are asked for at most.
const MOST: u64 = 2_000;

/// The longest frame that is written again.
const MOST_AGAIN: usize = 300;

/// Any bytes as a posting list and its pages: every search in it ends.
pub fn list(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let count = choices.sized();
    let mut asked = choices.moves();
    ask(&mut asked, count, choices.0, &Memory(choices.0.to_vec()));
}

/// A posting list some of whose bytes were changed: every search in it ends.
pub fn damaged_list(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let numbers = ascending(&mut choices);
    if numbers.is_empty() {
        return;
    }
    let (mut pages, mut stored) = build(&numbers);
    let (mut asked, mut count) = (choices.moves(), numbers.len() as u64);
    while !choices.is_empty() {
        let (at, change) = (choices.number(3) as usize, choices.number(1) as u8);
        match at % (pages.0.len() + stored.len() + 1) {
            at if at < pages.0.len() => pages.0[at] ^= change,
            at if at < pages.0.len() + stored.len() => stored[at - pages.0.len()] ^= change,
            _ => count = count.wrapping_add(u64::from(change)).wrapping_sub(128),
        }
    }
    ask(&mut asked, count, &stored, &pages);
}

/// Asks a list of `count` numbers for all of them in order, and for some.
fn ask(asked: &mut Choices<'_>, count: u64, stored: &[u8], pages: &Memory) {
    // A table of values has no entry without events.
    if count == 0 {
        return;
    }
    let mut decoder = Decoder::new(stored, 100, Section::Values);
    let Ok(list) = List::decode(&mut decoder, count) else { return };
    assert_eq!(list.count(), count);
    let mut cursor = list.cursor(pages);
    let mut last = None;
    for position in 0..count.min(MOST) {
        let Ok(number) = cursor.get(position) else { break };
        // Inside a frame numbers ascend, whatever the bytes.
        assert!(position.is_multiple_of(128) || last < Some(number));
        last = Some(number);
    }
    while !asked.is_empty() {
        let number = asked.sized();
        let _ = cursor.position_of(number);
        if number < count {
            let _ = cursor.from(number).map(<[u64]>::len);
            let _ = cursor.up_to(number).map(<[u64]>::len);
        }
    }
}

/// Ascending numbers out of choices: runs of them with one gap, or with gaps that look random.
fn ascending(choices: &mut Choices<'_>) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut next = choices.sized() >> 8;
    for _ in 0..choices.small() % 40 {
        if choices.is_empty() {
            break;
        }
        let (gap, repeat, shift) = (choices.sized(), choices.small(), choices.small() % 64);
        for i in 0..=repeat as u64 {
            let noise =
                if shift == 0 { 0 } else { gap.wrapping_add(i).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> shift };
            numbers.push(next);
            let Some(sum) =
                next.checked_add(1).and_then(|next| next.checked_add(gap.wrapping_add(noise) >> 16))
            else {
                return numbers;
            };
            next = sum;
        }
    }
    numbers
}

/// The pages of a list, and its form in the table of values.
fn build(numbers: &[u64]) -> (Memory, Vec<u8>) {
    let (mut pages, mut builder, mut stored) = (Memory::default(), ListBuilder::default(), Vec::new());
    for &number in numbers {
        builder.push(number, &mut pages).expect("memory");
    }
    assert_eq!(builder.count(), numbers.len() as u64);
    builder.finish(&mut pages, &mut stored).expect("memory");
    (pages, stored)
}

/// Any ascending numbers through a builder, and back by position and by number.
pub fn build_list(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let numbers = ascending(&mut choices);
    if numbers.is_empty() {
        return;
    }
    let (pages, stored) = build(&numbers);
    let mut decoder = Decoder::new(&stored, 0, Section::Values);
    let list = List::decode(&mut decoder, numbers.len() as u64).expect("whole");
    decoder.finish("X").expect("whole");
    let mut cursor = list.cursor(&pages);
    for (position, &number) in numbers.iter().enumerate() {
        assert_eq!(cursor.get(position as u64).expect("whole"), number);
    }
    while !choices.is_empty() {
        let (kind, number) = (choices.small(), choices.sized());
        let position = number as usize % numbers.len();
        match kind % 4 {
            0 => {
                let rest = cursor.from(position as u64).expect("whole");
                assert!(!rest.is_empty() && numbers[position..].starts_with(rest));
            }
            1 => {
                let before = cursor.up_to(position as u64).expect("whole");
                assert!(!before.is_empty() && numbers[..=position].ends_with(before));
            }
            // Numbers that are there and their neighbours, then any.
            2 => find(
                &mut cursor,
                &numbers,
                numbers[position].wrapping_add(kind as u64 / 4 % 3).wrapping_sub(1),
            ),
            _ => find(&mut cursor, &numbers, number),
        }
    }
}

fn find(cursor: &mut crate::postings::ListCursor<&Memory>, numbers: &[u64], number: u64) {
    let expected = numbers.partition_point(|&other| other < number) as u64;
    assert_eq!(cursor.position_of(number).expect("whole"), expected);
}

/// Any bytes as a frame of the time order. What is accepted answers in one way, and is the same when it is written again.
pub fn time_frame(bytes: &[u8]) {
    let decoder = Decoder::new(bytes, 100, Section::TimeOrder);
    let peeked = TimeFrame::peek(decoder.clone());
    let Ok(frame) = TimeFrame::decode(decoder) else { return };
    assert_eq!(peeked.ok(), Some((frame.len() as u64, frame.timestamp)));
    let ordinals = ordinals_of(&frame);
    // The first ones were found without having been asked often.
    assert_eq!(ordinals_of(&frame), ordinals);
    let mut different = ordinals.clone();
    different.sort_unstable();
    different.dedup();
    if different.len() < ordinals.len() || ordinals.len() > MOST_AGAIN || different.last() > Some(&(1 << 62))
    {
        return;
    }
    // Events that follow one another in both orders are of one grouping.
    let mut places: Vec<Place> = Vec::new();
    for &ordinal in &ordinals {
        let before = places.iter().find(|other| other.ordinal + 1 == ordinal);
        places.push(Place { ordinal, run: before.map_or(ordinal, |before| before.run) });
    }
    let mut again = Vec::new();
    time_order::encode(&places, frame.timestamp, &mut again);
    let again = TimeFrame::decode(Decoder::new(&again, 0, Section::TimeOrder)).expect("whole");
    assert_eq!(again.timestamp, frame.timestamp);
    assert!(again.is_tight());
    assert_eq!(ordinals_of(&again), ordinals);
}

fn ordinals_of(frame: &TimeFrame) -> Vec<u64> {
    (0..frame.len()).map(|place| frame.ordinal(place)).collect()
}

/// Any bytes as a packed column: all of it and parts of it are the same numbers, and the same when they are packed again.
pub fn column(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let count = choices.number(2) as usize % 700;
    let (start, end) = (choices.number(2) as usize, choices.number(2) as usize);
    let stored = choices.0;
    let decode = |bytes: &[u8], count| {
        let mut numbers = Vec::new();
        let mut decoder = Decoder::new(bytes, 0, Section::Block);
        let all = decode_column(&mut decoder, count, |frame| {
            numbers.extend_from_slice(frame);
            Ok(())
        });
        all.map(|()| (numbers, bytes.len() - decoder.remaining()))
    };
    let all = decode(stored, count);
    let (start, end) = (start % (count + 1), end % (count + 1));
    let mut decoder = Decoder::new(stored, 0, Section::Block);
    let marks = Marks::set(&mut decoder, stored.len(), count);
    let mut part = Vec::new();
    if let (Ok(marks), true) = (&marks, start <= end) {
        let found = marks.decode(Decoder::new(stored, 0, Section::Block), start..end);
        assert!(all.is_err() || found.is_ok());
        part = found.unwrap_or_default();
    }
    let Ok((numbers, len)) = all else { return };
    assert!(marks.is_ok() && stored.len() - decoder.remaining() == len);
    assert!(start > end || part == numbers[start..end]);
    let mut again = Vec::new();
    encode_column(&numbers, &mut again);
    assert_eq!(decode(&again, count).expect("whole"), (numbers, again.len()));
}
