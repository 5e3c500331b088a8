//! A JSON object on one line, written member by member.

use esdb_format::Unit;

use super::ndjson::{write_bytes, write_indexes};
use super::stdout::Stdout;
use super::terminal;
use crate::json;
use crate::times::print;

/// Writes the members of an object. [`end`](Self::end) closes it.
pub(crate) struct Object<'o> {
    out: &'o mut Vec<u8>,
    /// Where it begins in `out`.
    start: usize,
    is_empty: bool,
}

impl<'o> Object<'o> {
    pub(crate) fn begin(out: &'o mut Vec<u8>) -> Self {
        let start = out.len();
        out.push(b'{');
        Self { out, start, is_empty: true }
    }

    pub(crate) fn end(self) {
        self.out.push(b'}');
    }

    /// The object is a line of standard output.
    pub(crate) fn end_line(self) {
        self.out.extend_from_slice(b"}\n");
        if Stdout::is_terminal() {
            let line = self.out.split_off(self.start);
            terminal::write_json(&line, self.out);
        }
    }

    fn separate(&mut self) {
        if !std::mem::take(&mut self.is_empty) {
            self.out.push(b',');
        }
    }

    fn key(&mut self, key: &str) {
        self.separate();
        json::quote(key, self.out);
        self.out.push(b':');
    }

    pub(crate) fn number(&mut self, key: &str, number: impl itoa::Integer) {
        self.key(key);
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    pub(crate) fn boolean(&mut self, key: &str, value: bool) {
        self.key(key);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    pub(crate) fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        json::quote(text, self.out);
    }

    /// A string, or a string in base64 under `KEY_base64` if the bytes are not UTF-8.
    pub(crate) fn bytes(&mut self, key: &str, bytes: &[u8]) {
        self.separate();
        write_bytes(self.out, key, bytes);
    }

    /// Index pairs, sorted, as they stand in a native line.
    pub(crate) fn indexes<'a>(&mut self, pairs: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone) {
        self.separate();
        write_indexes(self.out, pairs);
    }

    /// RFC 3339 as a string, or the number where there is no such text. Both are accepted by `--since`.
    pub(crate) fn time(&mut self, key: &str, timestamp: i64, unit: Unit) {
        match print::rfc3339(timestamp, unit) {
            Some(text) => self.text(key, &text),
            None => self.number(key, timestamp),
        }
    }

    /// An object inside this one.
    pub(crate) fn object(&mut self, key: &str, members: impl FnOnce(&mut Object<'_>)) {
        self.key(key);
        let mut inner = Object::begin(self.out);
        members(&mut inner);
        inner.end();
    }

    /// A list of objects.
    pub(crate) fn list<T>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = T>,
        members: impl Fn(&mut Object<'_>, T),
    ) {
        self.key(key);
        let mut before = b'[';
        for item in items {
            self.out.push(std::mem::replace(&mut before, b','));
            let mut inner = Object::begin(self.out);
            members(&mut inner, item);
            inner.end();
        }
        if before == b'[' {
            self.out.push(b'[');
        }
        self.out.push(b']');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_separated_and_nested() {
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out);
        object.number("n", -1);
        object.bytes("k", b"a\"");
        object.bytes("k", b"\xff");
        object.time("t", 0, Unit::Seconds);
        object.time("t", i64::MAX, Unit::Seconds);
        object.object("o", |inner| inner.boolean("b", true));
        object.list("l", [1, 2], |inner, n| inner.number("n", n));
        object.list("e", [0; 0], |inner, n| inner.number("n", n));
        object.end_line();
        let expected = concat!(
            r#"{"n":-1,"k":"a\"","k_base64":"/w==","t":"1970-01-01T00:00:00Z","t":9223372036854775807,"#,
            r#""o":{"b":true},"l":[{"n":1},{"n":2}],"e":[]}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);
    }
}
