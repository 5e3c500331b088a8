//! Native lines, the exact inverse of what `import` reads.
//!
//! `{"space":"1","grouping":"","timestamp":1403534919,"index":{"type":"page"},"data":{"url":"/"}}`
//!
//! The keys come in this order, `grouping` and `index` always, without white space. Parts that are not UTF-8
//! are written in base64: `space_base64` and `grouping_base64` in place of their namesakes, pairs in
//! `index_base64` behind `index`. An event has one line, so two files of the same events have the same lines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use memchr::memchr2;

use crate::json;

/// Appends one event and a line feed to `out`. `indexes` are sorted by name and value.
pub(crate) fn write_line<'a>(
    out: &mut Vec<u8>,
    space: &[u8],
    grouping: &[u8],
    timestamp: i64,
    indexes: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    data: &[u8],
) {
    out.push(b'{');
    write_bytes(out, "space", space);
    out.push(b',');
    write_bytes(out, "grouping", grouping);
    out.extend_from_slice(b",\"timestamp\":");
    out.extend_from_slice(itoa::Buffer::new().format(timestamp).as_bytes());
    out.push(b',');
    write_indexes(out, indexes);
    out.push(b',');
    write_data(out, data);
    out.extend_from_slice(b"}\n");
}

/// Writes `"key":"text"`, or `"key_base64":"…"` for bytes that are not UTF-8.
pub(super) fn write_bytes(out: &mut Vec<u8>, key: &str, bytes: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(key.as_bytes());
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            out.extend_from_slice(b"\":");
            json::quote(text, out);
        }
        Err(_) => {
            out.extend_from_slice(b"_base64\":");
            write_base64(out, bytes);
        }
    }
}

/// Writes `"index":{…}`, and behind it `"index_base64":[…]` if there are pairs that are not UTF-8.
pub(super) fn write_indexes<'a>(
    out: &mut Vec<u8>,
    indexes: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
) {
    out.extend_from_slice(b"\"index\":{");
    let any_binary = write_text_pairs(out, indexes.clone());
    out.push(b'}');
    if any_binary {
        write_binary_pairs(out, indexes);
    }
}

/// Writes the members of `index`. Returns whether there are pairs that are not UTF-8.
fn write_text_pairs<'a>(out: &mut Vec<u8>, indexes: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> bool {
    let mut any_binary = false;
    let mut pairs = indexes.filter_map(|(name, value)| {
        let pair = std::str::from_utf8(name).ok().zip(std::str::from_utf8(value).ok());
        any_binary |= pair.is_none();
        pair
    });
    let mut next = pairs.next();
    let mut first = true;
    while let Some((name, value)) = next {
        next = pairs.next();
        if !first {
            out.push(b',');
        }
        first = false;
        json::quote(name, out);
        out.push(b':');
        let several = next.is_some_and(|(next_name, _)| next_name == name);
        if several {
            out.push(b'[');
        }
        json::quote(value, out);
        while let Some((_, value)) = next.filter(|(next_name, _)| *next_name == name) {
            out.push(b',');
            json::quote(value, out);
            next = pairs.next();
        }
        if several {
            out.push(b']');
        }
    }
    any_binary
}

/// Writes `index_base64`.
fn write_binary_pairs<'a>(out: &mut Vec<u8>, indexes: impl Iterator<Item = (&'a [u8], &'a [u8])>) {
    out.extend_from_slice(b",\"index_base64\":");
    let is_text = |bytes| std::str::from_utf8(bytes).is_ok();
    let mut before = b'[';
    for (name, value) in indexes.filter(|(name, value)| !(is_text(name) && is_text(value))) {
        out.extend_from_slice(&[before, b'[']);
        write_base64(out, name);
        out.push(b',');
        write_base64(out, value);
        out.push(b']');
        before = b',';
    }
    out.push(b']');
}

/// Writes `data` as it is when it is one JSON value that fits a line, as a string when it is other text.
fn write_data(out: &mut Vec<u8>, data: &[u8]) {
    match std::str::from_utf8(data) {
        Ok(text) if memchr2(b'\n', b'\r', data).is_none() && json::is_value(text) => {
            out.extend_from_slice(b"\"data\":");
            out.extend_from_slice(data);
        }
        Ok(text) => {
            out.extend_from_slice(b"\"data_text\":");
            json::quote(text, out);
        }
        Err(_) => {
            out.extend_from_slice(b"\"data_base64\":");
            write_base64(out, data);
        }
    }
}

fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let start = out.len();
    // Four characters stand for three bytes or fewer.
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let room = out.get_mut(start..).unwrap_or_default();
    let written = BASE64.encode_slice(bytes, room).unwrap_or(0);
    out.truncate(start + written);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use esdb_format::{EventBuf, Unit};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::input::{Layout, Source};

    fn line_of(event: &EventBuf) -> String {
        let mut out = Vec::new();
        let indexes = event.indexes.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
        write_line(&mut out, &event.space, &event.grouping, event.timestamp, indexes, &event.data);
        String::from_utf8(out).expect("lines are UTF-8")
    }

    /// Reads lines as `import` does.
    fn read(lines: &str) -> Vec<EventBuf> {
        let mut file = tempfile::NamedTempFile::new().expect("file");
        file.write_all(lines.as_bytes()).expect("write");
        let mut source =
            Source::open(file.path(), &Layout::Native(Unit::Milliseconds), 1 << 20).expect("open");
        let mut events = Vec::new();
        let mut event = EventBuf::default();
        while source.next(&mut event).unwrap_or_else(|fault| panic!("{lines}: {fault}")) {
            events.push(event.clone());
        }
        events
    }

    fn event(indexes: &[(&[u8], &[u8])], data: &[u8]) -> EventBuf {
        let indexes = indexes.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        EventBuf {
            space: b"1".to_vec(),
            timestamp: 1_403_534_919,
            indexes,
            data: data.to_vec(),
            ..EventBuf::default()
        }
    }

    #[test]
    fn the_line_of_the_design_is_printed() {
        let event = event(&[(b"type", b"page")], br#"{"url":"http://mysite.com/"}"#);
        let expected = r#"{"space":"1","grouping":"","timestamp":1403534919,"index":{"type":"page"},"data":{"url":"http://mysite.com/"}}"#;
        assert_eq!(line_of(&event), format!("{expected}\n"));
    }

    #[test]
    fn pairs_are_grouped_by_name_and_binary_ones_stand_apart() {
        let all: [(&[u8], &[u8]); 7] = [
            (b"a", b"1"),
            (b"a", b"\xff"),
            (b"b", b""),
            (b"b", b"2"),
            (b"b", b"3"),
            (b"c", b"\n"),
            (b"\xfe", b"x"),
        ];
        let line = line_of(&event(&all, b"0"));
        let expected = r#""index":{"a":"1","b":["","2","3"],"c":"\n"},"index_base64":[["YQ==","/w=="],["/g==","eA=="]],"data":0}"#;
        assert!(line.ends_with(&format!("{expected}\n")), "{line}");
        let binary = line_of(&event(&[(b"\xff", b"")], b"0"));
        assert!(binary.contains(r#""index":{},"index_base64":[["/w==",""]],"#), "{binary}");
    }

    #[test]
    fn binary_space_and_grouping_stand_in_their_places() {
        let event =
            EventBuf { space: vec![0xff], grouping: vec![0xfe], timestamp: -1, ..EventBuf::default() };
        let expected =
            r#"{"space_base64":"/w==","grouping_base64":"/g==","timestamp":-1,"index":{},"data_text":""}"#;
        assert_eq!(line_of(&event), format!("{expected}\n"));
    }

    #[test]
    fn data_is_json_text_or_base64() {
        let deep = "[".repeat(129) + &"]".repeat(129);
        let deep_text = format!(r#""data_text":"{deep}""#);
        let cases: [(&[u8], &str); 14] = [
            (b"{ \"a\" : 1.50 }", "\"data\":{ \"a\" : 1.50 }"),
            (b"\"x\"", "\"data\":\"x\""),
            (b"null", "\"data\":null"),
            (b"1e5", "\"data\":1e5"),
            (b"[\"\\ud800\"]", "\"data\":[\"\\ud800\"]"),
            (b"", "\"data_text\":\"\""),
            (b" 1", "\"data_text\":\" 1\""),
            (b"1\n", "\"data_text\":\"1\\n\""),
            (b"[1,\n2]", "\"data_text\":\"[1,\\n2]\""),
            (b"[1,\r2]", "\"data_text\":\"[1,\\r2]\""),
            (b"1 2", "\"data_text\":\"1 2\""),
            (b"\0\x1f\x7f\"\\", "\"data_text\":\"\\u0000\\u001f\x7f\\\"\\\\\""),
            (b"\xff\0", "\"data_base64\":\"/wA=\""),
            (deep.as_bytes(), &deep_text),
        ];
        for (data, expected) in cases {
            let event = event(&[], data);
            let line = line_of(&event);
            assert!(line.ends_with(&format!(",{expected}}}\n")), "{line}");
            assert_eq!(read(&line), [event]);
        }
    }

    /// Bytes of all sorts: text, JSON, anything.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            vec(any::<u8>(), 0..12),
            any::<String>().prop_map(String::into_bytes),
            "[\\[\\]{}\",:0-2a \\\\\n\r\t]{0,8}".prop_map(String::into_bytes),
            Just(br#"{"a":[1,"b"]}"#.to_vec()),
        ]
    }

    prop_compose! {
        fn any_event()(
            space in bytes(),
            grouping in bytes(),
            timestamp in any::<i64>(),
            mut indexes in vec((bytes(), bytes()), 0..6),
            names_in_common in any::<bool>(),
            data in bytes(),
        ) -> EventBuf {
            if names_in_common {
                indexes.iter_mut().for_each(|(name, _)| name.truncate(1));
            }
            indexes.sort();
            indexes.dedup();
            EventBuf { space, grouping, timestamp, indexes, data }
        }
    }

    proptest! {
        #[test]
        fn events_come_back_as_they_were(events in vec(any_event(), 0..5)) {
            let lines: String = events.iter().map(line_of).collect();
            let mut back = read(&lines);
            back.iter_mut().for_each(|event| event.indexes.sort());
            prop_assert_eq!(&back, &events);
            let again: String = back.iter().map(line_of).collect();
            prop_assert_eq!(again, lines);
        }
    }
}
