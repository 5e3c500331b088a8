//! Foreign NDJSON: any JSON objects, one per line, made events by a mapping.
//!
//! Where a key stands twice in an object, the last one counts, as for most readers of JSON.

use std::ops::Range;
use std::sync::Arc;

use esdb_format::EventBuf;

use super::document;
use super::errors::{Problem, Reason};
use super::fill::{Pairs, check_data, check_key};
use super::mapping::{Field, Mapping, missing};
use crate::json::{self, Kind, Stop};
use crate::text::quote;

/// Reads foreign lines.
#[derive(Clone)]
pub(crate) struct Foreign {
    mapping: Arc<Mapping>,
    /// The top-level keys that the mapping needs, each once.
    keys: Vec<Vec<u8>>,
    /// Where the values of `keys` stand in the current line.
    found: Vec<Option<Range<usize>>>,
}

impl Foreign {
    pub(crate) fn new(mapping: Arc<Mapping>) -> Self {
        let mut keys: Vec<_> = mapping.fields().map(|(_, field)| field.key.clone()).collect();
        keys.sort_unstable();
        keys.dedup();
        Self { mapping, found: vec![None; keys.len()], keys }
    }

    /// Reads one line, which must not be blank, into `event`.
    pub(crate) fn read(&mut self, line: &str, event: &mut EventBuf) -> Result<(), Problem> {
        document::check_object(line)?;
        self.find(line)?;
        if let Some(offset) = json::too_deep(line) {
            return Err(Problem::too_deep(offset));
        }
        let mapping = Arc::clone(&self.mapping);

        event.space.clear();
        match mapping.space.as_ref().map(|field| self.value(line, field)).transpose()?.flatten() {
            None => mapping.use_default_space(&mut event.space)?,
            Some(value) => append_scalar(line, value, "space", &mut event.space)?,
        }

        event.grouping.clear();
        if let Some(field) = &mapping.grouping
            && let Some(value) = self.value(line, field)?
        {
            append_scalar(line, value, "grouping", &mut event.grouping)?;
        }

        let field = &mapping.timestamp;
        let value = self.value(line, field)?.ok_or_else(|| missing("timestamp", field, ""))?;
        event.timestamp = self.read_timestamp(line, value)?;

        let mut pairs = Pairs::new(&mut event.indexes);
        for (name, field) in &mapping.indexes {
            if let Some(value) = self.value(line, field)? {
                add_values(line, value, name, &mut pairs)?;
            }
        }
        pairs.finish();

        event.data.clear();
        let (value, offset) = match &mapping.data {
            None => (line, 0),
            Some(field) => {
                let value = self.value(line, field)?.ok_or_else(|| missing("data", field, ""))?;
                (value, json::offset_in(line, value))
            }
        };
        if mapping.data.is_some() && Kind::of(value) == Kind::String {
            json::unquote(value, &mut event.data).map_err(|syntax| Problem::json(syntax, offset))?;
        } else {
            event.data.extend_from_slice(value.as_bytes());
        }
        check_data(&event.data, mapping.max_data, offset)
    }

    /// Finds the values of the wanted keys in `line`.
    fn find(&mut self, line: &str) -> Result<(), Problem> {
        let Self { keys, found, .. } = self;
        found.fill(None);
        let walked = json::walk_object(
            line,
            |key| Ok(keys.iter().position(|wanted| wanted == key.as_bytes())),
            |at, value| {
                let start = json::offset_in(line, value);
                found[at] = Some(start..start + value.len());
                Ok(())
            },
        );
        walked.map_err(|stop| Problem::stopped(stop, 0))
    }

    /// The value of `field`; nothing if it is absent or null.
    fn value<'a>(&self, line: &'a str, field: &Field) -> Result<Option<&'a str>, Problem> {
        let at = self.keys.iter().position(|key| *key == field.key);
        let range = at.and_then(|at| self.found.get(at)?.clone());
        let mut value = range.and_then(|range| line.get(range));
        for token in &field.inner {
            value = match value {
                Some(value) => child(line, value, token)?,
                None => break,
            };
        }
        Ok(value.filter(|value| Kind::of(value) != Kind::Null))
    }

    fn read_timestamp(&self, line: &str, value: &str) -> Result<i64, Problem> {
        let offset = json::offset_in(line, value);
        let result = match Kind::of(value) {
            Kind::Number => self.mapping.times.number(value),
            Kind::String => self.mapping.times.text(&document::text_of(value, offset)?),
            kind => {
                let message = format!("timestamp is {}, not a number or a string", kind.name());
                return Err(Problem::new(Reason::WrongType, offset, message));
            }
        };
        result.map_err(|error| Problem::time(error, offset))
    }
}

/// One step of a JSON Pointer: into an object by key, into an array by number.
fn child<'a>(line: &str, value: &'a str, token: &str) -> Result<Option<&'a str>, Problem> {
    let mut found = None;
    let walked = match Kind::of(value) {
        Kind::Object => json::walk_object(
            value,
            |key| Ok((key == token).then_some(())),
            |(), value| {
                found = Some(value);
                Ok(())
            },
        ),
        Kind::Array => {
            let canonical = token == "0" || !token.starts_with('0');
            let wanted = token.parse::<usize>().ok().filter(|_| canonical && !token.starts_with('+'));
            let mut at = 0;
            json::walk_array(value, |element| {
                if Some(at) == wanted {
                    found = Some(element);
                }
                at += 1;
                Ok(())
            })
        }
        _ => Ok(()),
    };
    walked.map_err(|stop: Stop<Problem>| Problem::stopped(stop, json::offset_in(line, value)))?;
    Ok(found)
}

/// Appends the text of a string, number or boolean.
fn append_scalar(line: &str, value: &str, what: &str, out: &mut Vec<u8>) -> Result<(), Problem> {
    let offset = json::offset_in(line, value);
    match Kind::of(value) {
        Kind::String => json::unquote(value, out).map_err(|syntax| Problem::json(syntax, offset))?,
        Kind::Number | Kind::Boolean => out.extend_from_slice(value.as_bytes()),
        kind => {
            let message = format!("{what} is {}, not a string, number or boolean", kind.name());
            return Err(Problem::new(Reason::WrongType, offset, message));
        }
    }
    check_key(out, what, offset)
}

/// Adds the value of an index, or each element of an array that is not null.
fn add_values(line: &str, value: &str, name: &[u8], pairs: &mut Pairs<'_>) -> Result<(), Problem> {
    let mut add = |value: &str| {
        if Kind::of(value) == Kind::Null {
            return Ok(());
        }
        let (pair_name, pair_value) = pairs.add();
        pair_name.extend_from_slice(name);
        append_scalar(line, value, "index value", pair_value).map_err(|problem| Problem {
            message: format!("index {}: {}", quote(name), problem.message),
            ..problem
        })
    };
    match Kind::of(value) {
        Kind::Array => {
            json::walk_array(value, add).map_err(|stop| Problem::stopped(stop, json::offset_in(line, value)))
        }
        _ => add(value),
    }
}

#[cfg(test)]
mod tests {
    use esdb_format::Unit;

    use super::super::Layout;
    use super::super::mapping::tests::{field, mapping as of_unit};
    use super::super::tests::{event, events, pairs, refusal};
    use super::*;

    fn mapping() -> Mapping {
        of_unit(Unit::Milliseconds)
    }

    fn layout(mapping: Mapping) -> Layout {
        Layout::Foreign(Arc::new(mapping))
    }

    #[test]
    fn each_part_is_found_and_the_line_is_kept() {
        let line = r#" {"x":[1,{}], "s":"a\u0062","t":1.5,"g":true,"i":["p",1.50,null,false,""]} "#;
        let expected = EventBuf {
            space: b"ab".to_vec(),
            grouping: b"true".to_vec(),
            timestamp: 1500,
            indexes: pairs(&[("i", "p"), ("i", "1.50"), ("i", "false"), ("i", "")]),
            data: line.as_bytes().to_vec(),
        };
        assert_eq!(event(&format!("{line}\r\n"), &layout(mapping())), expected);
    }

    #[test]
    fn absent_and_null_leave_nothing_of_the_event_before() {
        let text = "{\"s\":\"a\",\"t\":1,\"g\":\"g\",\"i\":\"i\"}\n{\"s\":\"\",\"t\":2}\n{\"s\":0,\"t\":3,\"g\":null,\"i\":null}\n{\"s\":1e5,\"t\":4,\"i\":[]}";
        let found = events(text.as_bytes(), &layout(mapping()));
        for (event, space) in found.iter().skip(1).zip(["", "0", "1e5"]) {
            let event = event.as_ref().expect("event");
            assert_eq!((event.space.as_slice(), event.grouping.as_slice()), (space.as_bytes(), &b""[..]));
            assert_eq!(event.indexes, []);
        }
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn what_can_not_be_mapped_is_refused() {
        for (line, expected) in [
            (r#"{"t":1}"#, r#"1: space: "s" is absent, null or empty; --default-space would stand in"#),
            (r#"{"s":null,"t":1}"#, r#"1: space: "s" is absent"#),
            (r#"{"s":["a"],"t":1}"#, "6: space is an array, not a string, number or boolean"),
            (r#"{"s":{},"t":1}"#, "6: space is an object, not a string, number or boolean"),
            (r#"{"s":1,"t":1,"g":[]}"#, "18: grouping is an array"),
            (r#"{"s":1}"#, r#"1: timestamp: "t" is absent, null or empty"#),
            (r#"{"s":1,"t":null}"#, "1: timestamp: \"t\" is absent"),
            (r#"{"s":1,"t":[1]}"#, "12: timestamp is an array, not a number or a string"),
            (
                r#"{"s":1,"t":1.0001}"#,
                "12: timestamp: \"1.0001\" is finer than the file's unit ms; --unit chooses a finer one",
            ),
            (r#"{"s":1,"t":"soon"}"#, "12: timestamp: \"soon\" is not an RFC 3339 time"),
            (r#"{"s":1,"t":1,"i":{}}"#, r#"18: index "i": index value is an object"#),
            (r#"{"s":1,"t":1,"i":[1,[2]]}"#, r#"21: index "i": index value is an array"#),
            (r#"{"s":"\ud800","t":1}"#, "13: invalid JSON: unexpected end of hex escape"),
            (r#"{"s":1,"t":1,"x":}"#, "18: invalid JSON: expected value"),
            ("[]", "1: the line is an array, not an object"),
        ] {
            let message = refusal(line.as_bytes(), &layout(mapping()));
            assert!(message.starts_with(&format!("in:1:{expected}")), "{line}: {message}");
        }
        let deep = format!(r#"{{"s":1,"t":1,"x":{}{}}}"#, "[".repeat(128), "]".repeat(128));
        let message = refusal(deep.as_bytes(), &layout(mapping()));
        assert_eq!(message, "in:1:145: arrays and objects are nested more than 128 deep");
        let long = format!(r#"{{"s":1,"t":1,"i":"{}"}}"#, "v".repeat(65_536));
        assert!(refusal(long.as_bytes(), &layout(mapping())).contains("has 65536 bytes, the limit is 65535"));
    }

    #[test]
    fn a_default_space_stands_in_for_absent_and_null() {
        let with_default = Mapping { default_space: Some(b"d".to_vec()), ..mapping() };
        for (line, space) in [(r#"{"t":1}"#, "d"), (r#"{"s":null,"t":1}"#, "d"), (r#"{"s":"","t":1}"#, "")] {
            assert_eq!(event(line, &layout(with_default.clone())).space, space.as_bytes(), "{line}");
        }
        assert!(refusal(br#"{"s":[],"t":1}"#, &layout(with_default.clone())).contains("space is an array"));
        let without_field = Mapping { space: None, ..with_default };
        assert_eq!(event(r#"{"s":"x","t":1}"#, &layout(without_field)).space, b"d");
    }

    #[test]
    fn names_are_whole_and_pointers_descend() {
        let mapping = Mapping {
            space: Some(field("id.orig_h")),
            grouping: Some(field("/a~1b/0/~0x")),
            indexes: vec![
                (b"n".to_vec(), field("/list/1")),
                (b"n".to_vec(), field("/list")),
                (b"none".to_vec(), field("/list/01")),
                (b"none".to_vec(), field("/list/-")),
                (b"none".to_vec(), field("/list/+1")),
                (b"none".to_vec(), field("/list/7")),
                (b"none".to_vec(), field("/t/x")),
                (b"none".to_vec(), field("/absent/x")),
                (b"none".to_vec(), field("/a~1b/0/null/x")),
            ],
            ..mapping()
        };
        let line = r#"{"id":{"orig_h":"no"},"id.orig_h":"yes","a/b":[{"~x":"deep","null":null}],"list":["p","q"],"t":1}"#;
        let event = event(line, &layout(mapping));
        assert_eq!((event.space.as_slice(), event.grouping.as_slice()), (&b"yes"[..], &b"deep"[..]));
        assert_eq!(event.indexes, pairs(&[("n", "q"), ("n", "p"), ("n", "q")]));
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        let mapping = Mapping { grouping: Some(field("/o/k")), ..mapping() };
        let event = event(r#"{"s":1,"s":2,"t":1,"o":{"k":"a","k":"b"}}"#, &layout(mapping));
        assert_eq!((event.space.as_slice(), event.grouping.as_slice()), (&b"2"[..], &b"b"[..]));
    }

    #[test]
    fn data_is_a_strings_content_or_a_values_text() {
        let mapping = Mapping { data: Some(field("d")), ..mapping() };
        for (value, expected) in [
            (r#""a\nb""#, "a\nb"),
            (r#"{ "x" : 1.50 }"#, r#"{ "x" : 1.50 }"#),
            ("[ ]", "[ ]"),
            ("1e5", "1e5"),
            (r#""""#, ""),
        ] {
            let event = event(&format!(r#"{{"s":1,"t":1,"d":{value}}}"#), &layout(mapping.clone()));
            assert_eq!(event.data, expected.as_bytes());
        }
        assert!(refusal(br#"{"s":1,"t":1}"#, &layout(mapping)).contains("data: \"d\" is absent"));
    }
}
