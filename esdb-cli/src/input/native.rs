//! Native lines: what `scan` prints.
//!
//! `{"space":"1","grouping":"","timestamp":1403534919,"index":{"type":"page"},"data":{"url":"/"}}`
//!
//! Keys may come in any order; `grouping`, `index` and `index_base64` may be missing. A key that is unknown
//! or stands twice is an error: a misspelt key must not lose data.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use esdb_format::{EventBuf, Unit};

use super::document;
use super::errors::{Problem, Reason};
use super::fill::{Pairs, check_data, check_key};
use crate::json::{self, Kind, Stop};
use crate::text::quote;
use crate::times::decimal;
use crate::times::parser::{TimeParser, number_error};

#[derive(Clone, Copy)]
enum Key {
    Space,
    SpaceBase64,
    Grouping,
    GroupingBase64,
    Timestamp,
    Index,
    IndexBase64,
    Data,
    DataText,
    DataBase64,
}

impl Key {
    const COUNT: usize = Self::DataBase64 as usize + 1;

    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "space" => Self::Space,
            "space_base64" => Self::SpaceBase64,
            "grouping" => Self::Grouping,
            "grouping_base64" => Self::GroupingBase64,
            "timestamp" => Self::Timestamp,
            "index" => Self::Index,
            "index_base64" => Self::IndexBase64,
            "data" => Self::Data,
            "data_text" => Self::DataText,
            "data_base64" => Self::DataBase64,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Space => "space",
            Self::SpaceBase64 => "space_base64",
            Self::Grouping => "grouping",
            Self::GroupingBase64 => "grouping_base64",
            Self::Timestamp => "timestamp",
            Self::Index => "index",
            Self::IndexBase64 => "index_base64",
            Self::Data => "data",
            Self::DataText => "data_text",
            Self::DataBase64 => "data_base64",
        }
    }
}

/// Reads native lines.
#[derive(Clone)]
pub(crate) struct Native {
    times: TimeParser,
    unit: Unit,
    max_data: usize,
}

impl Native {
    /// For a file in `unit` whose events have at most `max_data` bytes of data.
    pub(crate) fn new(unit: Unit, max_data: usize) -> Self {
        Self { times: TimeParser::new(unit).without_hints(), unit, max_data }
    }

    /// Reads one line, which must not be blank, into `event`.
    pub(crate) fn read(&self, line: &str, event: &mut EventBuf) -> Result<(), Problem> {
        let values = Values::of(line)?;
        let missing = |what| Problem::new(Reason::MissingValue, 0, format!("the line has no {what}"));
        let at = |value| json::offset_in(line, value);

        let space = values.one_of(line, [Key::Space, Key::SpaceBase64])?;
        let (key, value) = space.ok_or_else(|| missing("space"))?;
        event.space.clear();
        read_bytes(value, matches!(key, Key::SpaceBase64), "space", at(value), &mut event.space)?;
        check_key(&event.space, "space", at(value))?;

        event.grouping.clear();
        if let Some((key, value)) = values.one_of(line, [Key::Grouping, Key::GroupingBase64])? {
            read_bytes(
                value,
                matches!(key, Key::GroupingBase64),
                "grouping",
                at(value),
                &mut event.grouping,
            )?;
            check_key(&event.grouping, "grouping", at(value))?;
        }

        let value = values.get(Key::Timestamp).ok_or_else(|| missing("timestamp"))?;
        event.timestamp = self.read_timestamp(value, at(value))?;

        let mut pairs = Pairs::new(&mut event.indexes);
        if let Some(value) = values.get(Key::Index) {
            read_index(value, at(value), &mut pairs)?;
        }
        if let Some(value) = values.get(Key::IndexBase64) {
            read_index_base64(value, at(value), &mut pairs)?;
        }
        pairs.finish();

        let data = values.one_of(line, [Key::Data, Key::DataText, Key::DataBase64])?;
        let (key, value) = data.ok_or_else(|| missing("data, data_text or data_base64"))?;
        event.data.clear();
        match key {
            Key::Data => {
                if let Some(deep) = json::too_deep(value) {
                    return Err(Problem::too_deep(at(value) + deep));
                }
                event.data.extend_from_slice(value.as_bytes());
            }
            key => read_bytes(value, matches!(key, Key::DataBase64), "data", at(value), &mut event.data)?,
        }
        check_data(&event.data, self.max_data, at(value))
    }

    fn read_timestamp(&self, value: &str, offset: usize) -> Result<i64, Problem> {
        let result = match Kind::of(value) {
            Kind::Number => {
                if value.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
                    let message = format!("timestamp: {} is not an integer", quote(value.as_bytes()));
                    return Err(Problem::new(Reason::UnreadableTime, offset, message));
                }
                decimal::integer(value).map_err(|error| number_error(error, value, self.unit))
            }
            Kind::String => self.times.text(&document::text_of(value, offset)?),
            kind => {
                let message = format!("timestamp is {}, not a number or an RFC 3339 string", kind.name());
                return Err(Problem::new(Reason::WrongType, offset, message));
            }
        };
        result.map_err(|error| Problem::time(error, offset))
    }
}

/// The texts of a line's values, by key.
struct Values<'a>([Option<&'a str>; Key::COUNT]);

impl<'a> Values<'a> {
    fn of(line: &'a str) -> Result<Self, Problem> {
        document::check_object(line)?;
        let mut values = Self([None; Key::COUNT]);
        let walked = json::walk_object(
            line,
            |name| match Key::of(&name) {
                Some(key) => Ok(Some(key)),
                None => Err((Reason::UnknownKey, format!("the key {} is unknown", quote(name.as_bytes())))),
            },
            |key, value| match values.0[key as usize].replace(value) {
                None => Ok(()),
                Some(_) => Err((Reason::DuplicateKey, format!("the key \"{}\" stands twice", key.name()))),
            },
        );
        walked.map_err(|stop| match stop {
            Stop::Syntax(syntax) => Problem::json(syntax, 0),
            Stop::Refused((reason, message), offset) => Problem::new(reason, offset, message),
        })?;
        Ok(values)
    }

    fn get(&self, key: Key) -> Option<&'a str> {
        self.0[key as usize]
    }

    /// The one of `keys` that the line has. It is an error to have two.
    fn one_of<const N: usize>(&self, line: &str, keys: [Key; N]) -> Result<Option<(Key, &'a str)>, Problem> {
        let mut found = keys.iter().filter_map(|key| Some((*key, self.get(*key)?)));
        let first = found.next();
        match found.next() {
            None => Ok(first),
            Some(_) => {
                let message = format!("a line has only one of {}", keys.map(Key::name).join(", "));
                let last = keys
                    .iter()
                    .filter_map(|key| self.get(*key))
                    .map(|value| json::offset_in(line, value))
                    .max();
                Err(Problem::new(Reason::DuplicateKey, last.unwrap_or(0), message))
            }
        }
    }
}

/// Appends the bytes of a string, decoded from base64 if `encoded`.
fn read_bytes(
    value: &str,
    encoded: bool,
    what: &str,
    offset: usize,
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    let kind = Kind::of(value);
    if kind != Kind::String {
        let message = format!("{what} is {}, not a string", kind.name());
        return Err(Problem::new(Reason::WrongType, offset, message));
    }
    if !encoded {
        return json::unquote(value, out).map_err(|syntax| Problem::json(syntax, offset));
    }
    let text = document::text_of(value, offset)?;
    BASE64.decode_vec(text.as_bytes(), out).map_err(|error| {
        Problem::new(Reason::InvalidBase64, offset, format!("{what} is not base64: {error}"))
    })
}

/// Reads `{"name":"value","name":["value",…]}`.
fn read_index(value: &str, offset: usize, pairs: &mut Pairs<'_>) -> Result<(), Problem> {
    if Kind::of(value) != Kind::Object {
        let message = format!("index is {}, not an object", Kind::of(value).name());
        return Err(Problem::new(Reason::WrongType, offset, message));
    }
    let mut names = Names::default();
    let add = |name: &str, element: &str, pairs: &mut Pairs<'_>| {
        let at = offset + json::offset_in(value, element);
        let (pair_name, pair_value) = pairs.add();
        pair_name.extend_from_slice(name.as_bytes());
        check_key(pair_name, "index name", at)?;
        if Kind::of(element) != Kind::String {
            let (name, kind) = (quote(pair_name), Kind::of(element).name());
            let message = format!("a value of index {name} is {kind}, not a string");
            return Err(Problem::new(Reason::WrongType, at, message));
        }
        json::unquote(element, pair_value).map_err(|syntax| Problem::json(syntax, at))?;
        check_key(pair_value, "index value", at)
    };
    let walked = json::walk_object(
        value,
        |name| Ok(Some(name)),
        |name, element| {
            if Kind::of(element) == Kind::Array {
                json::walk_array(element, |element| add(&name, element, pairs))
                    .map_err(|stop| Problem::stopped(stop, offset))?;
            } else {
                add(&name, element, pairs)?;
            }
            names.0.push(name);
            Ok(())
        },
    );
    walked.map_err(|stop| Problem::stopped(stop, offset))?;
    match names.twice() {
        None => Ok(()),
        Some(name) => {
            let message = format!("the index {} stands twice", quote(name.as_bytes()));
            Err(Problem::new(Reason::DuplicateKey, offset, message))
        }
    }
}

/// The names of an `index` object.
#[derive(Default)]
struct Names<'a>(Vec<Cow<'a, str>>);

impl Names<'_> {
    /// A name that stands twice. Names in ascending order, as `scan` prints them, are not sorted again.
    fn twice(&mut self) -> Option<&str> {
        if !self.0.is_sorted_by(|one, next| one < next) {
            self.0.sort_unstable();
        }
        self.0.array_windows().find(|[one, next]| one == next).map(|[name, _]| &**name)
    }
}

/// Reads `[["bmFtZQ==","dmFsdWU="],…]`.
fn read_index_base64(value: &str, offset: usize, pairs: &mut Pairs<'_>) -> Result<(), Problem> {
    let shape = |at: usize| {
        Problem::new(Reason::WrongType, at, "index_base64 is an array of [name, value], both base64")
    };
    if Kind::of(value) != Kind::Array {
        return Err(shape(offset));
    }
    let walked = json::walk_array(value, |pair| {
        let pair_at = offset + json::offset_in(value, pair);
        if Kind::of(pair) != Kind::Array {
            return Err(shape(pair_at));
        }
        let (name, content) = pairs.add();
        let mut count = 0;
        let walked = json::walk_array(pair, |part| {
            let part_at = offset + json::offset_in(value, part);
            let (out, what) =
                if count == 0 { (&mut *name, "index name") } else { (&mut *content, "index value") };
            count += 1;
            if count > 2 {
                return Err(shape(part_at));
            }
            read_bytes(part, true, what, part_at, out)?;
            check_key(out, what, part_at)
        });
        walked.map_err(|stop| Problem::stopped(stop, pair_at))?;
        if count == 2 { Ok(()) } else { Err(shape(pair_at)) }
    });
    walked.map_err(|stop| Problem::stopped(stop, offset))
}
