//! What a terminal is spared: control characters, marks that turn text around, and binary data.

use crate::text::{escape, is_unsafe};

/// Appends a JSON line, with `\u007f` and the like for what a terminal might obey.
///
/// Such characters stand only inside strings, so the line stays JSON and keeps its meaning. Line feed and
/// tab may stand between values and do no harm.
pub(crate) fn write_json(line: &[u8], out: &mut Vec<u8>) {
    for character in String::from_utf8_lossy(line).chars() {
        if is_unsafe(character) && !matches!(character, '\n' | '\t') {
            out.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
        } else {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

/// Appends text with control characters escaped, line by line. False for binary data, which has no place there.
pub(crate) fn write_text(data: &[u8], out: &mut Vec<u8>) -> bool {
    if std::str::from_utf8(data).is_err() || data.contains(&0) {
        return false;
    }
    for (at, line) in data.split(|byte| *byte == b'\n').enumerate() {
        if at > 0 {
            out.push(b'\n');
        }
        out.extend_from_slice(escape(line).to_string().as_bytes());
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_json_without_anything_to_obey() {
        let mut out = Vec::new();
        write_json("{\"a\":\t\"é\x7f\u{9b}\u{202e}\"}\n".as_bytes(), &mut out);
        assert_eq!(out, "{\"a\":\t\"é\\u007f\\u009b\\u202e\"}\n".as_bytes());
    }

    #[test]
    fn text_is_escaped_and_binary_refused() {
        let mut out = Vec::new();
        assert!(write_text(b"one\ntwo\x1b[2J", &mut out));
        assert_eq!(out, b"one\ntwo\\u{1b}[2J");
        assert!(!write_text(b"\xff", &mut out));
        assert!(!write_text(b"a\0b", &mut out));
    }
}
