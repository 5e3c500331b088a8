//! The unit of a file's timestamps.

/// The unit of every timestamp in a file, counted from the Unix epoch (spec §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds, the default.
    #[default]
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Nanoseconds.
    Nanoseconds,
}

impl Unit {
    /// How many of this unit make a second.
    pub fn per_second(self) -> i64 {
        match self {
            Self::Seconds => 1,
            Self::Milliseconds => 1_000,
            Self::Microseconds => 1_000_000,
            Self::Nanoseconds => 1_000_000_000,
        }
    }

    /// The short name used on command lines and in reports: `s`, `ms`, `us` or `ns`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Microseconds => "us",
            Self::Nanoseconds => "ns",
        }
    }

    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Seconds => 0,
            Self::Milliseconds => 1,
            Self::Microseconds => 2,
            Self::Nanoseconds => 3,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Seconds),
            1 => Some(Self::Milliseconds),
            2 => Some(Self::Microseconds),
            3 => Some(Self::Nanoseconds),
            _ => None,
        }
    }
}
