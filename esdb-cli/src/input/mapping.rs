//! Which part of a foreign record becomes which part of the event.

use std::fmt::{self, Display};

use super::errors::{Problem, Reason};
use crate::text::quote;
use crate::times::parser::TimeParser;

/// Where a value is found in a record.
///
/// A FIELD of the command line that begins with `/` is a JSON Pointer (RFC 6901), any other is the name of
/// a top-level key or column, whole, points and all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// The top-level key or column.
    pub(crate) key: Vec<u8>,
    /// Where to go on inside its value.
    pub(crate) inner: Vec<String>,
    written: Vec<u8>,
}

impl Field {
    /// # Errors
    ///
    /// Refuses a JSON Pointer with a `~` that is not `~0` or `~1`, or that is not UTF-8.
    pub(crate) fn parse(written: &[u8]) -> Result<Self, String> {
        let Some(pointer) = written.strip_prefix(b"/") else {
            return Ok(Self { key: written.to_vec(), inner: Vec::new(), written: written.to_vec() });
        };
        let invalid = |reason: &str| format!("{} is not a JSON Pointer: {reason}", quote(written));
        let pointer = std::str::from_utf8(pointer).map_err(|_| invalid("it is not UTF-8"))?;
        let mut tokens = Vec::new();
        for token in pointer.split('/') {
            if token.split('~').skip(1).any(|behind| !behind.starts_with(['0', '1'])) {
                return Err(invalid("after ~ comes 0 or 1"));
            }
            tokens.push(token.replace("~1", "/").replace("~0", "~"));
        }
        let key = tokens.remove(0).into_bytes();
        Ok(Self { key, inner: tokens, written: written.to_vec() })
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quote(&self.written))
    }
}

/// How foreign records become events.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    pub(crate) space: Option<Field>,
    /// Stands in for a space that is absent or null.
    pub(crate) default_space: Option<Vec<u8>>,
    pub(crate) timestamp: Field,
    pub(crate) grouping: Option<Field>,
    /// Index name and field.
    pub(crate) indexes: Vec<(Vec<u8>, Field)>,
    /// The whole record if there is none.
    pub(crate) data: Option<Field>,
    pub(crate) times: TimeParser,
    pub(crate) max_data: usize,
}

impl Mapping {
    /// All fields, with the part of the event that each is for.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'static str, &Field)> {
        let one = |what, field| std::iter::once((what, field));
        one("timestamp", &self.timestamp)
            .chain(self.space.iter().map(|field| ("space", field)))
            .chain(self.grouping.iter().map(|field| ("grouping", field)))
            .chain(self.indexes.iter().map(|(_, field)| ("index", field)))
            .chain(self.data.iter().map(|field| ("data", field)))
    }

    /// Puts the default space into `space`, or says that there is none.
    pub(crate) fn use_default_space(&self, space: &mut Vec<u8>) -> Result<(), Problem> {
        match (&self.default_space, &self.space) {
            (Some(default), _) => {
                space.extend_from_slice(default);
                Ok(())
            }
            (None, Some(field)) => Err(missing("space", field, "; --default-space would stand in")),
            (None, None) => Err(Problem::new(Reason::MissingValue, 0, "no field is named for the space")),
        }
    }
}

/// The problem of a record that has no value for `field`, which the event needs.
pub(crate) fn missing(what: &str, field: &Field, hint: &str) -> Problem {
    Problem::new(Reason::MissingValue, 0, format!("{what}: {field} is absent, null or empty{hint}"))
}

#[cfg(test)]
pub(crate) mod tests {
    use esdb_format::Unit;

    use super::*;

    #[test]
    fn names_are_taken_whole_and_pointers_apart() {
        let parts = |written: &str| {
            let field = Field::parse(written.as_bytes()).expect(written);
            (String::from_utf8(field.key).expect("UTF-8"), field.inner)
        };
        let none: [&str; 0] = [];
        assert_eq!(parts("id.orig_h"), ("id.orig_h".into(), none.map(str::to_owned).to_vec()));
        assert_eq!(parts("a/b~2"), ("a/b~2".into(), none.map(str::to_owned).to_vec()));
        assert_eq!(parts("/a/b/0"), ("a".into(), ["b", "0"].map(str::to_owned).to_vec()));
        assert_eq!(parts("/a~1b/~0~01"), ("a/b".into(), ["~~1"].map(str::to_owned).to_vec()));
        assert_eq!(parts("/"), (String::new(), none.map(str::to_owned).to_vec()));
        assert_eq!(parts("/a//"), ("a".into(), ["", ""].map(str::to_owned).to_vec()));
        for written in ["/~", "/a~2", "/a/b~"] {
            assert!(Field::parse(written.as_bytes()).is_err(), "{written}");
        }
        assert!(Field::parse(b"/\xff").is_err());
        assert!(Field::parse(b"\xff").is_ok());
    }

    pub(crate) fn field(written: &str) -> Field {
        Field::parse(written.as_bytes()).expect(written)
    }

    /// Space `s`, timestamp `t` in seconds, grouping `g`, index `i` from `i`, for a file in `unit`.
    pub(crate) fn mapping(unit: Unit) -> Mapping {
        Mapping {
            space: Some(field("s")),
            default_space: None,
            timestamp: field("t"),
            grouping: Some(field("g")),
            indexes: vec![(b"i".to_vec(), field("i"))],
            data: None,
            times: TimeParser::new(unit).numbers(Some(Unit::Seconds)),
            max_data: 1 << 20,
        }
    }
}
