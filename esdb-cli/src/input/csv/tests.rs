//! CSV as a whole.

use esdb_format::Unit;
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::mapping::tests::{field, mapping as of_unit};
use super::super::tests::{events, pairs};
use super::super::{Layout, Source};
use super::*;

fn mapping() -> Mapping {
    of_unit(Unit::Seconds)
}

fn layout(mapping: Mapping) -> Layout {
    Layout::Csv(Arc::new(mapping), b',')
}

fn read(text: impl AsRef<[u8]>) -> Vec<Result<EventBuf, String>> {
    events(text.as_ref(), &layout(mapping()))
}

fn data(text: &str) -> Vec<String> {
    let data = |event: EventBuf| String::from_utf8(event.data).expect("UTF-8");
    read(text).into_iter().map(|event| event.map_or_else(|message| message, data)).collect()
}

#[test]
fn rows_become_json_objects_in_the_headers_order() {
    let expected = EventBuf {
        space: b"a".to_vec(),
        grouping: b"x y".to_vec(),
        timestamp: 5,
        indexes: pairs(&[("i", "é")]),
        data: r#"{"t":"5","s":"a","i":"é","g":"x y","":""}"#.into(),
    };
    for text in [
        "t,s,i,g,\n5,a,é,x y,\n",
        "t,s,i,g,\r\n\r\n\"5\",\"a\",\"é\",\"x y\",\"\"\r\n",
        "\n\nt,s,i,g,\n5,a,é,x y,",
    ] {
        assert_eq!(read(text), [Ok(expected.clone())], "{text:?}");
    }
}

#[test]
fn quotes_hold_quotes_delimiters_and_line_breaks() {
    let text = "s,t,g,i\n\"a,\"\"b\"\"\r\n\",1,,\"\n\n\"\nc,2,5\" pipe,\n";
    let found = read(text);
    let first = found[0].as_ref().expect("row");
    assert_eq!(first.space, b"a,\"b\"\r\n");
    assert_eq!(first.indexes, pairs(&[("i", "\n\n")]));
    assert_eq!(first.data, br#"{"s":"a,\"b\"\r\n","t":"1","g":"","i":"\n\n"}"#);
    assert_eq!(found[1].as_ref().expect("row").grouping, b"5\" pipe");
}

#[test]
fn empty_cells_are_absent() {
    let found = read("s,t,g,i\na,1,g,i\nb,2,,\n,3,,\nd,,,\n");
    let second = found[1].as_ref().expect("row");
    assert_eq!((second.grouping.as_slice(), second.indexes.as_slice()), (&b""[..], &[][..]));
    assert_eq!(
        found[2],
        Err("in:4:1: space: \"s\" is absent, null or empty; --default-space would stand in".into())
    );
    assert_eq!(found[3], Err("in:5:1: timestamp: \"t\" is absent, null or empty".into()));
    let with_default = Mapping { default_space: Some(b"d".to_vec()), ..mapping() };
    let found = events(b"s,t,g,i\n,3,,\n", &layout(with_default));
    assert_eq!(found[0].as_ref().expect("row").space, b"d");
}

#[test]
fn malformed_rows_are_named_by_their_first_line_and_reading_goes_on() {
    let row = r#"{"s":"z","t":"9","g":"","i":""}"#;
    for (text, expected) in [
        ("a,1,\"x\ny\"", "in:2:1: the row has 3 columns, the header has 4"),
        ("a,1,g,i,e", "in:2:1: the row has 5 columns, the header has 4"),
        ("a;1;g;i", "in:2:1: the row has 1 columns, the header has 4"),
        (
            "a,1,\"x\"y,i",
            "in:2:8: text stands behind a closing quote; a quote inside a quoted cell is doubled",
        ),
        ("a,1,\"he said \"hi\" to me\",i", "in:2:15: text stands behind a closing quote"),
        ("a,1,x\ry,i", "in:2:6: a carriage return stands in a cell without quotes"),
        ("\ra,1,,", "in:2:1: a carriage return stands in a cell without quotes"),
        ("a,1.5,,", "in:2:1: timestamp: \"1.5\" is finer than the file's unit s; --unit chooses a finer one"),
        ("a,soon,,", "in:2:1: timestamp: \"soon\" is not an RFC 3339 time"),
    ] {
        let found = data(&format!("s,t,g,i\n{text}\nz,9,,\n"));
        assert_eq!(found.len(), 2, "{text}: {found:?}");
        assert!(found[0].starts_with(expected), "{text}: {found:?}");
        assert_eq!(found[1], row);
    }
}

#[test]
fn a_quote_that_is_never_closed_is_an_error_of_the_line_it_opens_on() {
    for tail in ["", "\n", "\r\nz,9,,\r\n", "\"\"", "\"\"\n"] {
        let found = data(&format!("s,t,g,i\na,1,,\n\nb,2,\"g,i{tail}"));
        assert_eq!(found[1], "in:4:5: the quote is never closed", "{tail:?}");
        assert_eq!(found.len(), 2);
    }
}

#[test]
fn a_quote_left_open_is_bounded_and_reading_goes_on_behind() {
    let long = "x\n".repeat(3 << 20);
    let found = data(&format!("s,t,g,i\na,1,\"{long}z,9,,\n"));
    assert_eq!(found[0], "in:2:1: the record has more than 3145728 bytes, the limit for --max-event 1048576");
    assert_eq!(found.last().map(String::as_str), Some(r#"{"s":"z","t":"9","g":"","i":""}"#));
}

#[test]
fn cells_that_are_not_utf8_are_refused_only_where_json_is_made() {
    let text = b"s,t,g,i,n\xff\n\xfe,1,\xfd,\xfc,d\xfb\n";
    assert!(
        read(text)[0]
            .as_ref()
            .expect_err("header")
            .starts_with("in:1:1: the column name \"n\\xff\" is not UTF-8")
    );
    let found = read(b"s,t,g,i\n\xfe,1,,\n");
    assert!(found[0].as_ref().expect_err("row").starts_with("in:2:1: column 1 is not UTF-8"));
    let one_column = Mapping { data: Some(Field::parse(b"n\xff").expect("field")), ..mapping() };
    let expected = EventBuf {
        space: vec![0xfe],
        grouping: vec![0xfd],
        timestamp: 1,
        indexes: vec![(b"i".to_vec(), vec![0xfc])],
        data: b"d\xfb".to_vec(),
    };
    assert_eq!(events(text, &layout(one_column)), [Ok(expected)]);
}

#[test]
fn headers_must_have_what_the_mapping_names() {
    for (header, expected) in [
        ("a,b", "in:1:1: no column is named \"s\"; the header has \"a\", \"b\""),
        ("s,t,g,i,s", "in:1:1: two columns are named \"s\""),
        ("s,t,g,i,x,x", "in:1:1: two columns are named \"x\", so rows can not become JSON objects"),
        ("s,\"t", "in:1:3: the quote is never closed"),
    ] {
        let found = read(header);
        assert!(found[0].as_ref().expect_err(header).starts_with(expected), "{found:?}");
    }
    for empty in ["", "\n\n", "s,t,g,i", "s,t,g,i\n\n"] {
        assert_eq!(read(empty), [], "{empty:?}");
    }
}

#[test]
fn rejected_rows_are_kept_byte_for_byte() {
    let bad = "a,1,\"x\r\ny\"\r\n";
    let mut source: Source =
        super::super::tests::source(format!("s,t,g,i\n{bad}b,2,,").as_bytes(), &layout(mapping()));
    let mut event = EventBuf::default();
    assert!(source.next(&mut event).is_err());
    let mut raw = Vec::new();
    source.copy_raw(&mut raw).expect("memory");
    assert_eq!(raw, bad.as_bytes());
    assert_eq!(source.next(&mut event), Ok(true));
}

#[test]
fn wide_rows_and_other_delimiters_are_read() {
    let names: Vec<_> = (0..500).map(|column| format!("c{column}")).collect();
    let text = format!("s\tt\tg\ti\t{}\na\t1\tx,y\t\t{}\n", names.join("\t"), "\t".repeat(499));
    let found = events(text.as_bytes(), &Layout::Csv(Arc::new(mapping()), b'\t'));
    let event = found[0].as_ref().expect("row");
    assert_eq!(event.grouping, b"x,y");
    assert!(event.data.ends_with(br#","c499":""}"#));
}

proptest! {
    #[test]
    fn cells_come_back_as_they_were(
        rows in vec(vec("[a\",\r\n\u{feff}é]{0,5}", 4), 1..5),
        line_end in prop_oneof![Just("\n"), Just("\r\n")],
        last_has_end in any::<bool>(),
    ) {
        let mut text = format!("s,t,g,i{line_end}");
        for row in &rows {
            let quoted: Vec<_> = row.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
            text.push_str(&format!("{},1,{},{}{line_end}", quoted[0], quoted[2], quoted[3]));
        }
        if !last_has_end {
            text.truncate(text.len() - line_end.len());
        }
        let with_default = Mapping { default_space: Some(Vec::new()), ..mapping() };
        let found = events(text.as_bytes(), &layout(with_default));
        prop_assert_eq!(found.len(), rows.len());
        for (event, row) in found.iter().zip(&rows) {
            let event = event.as_ref().expect("row");
            prop_assert_eq!(&event.space, row[0].as_bytes());
            prop_assert_eq!(&event.grouping, row[2].as_bytes());
            let pair = (b"i".to_vec(), row[3].clone().into_bytes());
            prop_assert_eq!(event.indexes.first(), Some(&pair).filter(|(_, value)| !value.is_empty()));
        }
    }

    #[test]
    fn any_text_gives_rows_and_refusals_that_cover_it(text in "[ab1,\"\r\n]{0,60}") {
        let mapping = Mapping { default_space: Some(Vec::new()), data: Some(field("g")), ..mapping() };
        let mut source = super::super::tests::source(format!("s,t,g,i\n{text}").as_bytes(), &layout(mapping));
        let mut event = EventBuf::default();
        let mut seen = Vec::new();
        while !matches!(source.next(&mut event), Ok(false)) {
            source.copy_raw(&mut seen).expect("memory");
        }
        let without_blank = |text: &[u8]| text.iter().copied().filter(|byte| !b"\r\n".contains(byte)).collect::<Vec<_>>();
        prop_assert_eq!(without_blank(&seen), without_blank(text.as_bytes()));
    }
}
