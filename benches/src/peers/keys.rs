//! Keys of the key-value stores: their bytes compare as events do.
//!
//! ```text
//! event   space 0 grouping 0 timestamp number
//! entry   name 0 value 0 space 0 timestamp grouping 0 number
//! ```
//!
//! The workloads have no zero bytes in their keys.

/// The key of an event.
pub(super) fn event(out: &mut Vec<u8>, space: &[u8], grouping: &[u8], timestamp: i64, number: u32) {
    stretch(out, space, grouping, timestamp);
    out.extend_from_slice(&(number).swap_bytes().to_le_bytes());
}

/// Where the events of a grouping from `timestamp` on begin.
pub(super) fn stretch(out: &mut Vec<u8>, space: &[u8], grouping: &[u8], timestamp: i64) {
    out.clear();
    text(out, space);
    text(out, grouping);
    time(out, timestamp);
}

/// The key of an index entry.
pub(super) fn entry(
    out: &mut Vec<u8>,
    (name, value): (&[u8], &[u8]),
    space: &[u8],
    timestamp: i64,
    grouping: &[u8],
    number: u32,
) {
    out.clear();
    text(out, name);
    text(out, value);
    text(out, space);
    time(out, timestamp);
    text(out, grouping);
    out.extend_from_slice(&number.swap_bytes().to_le_bytes());
}

/// The common beginning of all keys with these parts, and the first key after them.
pub(super) fn prefix(parts: &[&[u8]]) -> (Vec<u8>, Vec<u8>) {
    let mut start = Vec::new();
    parts.iter().for_each(|part| text(&mut start, part));
    let mut end = start.clone();
    if let Some(last) = end.last_mut() {
        *last = 1;
    }
    (start, end)
}

/// Makes the key of an event out of that of an entry, whose name and value take `skip` bytes. Returns its timestamp.
pub(super) fn event_of_entry(out: &mut Vec<u8>, entry: &[u8], skip: usize) -> Option<()> {
    let rest = entry.get(skip..)?;
    let space = rest.iter().position(|&byte| byte == 0)? + 1;
    let (space, rest) = rest.split_at(space);
    let (time, rest) = rest.split_at_checked(8)?;
    let (grouping, number) = rest.split_at_checked(rest.len().checked_sub(4)?)?;
    out.clear();
    out.extend_from_slice(space);
    out.extend_from_slice(grouping);
    out.extend_from_slice(time);
    out.extend_from_slice(number);
    Some(())
}

/// The space, grouping and timestamp of an event's key.
pub(super) fn parts(key: &[u8]) -> Option<(&[u8], &[u8], i64)> {
    let space = key.iter().position(|&byte| byte == 0)?;
    let rest = &key[space + 1..];
    let (grouping, tail) = rest.split_at_checked(rest.len().checked_sub(13)?)?;
    let time = u64::from_le_bytes(tail.get(1..9)?.try_into().ok()?).swap_bytes();
    Some((&key[..space], grouping, (time ^ (1 << 63)) as i64))
}

fn text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(text);
    out.push(0);
}

fn time(out: &mut Vec<u8>, timestamp: i64) {
    out.extend_from_slice(&(timestamp as u64 ^ (1 << 63)).swap_bytes().to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_leads_to_its_event() {
        let (mut entry_key, mut event_key, mut found) = (Vec::new(), Vec::new(), Vec::new());
        entry(&mut entry_key, (b"type", b"page"), b"s", -5, b"group", 300);
        event(&mut event_key, b"s", b"group", -5, 300);
        event_of_entry(&mut found, &entry_key, "type0page0".len()).unwrap();
        assert_eq!(found, event_key);
        assert_eq!(parts(&event_key), Some((&b"s"[..], &b"group"[..], -5)));
    }

    #[test]
    fn keys_compare_as_events_do() {
        let mut keys = Vec::new();
        for (space, grouping, time, number) in
            [("a", "", -1, 0), ("a", "", 1, 0), ("a", "", 1, 300), ("a", "b", 0, 0), ("ab", "", 0, 0)]
        {
            let mut key = Vec::new();
            event(&mut key, space.as_bytes(), grouping.as_bytes(), time, number);
            keys.push(key);
        }
        assert!(keys.is_sorted());
    }
}
