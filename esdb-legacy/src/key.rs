//! Index keys: name, a colon, value. Which colon is not stored.

/// Where keys with several colons are split: behind a name that the user gave, or else at the first colon.
#[derive(Clone, Debug, Default)]
pub(crate) struct Splits {
    /// Longest first.
    names: Vec<Vec<u8>>,
}

/// A key as it is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Split {
    /// Where the colon stands, if there is one.
    pub(crate) colon: Option<usize>,
    /// There are several, and no name of the user decides.
    pub(crate) is_ambiguous: bool,
}

impl Splits {
    pub(crate) fn new(names: &[Vec<u8>]) -> Self {
        let mut names = names.to_vec();
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        Self { names }
    }

    /// Splits `name:value`.
    pub(crate) fn split(&self, key: &[u8]) -> Split {
        let given =
            self.names.iter().find(|name| key.starts_with(name) && key.get(name.len()) == Some(&b':'));
        if let Some(name) = given {
            return Split { colon: Some(name.len()), is_ambiguous: false };
        }
        let colon = memchr::memchr(b':', key);
        let rest = colon.and_then(|colon| key.get(colon + 1..)).unwrap_or_default();
        Split { colon, is_ambiguous: memchr::memchr(b':', rest).is_some() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_split_at_the_first_colon_or_behind_a_given_name() {
        let split = |names: &[&str], key: &str| {
            let names: Vec<Vec<u8>> = names.iter().map(|name| name.as_bytes().to_vec()).collect();
            let found = Splits::new(&names).split(key.as_bytes());
            (found.colon, found.is_ambiguous)
        };
        assert_eq!(split(&[], "a:b"), (Some(1), false));
        assert_eq!(split(&[], ":"), (Some(0), false));
        assert_eq!(split(&[], "ab"), (None, false));
        assert_eq!(split(&[], "a:b:c"), (Some(1), true));
        assert_eq!(split(&["a:b"], "a:b:c"), (Some(3), false));
        assert_eq!(split(&["a:b"], "a:bc:d"), (Some(1), true));
        assert_eq!(split(&["a", "a:b"], "a:b:c:d"), (Some(3), false));
    }
}
