//! What a conversion found: counts, what was lost and where, what was decided.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use esdb_format::LegacyKind;

/// How many losses, ambiguous names and notes are told one by one.
const MOST_TOLD: usize = 100;

/// A place of an old file that is damaged, and what that costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Where in the old file, in bytes from its start.
    pub bytes: Range<u64>,
    /// Which part it is, what is wrong with it, and what was done.
    pub reason: String,
}

/// An index name under which keys have several colons: where the name ends is not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ambiguity {
    /// The name, as it was taken.
    pub name: Vec<u8>,
    /// One of the values, as it was taken.
    pub value: Vec<u8>,
    /// How many keys were split so, each counted in every space.
    pub keys: u64,
}

/// What became of one old file.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the file is.
    pub kind: LegacyKind,
    /// Bytes of the file.
    pub file_len: u64,
    /// Spaces of which events were brought over.
    pub spaces: u64,
    /// Groupings, each counted in every space.
    pub groupings: u64,
    /// Events that were brought over.
    pub events: u64,
    /// Index entries that were brought over.
    pub index_entries: u64,
    /// Index entries that stood twice for their event.
    pub repeated_entries: u64,
    /// Events that the old reader does not give when their grouping is scanned.
    pub hidden_events: u64,
    /// Index entries that the old reader does not give when their index is scanned, or gives wrong events for.
    pub hidden_entries: u64,
    /// Events that are known to be lost: something tells that they were there.
    pub events_lost: u64,
    /// Index entries that were lost: of a damaged place, or of an event that is not there.
    pub entries_lost: u64,
    /// Spaces whose id is lost: they are called `unknown-1`, `unknown-2`, …, by offset.
    pub unknown_spaces: u64,
    /// Groupings whose timestamps do not descend as stored: they were cut to 32 bits, or are damaged.
    pub unordered_groupings: u64,
    /// The first 100 damaged places.
    pub losses: Vec<Loss>,
    /// How many there are in all.
    pub loss_count: u64,
    /// What was decided about keys with several colons, for the first 100 names.
    pub ambiguities: Vec<Ambiguity>,
    /// Keys with several colons in all.
    pub ambiguous_keys: u64,
    /// Of a stream: whether it was closed.
    pub is_closed: bool,
    /// What is worth knowing and cost nothing: the first 100.
    pub notes: Vec<String>,
}

impl Report {
    /// Whether everything that the file was made of is there, as far as its bytes can tell.
    pub fn is_complete(&self) -> bool {
        self.loss_count == 0
    }
}

/// A report in the making.
pub(crate) struct Account {
    pub(crate) report: Report,
    ambiguities: BTreeMap<Vec<u8>, (Vec<u8>, u64)>,
}

impl Account {
    pub(crate) fn new(kind: LegacyKind, file_len: u64) -> Self {
        let report = Report {
            kind,
            file_len,
            spaces: 0,
            groupings: 0,
            events: 0,
            index_entries: 0,
            repeated_entries: 0,
            hidden_events: 0,
            hidden_entries: 0,
            events_lost: 0,
            entries_lost: 0,
            unknown_spaces: 0,
            unordered_groupings: 0,
            losses: Vec::new(),
            loss_count: 0,
            ambiguities: Vec::new(),
            ambiguous_keys: 0,
            is_closed: false,
            notes: Vec::new(),
        };
        Self { report, ambiguities: BTreeMap::new() }
    }

    /// A damaged place. The reason is made only if it is told.
    pub(crate) fn lose(&mut self, bytes: Range<u64>, reason: impl fmt::Display) {
        self.report.loss_count += 1;
        if self.report.losses.len() < MOST_TOLD {
            self.report.losses.push(Loss { bytes, reason: reason.to_string() });
        }
    }

    /// What is worth knowing and cost nothing.
    pub(crate) fn note(&mut self, note: impl fmt::Display) {
        if self.report.notes.len() < MOST_TOLD {
            self.report.notes.push(note.to_string());
        }
    }

    /// A key with several colons, as it was split.
    pub(crate) fn ambiguous(&mut self, name: &[u8], value: &[u8]) {
        self.report.ambiguous_keys += 1;
        if let Some((_, keys)) = self.ambiguities.get_mut(name) {
            *keys += 1;
        } else if self.ambiguities.len() < MOST_TOLD {
            self.ambiguities.insert(name.to_vec(), (value.to_vec(), 1));
        }
    }

    pub(crate) fn finish(mut self) -> Report {
        let all = self.ambiguities.into_iter();
        self.report.ambiguities = all.map(|(name, (value, keys))| Ambiguity { name, value, keys }).collect();
        self.report
    }
}

/// Shows a name in quotes, cut after some sixty bytes. Control characters are the caller's to escape.
pub(crate) struct Quoted<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 60;
        let shown = self.0.get(..SHOWN).unwrap_or(self.0);
        let ellipsis = if self.0.len() > SHOWN { "…" } else { "" };
        write!(f, "\"{}{ellipsis}\"", String::from_utf8_lossy(shown))
    }
}
