//! Native input as a whole, and what the tests of the other formats share.

use std::io::{self, Cursor, Read};

use proptest::prelude::*;

use super::open::Stream;
use super::*;

/// A source of `text` that is called `in`.
pub(crate) fn source(text: &[u8], layout: &Layout) -> Source {
    opened(Box::new(Cursor::new(text.to_vec())), layout).expect("open")
}

/// A source that is called `in`, of events with at most 1 MiB of data.
pub(crate) fn opened(stream: Stream, layout: &Layout) -> Result<Source, Fatal> {
    Source::new("in".to_owned(), stream, Progress::none(), layout, 1 << 20)
}

/// All events of `text`, and the messages of its malformed records in their places.
pub(crate) fn events(text: &[u8], layout: &Layout) -> Vec<Result<EventBuf, String>> {
    let mut source = match opened(Box::new(Cursor::new(text.to_vec())), layout) {
        Ok(source) => source,
        Err(fatal) => return vec![Err(fatal.to_string())],
    };
    let mut all = Vec::new();
    // One event for all: nothing of one may be left in the next.
    let mut event = EventBuf::default();
    loop {
        match source.next(&mut event) {
            Ok(true) => all.push(Ok(event.clone())),
            Ok(false) => return all,
            Err(fault) => all.push(Err(fault.to_string())),
        }
    }
}

/// The only event of `text`.
pub(crate) fn event(text: &str, layout: &Layout) -> EventBuf {
    let [event] = events(text.as_bytes(), layout).try_into().expect("one event");
    event.unwrap_or_else(|message| panic!("{text}: {message}"))
}

/// The message of the only record of `text`.
pub(crate) fn refusal(text: &[u8], layout: &Layout) -> String {
    let [refused]: [_; 1] = events(text, layout).try_into().expect("one record");
    refused.expect_err(&String::from_utf8_lossy(text))
}

pub(crate) fn pairs(pairs: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

const SECONDS: Layout = Layout::Native(Unit::Seconds);

#[test]
fn native_lines_are_read_part_by_part() {
    let line = r#"{"space":"1","grouping":"g","timestamp":-5,"index":{"type":"page","tag":["b","a"]},"data":{"u" : 1.50} }"#;
    let expected = EventBuf {
        space: b"1".to_vec(),
        grouping: b"g".to_vec(),
        timestamp: -5,
        indexes: pairs(&[("type", "page"), ("tag", "b"), ("tag", "a")]),
        data: br#"{"u" : 1.50}"#.to_vec(),
    };
    assert_eq!(event(line, &SECONDS), expected);
    let line = r#" {"data_text":"\u00e9\n","timestamp":"1970-01-01T00:00:01Z","space":"\ud83d\ude00"}"#;
    let expected =
        EventBuf { space: "😀".into(), timestamp: 1, data: "é\n".into(), ..EventBuf::default() };
    assert_eq!(event(line, &SECONDS), expected);
    let line = r#"{"space_base64":"/w==","grouping_base64":"","timestamp":0,"index_base64":[["/w==","YQ=="]],"data_base64":"AAE="}"#;
    let expected = EventBuf {
        space: vec![0xff],
        indexes: vec![(vec![0xff], b"a".to_vec())],
        data: vec![0, 1],
        ..EventBuf::default()
    };
    assert_eq!(event(line, &SECONDS), expected);
}

#[test]
fn native_lines_are_refused_with_column_and_reason() {
    let rest = r#""data":1}"#;
    let start = r#"{"space":"s","timestamp":0,"#;
    let cases: Vec<(String, &str)> = vec![
        ("x".into(), "1: invalid JSON: expected value"),
        ("{".into(), "1: invalid JSON: EOF while parsing an object"),
        (r#"{"space":"1","timestamp":1,"da"#.into(), "30: invalid JSON: EOF while parsing a string"),
        (
            "[1]".into(),
            "1: the line is an array, not an object: each line is one JSON object; `jq -c '.[]'` makes lines of an array",
        ),
        ("  12".into(), "3: the line is a number, not an object: each line is one JSON object"),
        ("null".into(), "1: the line is null, not an object: each line is one JSON object"),
        ("{} {}".into(), "4: invalid JSON: trailing characters"),
        ("{}".into(), "1: the line has no space"),
        (r#"{"space":"s","data":1}"#.into(), "1: the line has no timestamp"),
        (r#"{"space":"s","timestamp":0}"#.into(), "1: the line has no data, data_text or data_base64"),
        (format!("{start}{rest}x"), "37: invalid JSON: trailing characters"),
        (format!(r#"{start}"typ":"x",{rest}"#), r#"34: the key "typ" is unknown"#),
        (format!(r#"{start}"space":"t",{rest}"#), r#"36: the key "space" stands twice"#),
        (
            format!(r#"{start}"data_text":"",{rest}"#),
            "50: a line has only one of data, data_text, data_base64",
        ),
        (format!(r#"{start}"space_base64":"",{rest}"#), "43: a line has only one of space, space_base64"),
        (format!(r#"{start}"index":[],{rest}"#), "36: index is an array, not an object"),
        (
            format!(r#"{start}"index":{{"a":1}},{rest}"#),
            r#"41: a value of index "a" is a number, not a string"#,
        ),
        (
            format!(r#"{start}"index":{{"a":["b",["c"]]}},{rest}"#),
            r#"46: a value of index "a" is an array, not a string"#,
        ),
        (
            format!(r#"{start}"index":{{"a":"1","b":"2","a":"3"}},{rest}"#),
            r#"36: the index "a" stands twice"#,
        ),
        (
            format!(r#"{start}"index_base64":[["YQ=="]],{rest}"#),
            "44: index_base64 is an array of [name, value], both base64",
        ),
        (
            format!(r#"{start}"index_base64":[["YQ==","YQ==",""]],{rest}"#),
            "59: index_base64 is an array of [name, value], both base64",
        ),
        (
            format!(r#"{start}"index_base64":{{}},{rest}"#),
            "43: index_base64 is an array of [name, value], both base64",
        ),
        (format!(r#"{start}"grouping":null,{rest}"#), "39: grouping is null, not a string"),
        (format!(r#"{start}"grouping":"\ud800",{rest}"#), "46: invalid JSON: unexpected end of hex escape"),
        (format!(r#"{start}"data_base64":"YQ"}}"#), "42: data is not base64: Invalid padding"),
        (format!(r#"{start}"data_base64":"Y=="}}"#), "42: data is not base64: "),
        (
            format!(r#"{start}"data":"{}"}}"#, "\0"),
            "35: invalid JSON: control character (\\u0000-\\u001F) found while parsing a string",
        ),
    ];
    for (line, expected) in cases {
        let message = refusal(line.as_bytes(), &SECONDS);
        assert!(message.starts_with(&format!("in:1:{expected}")), "{line}: {message}");
    }
}

#[test]
fn native_timestamps_are_never_rounded() {
    let line = |timestamp: &str| format!(r#"{{"space":"s","timestamp":{timestamp},"data":1}}"#);
    for (timestamp, expected) in [
        ("0", 0),
        ("9223372036854775807", i64::MAX),
        ("-9223372036854775808", i64::MIN),
        (r#""2014-06-23T15:08:39+00:00""#, 1_403_536_119),
    ] {
        assert_eq!(event(&line(timestamp), &SECONDS).timestamp, expected);
    }
    for (timestamp, expected) in [
        (r#""1403534919""#, r#"timestamp: "1403534919" is not an RFC 3339 time"#),
        (r#""abc""#, r#"timestamp: "abc" is not an RFC 3339 time"#),
        ("1.5", r#"timestamp: "1.5" is not an integer"#),
        ("1e3", r#"timestamp: "1e3" is not an integer"#),
        ("-0", r#"timestamp: "-0" is no integer: write 0"#),
        ("9223372036854775808", r#"timestamp: "9223372036854775808" is out of range for 64 bits"#),
        ("-9223372036854775809", "timestamp: \"-9223372036854775809\" is out of range for 64 bits"),
        ("null", "timestamp is null, not a number or an RFC 3339 string"),
        (
            r#""2014-06-23T15:08:39.5Z""#,
            "timestamp: \"2014-06-23T15:08:39.5Z\" is finer than the file's unit s; --unit chooses a finer one",
        ),
        (
            r#""2014-06-23T15:08:39""#,
            r#"timestamp: "2014-06-23T15:08:39" has no offset from UTC: end it with Z"#,
        ),
    ] {
        let message = refusal(line(timestamp).as_bytes(), &SECONDS);
        assert!(message.starts_with(&format!("in:1:26: {expected}")), "{message}");
        assert!(!message.contains("--timestamp"), "a mapping does not apply to native lines: {message}");
    }
}

#[test]
fn line_ends_blank_lines_and_the_last_line() {
    let line = r#"{"space":"s","timestamp":1,"data":[]}"#;
    let one = Ok(event(line, &SECONDS));
    let two = vec![one.clone(), one.clone()];
    for text in [
        format!("{line}\n{line}\n"),
        format!("{line}\r\n{line}\r\n"),
        format!("\n \t\n\r\n{line}\n\n{line}"),
        format!("{line} \n\t{line}\r"),
    ] {
        assert_eq!(events(text.as_bytes(), &SECONDS), two, "{text:?}");
    }
    for text in ["", "\n", " \r\n\n"] {
        assert_eq!(events(text.as_bytes(), &SECONDS), [], "{text:?}");
    }
    let cut = format!("{line}\n\n{line}\n{}", &line[..20]);
    let cut = events(cut.as_bytes(), &SECONDS);
    assert_eq!(cut[..2], two);
    assert!(cut[2].as_ref().expect_err("cut").starts_with("in:4:20: invalid JSON: EOF"));
}

#[test]
fn invalid_utf8_is_refused_where_it_stands() {
    let message = refusal(b"{\"space\":\"a\xffb\"}", &SECONDS);
    assert!(message.starts_with("in:1:12: the line is not UTF-8"), "{message}");
}

#[test]
fn nesting_has_a_limit_and_costs_no_stack() {
    let line = |depth: usize| {
        format!(r#"{{"space":"s","timestamp":1,"data":{}{}}}"#, "[".repeat(depth), "]".repeat(depth))
    };
    assert_eq!(event(&line(128), &SECONDS).data.len(), 256);
    for depth in [129, 100_000] {
        let message = refusal(line(depth).as_bytes(), &SECONDS);
        assert_eq!(message, "in:1:163: arrays and objects are nested more than 128 deep");
    }
    assert!(refusal("[".repeat(100_000).as_bytes(), &SECONDS).starts_with("in:1:1: the line is an array"));
    assert!(
        refusal("{\"data\":[".repeat(100_000).as_bytes(), &SECONDS).starts_with("in:1:900000: invalid JSON")
    );
}

#[test]
fn keys_and_data_have_limits() {
    let line = |space: usize, value: usize, data: usize| {
        format!(
            r#"{{"space":"{}","timestamp":1,"index":{{"n":"{}"}},"data_text":"{}"}}"#,
            "s".repeat(space),
            "v".repeat(value),
            "d".repeat(data)
        )
    };
    event(&line(65_535, 65_535, 1 << 20), &SECONDS);
    for (line, expected) in [
        (line(65_536, 0, 0), "10: space \"ssss"),
        (line(0, 65_536, 0), "40: index value \"vvvv"),
        (
            line(0, 0, (1 << 20) + 1),
            "56: the event's data has 1048577 bytes, the limit is 1048576 (--max-event)",
        ),
    ] {
        let message = refusal(line.as_bytes(), &SECONDS);
        assert!(message.starts_with(&format!("in:1:{expected}")), "{message}");
    }
}

#[test]
fn a_line_without_end_is_refused_in_bounded_memory() {
    let line = r#"{"space":"s","timestamp":1,"data":[]}"#;
    let endless = io::repeat(b'x').take(1 << 30);
    let stream = Cursor::new(format!("{line}\n")).chain(endless).chain(Cursor::new(format!("\n{line}")));
    let mut source = opened(Box::new(stream), &SECONDS).expect("open");
    let mut event = EventBuf::default();
    assert_eq!(source.next(&mut event), Ok(true));
    let message = source.next(&mut event).expect_err("too long").to_string();
    assert_eq!(message, "in:2:1: the record has more than 3145728 bytes, the limit for --max-event 1048576");
    assert_eq!(source.next(&mut event), Ok(true));
    assert_eq!(source.next(&mut event), Ok(false));
}

#[test]
fn a_failing_input_is_fatal_and_never_an_end() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("Input/output error"))
        }
    }
    let line = r#"{"space":"s","timestamp":1,"data":[]}"#;
    let stream = Cursor::new(format!("{line}\n{line}")).chain(Fails);
    let mut source = opened(Box::new(stream), &SECONDS).expect("open");
    let mut event = EventBuf::default();
    assert_eq!(source.next(&mut event), Ok(true));
    let fault = source.next(&mut event).expect_err("fails");
    assert_eq!(fault, Fault::Fatal(Fatal("in: reading failed at line 2: Input/output error".to_owned())));
}

proptest! {
    #[test]
    fn every_line_is_an_event_or_is_refused_byte_for_byte(
        lines in proptest::collection::vec(
            prop_oneof![
                Just(r#"{"space":"s","timestamp":1,"data":[]}"#.to_owned().into_bytes()),
                proptest::collection::vec(any::<u8>(), 0..20),
                "[\\[\\]{}\",:a-e0-2\\\\ \r]{0,30}".prop_map(String::into_bytes),
            ],
            0..6,
        ),
    ) {
        let text = lines.join(&b'\n');
        let mut source = source(&text, &SECONDS);
        let mut event = EventBuf::default();
        let mut outcomes = 0;
        loop {
            match source.next(&mut event) {
                Ok(true) => prop_assert_eq!(&event.data, b"[]"),
                Ok(false) => break,
                Err(fault) => {
                    let mut raw = Vec::new();
                    source.copy_raw(&mut raw).expect("memory");
                    let raw = raw.strip_suffix(b"\n").unwrap_or(&raw);
                    let Fault::Malformed(malformed) = fault else { panic!("{fault}") };
                    let line = text.split(|byte| *byte == b'\n').nth(malformed.line as usize - 1);
                    prop_assert_eq!(Some(raw), line);
                    prop_assert!((1..=raw.len() + 1).contains(&malformed.column), "{}", malformed);
                }
            }
            outcomes += 1;
        }
        let is_blank = |line: &[u8]| line.iter().all(|byte| b" \t\r".contains(byte));
        prop_assert_eq!(outcomes, text.split(|byte| *byte == b'\n').filter(|line| !is_blank(line)).count());
    }
}
