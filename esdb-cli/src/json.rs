//! What readers and writers of JSON text share: walking over an object without building it, and strings.
//!
//! Values are handed out as their text, byte for byte. Nothing here recurses, so depth costs no stack; text
//! nested deeper than [`MAX_DEPTH`] is refused all the same, for the sake of those who read it after us.

use std::borrow::Cow;
use std::fmt;

use memchr::memchr;
use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

/// The most arrays and objects that may lie inside one another.
pub(crate) const MAX_DEPTH: usize = 128;

/// What a value is; its first byte says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    /// The kind of a valid value's text, which begins without white space.
    pub(crate) fn of(value: &str) -> Self {
        match value.as_bytes().first() {
            Some(b'"') => Self::String,
            Some(b'{') => Self::Object,
            Some(b'[') => Self::Array,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'n') => Self::Null,
            _ => Self::Number,
        }
    }

    /// The kind with its article, for messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// Why a walk stopped.
#[derive(Debug)]
pub(crate) enum Stop<E> {
    /// The text is not JSON.
    Syntax(Syntax),
    /// The visitor gave up at the byte that is this far from the start of the text.
    Refused(E, usize),
}

/// A fault of the text itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Syntax {
    pub(crate) message: String,
    /// Bytes from the start of the text.
    pub(crate) offset: usize,
}

impl From<serde_json::Error> for Syntax {
    fn from(error: serde_json::Error) -> Self {
        let message = error.to_string();
        let message = match message.rfind(" at line ") {
            Some(end) => message.get(..end).unwrap_or(&message).to_owned(),
            None => message,
        };
        Self { message, offset: error.column().saturating_sub(1) }
    }
}

/// Goes over the members of the object `text`, in order.
///
/// `choose` says for a key whether its value is wanted, and as what; `take` gets the wanted values' texts.
///
/// # Errors
///
/// [`Stop::Syntax`] when `text` is not one JSON object; what `choose` and `take` return comes back with the
/// offset of the value in question.
pub(crate) fn walk_object<'a, K, E>(
    text: &'a str,
    choose: impl FnMut(Cow<'a, str>) -> Result<Option<K>, E>,
    take: impl FnMut(K, &'a str) -> Result<(), E>,
) -> Result<(), Stop<E>> {
    let mut refused = None;
    let mut deserializer = Deserializer::from_str(text);
    let visitor = Members { text, choose, take, refused: &mut refused };
    let result = deserializer.deserialize_map(visitor).and_then(|()| deserializer.end());
    match (refused, result) {
        (Some((error, offset)), _) => Err(Stop::Refused(error, offset)),
        (None, Err(error)) => Err(Stop::Syntax(error.into())),
        (None, Ok(())) => Ok(()),
    }
}

struct Members<'a, 'r, C, T, E> {
    text: &'a str,
    choose: C,
    take: T,
    refused: &'r mut Option<(E, usize)>,
}

impl<'a, K, E, C, T> Visitor<'a> for Members<'a, '_, C, T, E>
where
    C: FnMut(Cow<'a, str>) -> Result<Option<K>, E>,
    T: FnMut(K, &'a str) -> Result<(), E>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut members: A) -> Result<(), A::Error> {
        while let Some(choice) = members.next_key_seed(Key(&mut self.choose))? {
            let taken = match choice {
                Ok(None) => {
                    members.next_value::<IgnoredAny>()?;
                    continue;
                }
                Ok(Some(wanted)) => {
                    let value = members.next_value::<&RawValue>()?.get();
                    (self.take)(wanted, value).map_err(|error| (error, value))
                }
                Err(error) => Err((error, members.next_value::<&RawValue>()?.get())),
            };
            if let Err((error, value)) = taken {
                *self.refused = Some((error, offset_in(self.text, value)));
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

struct Key<'c, C>(&'c mut C);

impl<'de, K, E, C: FnMut(Cow<'de, str>) -> Result<Option<K>, E>> DeserializeSeed<'de> for Key<'_, C> {
    type Value = Result<Option<K>, E>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de, K, E, C: FnMut(Cow<'de, str>) -> Result<Option<K>, E>> Visitor<'de> for Key<'_, C> {
    type Value = Result<Option<K>, E>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<Error: serde::de::Error>(self, key: &'de str) -> Result<Self::Value, Error> {
        Ok((self.0)(Cow::Borrowed(key)))
    }

    fn visit_str<Error: serde::de::Error>(self, key: &str) -> Result<Self::Value, Error> {
        Ok((self.0)(Cow::Owned(key.to_owned())))
    }
}

/// Goes over the elements of the array `text`, in order. `take` gets their texts.
///
/// # Errors
///
/// [`Stop::Syntax`] when `text` is not one JSON array; what `take` returns comes back with the offset of the
/// element in question.
pub(crate) fn walk_array<'a, E>(
    text: &'a str,
    mut take: impl FnMut(&'a str) -> Result<(), E>,
) -> Result<(), Stop<E>> {
    let mut refused = None;
    let mut deserializer = Deserializer::from_str(text);
    let mut keep_going = |element: &'a str| {
        take(element).map_err(|error| refused = Some((error, offset_in(text, element)))).is_ok()
    };
    let result = deserializer.deserialize_seq(Elements(&mut keep_going)).and_then(|()| deserializer.end());
    match (refused, result) {
        (Some((error, offset)), _) => Err(Stop::Refused(error, offset)),
        (None, Err(error)) => Err(Stop::Syntax(error.into())),
        (None, Ok(())) => Ok(()),
    }
}

struct Elements<'t, T>(&'t mut T);

impl<'de, T: FnMut(&'de str) -> bool> Visitor<'de> for Elements<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<&RawValue>()? {
            if !(self.0)(element.get()) {
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

/// How far `part`, a piece of `text`, lies from its start.
pub(crate) fn offset_in(text: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize).min(text.len())
}

/// Appends what the string `value` stands for, given with its quotes.
pub(crate) fn unquote(value: &str, out: &mut Vec<u8>) -> Result<(), Syntax> {
    match value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) {
        Some(plain) if memchr(b'\\', plain.as_bytes()).is_none() => {
            out.extend_from_slice(plain.as_bytes());
            Ok(())
        }
        _ => Ok(Deserializer::from_str(value).deserialize_str(Append(out))?),
    }
}

struct Append<'o>(&'o mut Vec<u8>);

impl Visitor<'_> for Append<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Appends `text` as a JSON string: `\"`, `\\`, `\b`, `\f`, `\n`, `\r`, `\t`, the other characters below
/// U+0020 as `\u00` and two lower-case digits, all others as they are.
pub(crate) fn quote(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\') {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((byte, behind)) = special.split_first() else { break };
        let short = match byte {
            b'"' | b'\\' => *byte,
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            _ => b'u',
        };
        out.extend_from_slice(&[b'\\', short]);
        if short == b'u' {
            let hex = |digit: u8| if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
            out.extend_from_slice(&[b'0', b'0', hex(byte >> 4), hex(byte & 15)]);
        }
        rest = behind;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Whether `text` is exactly one JSON value, with no white space around it, nested at most [`MAX_DEPTH`] deep.
pub(crate) fn is_value(text: &str) -> bool {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t' | b'\n' | b'\r'));
    if is_space(text.as_bytes().first()) || is_space(text.as_bytes().last()) {
        return false;
    }
    let mut deserializer = Deserializer::from_str(text);
    let valid = deserializer.deserialize_ignored_any(IgnoredAny).and_then(|_| deserializer.end());
    valid.is_ok() && too_deep(text).is_none()
}

/// Where valid JSON `text` first exceeds [`MAX_DEPTH`].
pub(crate) fn too_deep(text: &str) -> Option<usize> {
    // `[` and `{` are the two bytes that this bit makes equal. A sum of 255 fits a byte.
    let count = |chunk: &[u8]| chunk.iter().map(|byte| u8::from(byte | 0x20 == b'{')).sum::<u8>();
    let openers: usize = text.as_bytes().chunks(255).map(|chunk| usize::from(count(chunk))).sum();
    if openers <= MAX_DEPTH {
        return None;
    }
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Some(at);
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn members(text: &str) -> Result<Vec<(String, &str)>, Stop<String>> {
        let found = std::cell::RefCell::new(Vec::new());
        walk_object(
            text,
            |key| match &*key {
                "bad" => Err("bad key".to_owned()),
                "skip" => Ok(None),
                key => Ok(Some(key.to_owned())),
            },
            |key, value| match value {
                "13" => Err("bad value".to_owned()),
                value => {
                    found.borrow_mut().push((key, value));
                    Ok(())
                }
            },
        )?;
        Ok(found.into_inner())
    }

    #[test]
    fn walk_object_hands_out_texts_as_they_stand() {
        let found = members(r#" {"a": 1.50 ,"skip":[[]],"\u0062":{"x" : [ ]},"a":"é\n"} "#).expect("valid");
        let expected = [("a", "1.50"), ("b", r#"{"x" : [ ]}"#), ("a", r#""é\n""#)];
        assert_eq!(found, expected.map(|(key, value)| (key.to_owned(), value)));
    }

    #[test]
    fn walk_object_says_where_it_stopped() {
        for (text, offset) in [(r#"{"a":1,"bad": 2}"#, 14), (r#"{"a":13}"#, 5)] {
            assert!(matches!(members(text), Err(Stop::Refused(_, at)) if at == offset), "{text}");
        }
        for (text, offset) in
            [("{\"a\":1", 5), ("{\"a\":1}x", 7), ("{\"a\":\"\t\"}", 5), ("{\"skip\":nul}", 11), ("", 0)]
        {
            match members(text) {
                Err(Stop::Syntax(syntax)) => assert_eq!(syntax.offset, offset, "{text}: {}", syntax.message),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn unquote_decodes_and_refuses_lone_surrogates() {
        let mut out = Vec::new();
        for text in [r#""plain""#, r#""a\n\u00e9\ud83d\ude00""#, r#""""#] {
            unquote(text, &mut out).expect(text);
        }
        assert_eq!(out, "plaina\né😀".as_bytes());
        assert!(unquote(r#""\ud800""#, &mut out).is_err());
        assert!(unquote(r#""\udc00""#, &mut out).is_err());
    }

    #[test]
    fn depth_is_counted_outside_strings_only() {
        let nest = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(is_value(&nest(MAX_DEPTH)));
        assert!(!is_value(&nest(MAX_DEPTH + 1)));
        assert_eq!(too_deep(&nest(MAX_DEPTH + 1)), Some(MAX_DEPTH));
        assert!(is_value(&format!("\"\\\"{}\"", "[".repeat(1000))));
        assert!(is_value(&format!("[{}[]]", "{},".repeat(1000))));
        assert!(!is_value(&nest(100_000)));
    }

    #[test]
    fn is_value_takes_one_value_and_nothing_around_it() {
        for text in
            ["{}", "[1, 2]", "\"\"", "0", "-1.5e300000", "true", "null", "{\"a\":1,\"a\":2}", "\"\\ud800\""]
        {
            assert!(is_value(text), "{text}");
        }
        for text in
            ["", " {}", "{} ", "\t1", "1\n", "1 2", "01", "nul", "NaN", "{a:1}", "[1,]", "\"\u{1}\"", "'a'"]
        {
            assert!(!is_value(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn quote_escapes_as_serde_json_does(text in any::<String>(), controls in "[\u{0}-\u{2f}\u{5c}\u{7f}]{0,40}") {
            for text in [text, controls] {
                let mut out = Vec::new();
                quote(&text, &mut out);
                prop_assert_eq!(String::from_utf8(out.clone()), Ok(serde_json::to_string(&text).expect("string")));
                let mut back = Vec::new();
                unquote(std::str::from_utf8(&out).expect("UTF-8"), &mut back).expect("valid");
                prop_assert_eq!(back, text.into_bytes());
            }
        }

        #[test]
        fn is_value_agrees_with_serde_json(text in "[\\[\\]{}\",:0-9a-z \\\\-]{0,12}") {
            let trimmed = text.trim() == text;
            prop_assert_eq!(is_value(&text), trimmed && serde_json::from_str::<&RawValue>(&text).is_ok());
        }
    }
}
