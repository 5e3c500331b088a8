//! What an event is: the value users store, borrowed or owned.

use std::borrow::Cow;
use std::cmp::Ordering;

/// An event to be written: borrowed space, grouping, indexes and data.
///
/// ```
/// use esdb_format::Event;
///
/// let event = Event::new("customer-1", 1_403_534_919, br#"{"url":"/"}"#).index("type", "page");
/// assert_eq!(event.grouping, b"");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event<'a> {
    /// Whose history this is; at most 65,535 bytes.
    pub space: &'a [u8],
    /// How the event is clustered inside its space; at most 65,535 bytes, may be empty.
    pub grouping: &'a [u8],
    /// In the file's unit since the Unix epoch.
    pub timestamp: i64,
    /// Pairs of name and value, each at most 65,535 bytes, in any order. A pair given twice counts once.
    pub indexes: Vec<(&'a [u8], &'a [u8])>,
    /// Opaque; at most 1 GiB − 1, may be empty.
    pub data: &'a [u8],
}

impl<'a> Event<'a> {
    /// Makes an event with an empty grouping and no indexes. `timestamp` is in the file's unit.
    pub fn new(
        space: &'a (impl AsRef<[u8]> + ?Sized),
        timestamp: i64,
        data: &'a (impl AsRef<[u8]> + ?Sized),
    ) -> Self {
        Self { space: space.as_ref(), timestamp, data: data.as_ref(), ..Self::default() }
    }

    /// Sets the grouping.
    #[must_use]
    pub fn grouping(mut self, grouping: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.grouping = grouping.as_ref();
        self
    }

    /// Adds one index pair. A name may be given several values.
    #[must_use]
    pub fn index(
        mut self,
        name: &'a (impl AsRef<[u8]> + ?Sized),
        value: &'a (impl AsRef<[u8]> + ?Sized),
    ) -> Self {
        self.indexes.push((name.as_ref(), value.as_ref()));
        self
    }
}

impl<'a> From<Event<'a>> for Cow<'_, Event<'a>> {
    fn from(event: Event<'a>) -> Self {
        Self::Owned(event)
    }
}

impl<'e, 'a> From<&'e Event<'a>> for Cow<'e, Event<'a>> {
    fn from(event: &'e Event<'a>) -> Self {
        Self::Borrowed(event)
    }
}

/// An event that owns its bytes. `indexes` are in the order given, or sorted if read from a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventBuf {
    /// Whose history this is.
    pub space: Vec<u8>,
    /// How the event is clustered inside its space.
    pub grouping: Vec<u8>,
    /// In the file's unit since the Unix epoch.
    pub timestamp: i64,
    /// Pairs of name and value.
    pub indexes: Vec<(Vec<u8>, Vec<u8>)>,
    /// Opaque.
    pub data: Vec<u8>,
}

impl EventBuf {
    /// The same event, borrowed. Allocates the list of index pairs, nothing else.
    pub fn as_event(&self) -> Event<'_> {
        Event {
            space: &self.space,
            grouping: &self.grouping,
            timestamp: self.timestamp,
            indexes: self.indexes.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect(),
            data: &self.data,
        }
    }

    /// Compares by file order: space, grouping, timestamp (spec §2). Arrival is the caller's to keep.
    pub fn cmp_file_order(&self, other: &Self) -> Ordering {
        (&self.space, &self.grouping, self.timestamp).cmp(&(&other.space, &other.grouping, other.timestamp))
    }
}

impl From<Event<'_>> for EventBuf {
    fn from(event: Event<'_>) -> Self {
        Self {
            space: event.space.to_vec(),
            grouping: event.grouping.to_vec(),
            timestamp: event.timestamp,
            indexes: event.indexes.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
            data: event.data.to_vec(),
        }
    }
}
