//! What native and foreign lines have in common: each is one JSON object in UTF-8.

use std::borrow::Cow;
use std::io::Read;

use super::errors::{Problem, Reason, RecordError};
use super::lines::Lines;
use crate::json::{self, Kind};

/// Hands the next line that is not blank to `read`. Returns false at the end.
pub(crate) fn next_line<R: Read>(
    lines: &mut Lines<R>,
    read: impl FnOnce(&str) -> Result<(), Problem>,
) -> Result<bool, RecordError> {
    loop {
        if !lines.advance()? {
            return Ok(false);
        }
        if !is_blank(lines.text()) {
            read(utf8(lines.text())?)?;
            return Ok(true);
        }
    }
}

/// A line of nothing but JSON's white space.
fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
}

/// The line as text.
fn utf8(line: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(line).map_err(|error| {
        let message = "the line is not UTF-8: what is not text can be given in base64, by native lines";
        Problem::new(Reason::InvalidUtf8, error.valid_up_to(), message)
    })
}

/// Refuses a line that is a JSON value of another kind. What is no JSON at all is left to the parser.
pub(crate) fn check_object(line: &str) -> Result<(), Problem> {
    let value = line.trim_matches([' ', '\t', '\r']);
    let is_other = match value.as_bytes().first() {
        Some(b'"' | b'[' | b'-' | b'0'..=b'9') => true,
        _ => matches!(value, "null" | "true" | "false"),
    };
    if !is_other {
        return Ok(());
    }
    let hint = if value.starts_with('[') { "; `jq -c '.[]'` makes lines of an array" } else { "" };
    let message =
        format!("the line is {}, not an object: each line is one JSON object{hint}", Kind::of(value).name());
    Err(Problem::new(Reason::NotAnObject, json::offset_in(line, value), message))
}

/// What the string `value` stands for. It starts `offset` bytes from the start of the line.
pub(crate) fn text_of(value: &str, offset: usize) -> Result<Cow<'_, str>, Problem> {
    let plain = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    if let Some(plain) = plain.filter(|plain| !plain.contains('\\')) {
        return Ok(Cow::Borrowed(plain));
    }
    let text = serde_json::from_str(value).map(Cow::Owned);
    text.map_err(|error| Problem::json(error.into(), offset))
}
