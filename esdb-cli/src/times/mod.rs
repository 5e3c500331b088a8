//! Times as text: in inputs and on the command line, exact in both.
//!
//! Nothing here goes through a floating-point number and nothing is rounded unless the caller says so.

pub(crate) mod bound;
pub(crate) mod bucket;
mod calendar;
pub(crate) mod decimal;
pub(crate) mod parser;
pub(crate) mod print;
pub(crate) mod rfc3339;

use std::fmt::{self, Display};

use esdb_format::Unit;

use crate::text::quote;

/// A time that can not be had, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimeError {
    pub(crate) kind: TimeErrorKind,
    pub(crate) message: String,
}

/// The ways a time can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeErrorKind {
    /// Not a time in the expected form, or no time of the calendar.
    Unreadable,
    /// Between two ticks of the file's unit.
    TooFine,
    /// Not an `i64` in the file's unit.
    OutOfRange,
    /// A local time, and nobody said of which zone.
    NoZone,
    /// A local time that the zone's clocks skip or show twice.
    UnclearLocal,
}

impl TimeError {
    pub(crate) fn new(kind: TimeErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn too_fine(text: &str, unit: Unit) -> Self {
        let text = quote(text.as_bytes());
        let hint = if unit == Unit::Nanoseconds { "" } else { "; --unit chooses a finer one" };
        let message = format!("{text} is finer than the file's unit {}{hint}", unit.name());
        Self::new(TimeErrorKind::TooFine, message)
    }

    pub(crate) fn out_of_range(text: &str, unit: Unit) -> Self {
        let text = quote(text.as_bytes());
        Self::new(
            TimeErrorKind::OutOfRange,
            format!("{text} is out of range for 64 bits in the file's unit {}", unit.name()),
        )
    }
}

impl Display for TimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TimeError {}

const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// A point in time, nanoseconds since the Unix epoch: wide enough for every `i64` of every unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(i128);

impl Instant {
    /// `nanos` count forwards, also before the epoch.
    pub(crate) fn new(seconds: i64, nanos: u32) -> Self {
        Self(i128::from(seconds) * NANOS_PER_SECOND + i128::from(nanos))
    }

    /// The time the machine's clock shows.
    pub(crate) fn now() -> Self {
        let now = std::time::SystemTime::now();
        match now.duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => Self(after.as_nanos().cast_signed()),
            Err(before) => Self(-before.duration().as_nanos().cast_signed()),
        }
    }

    /// The count of `unit`, if the instant lies on one of its ticks. `text` is what the user wrote.
    pub(crate) fn exactly(self, unit: Unit, text: &str) -> Result<i64, TimeError> {
        let nanos_per_tick = NANOS_PER_SECOND / i128::from(unit.per_second());
        if self.0 % nanos_per_tick != 0 {
            return Err(TimeError::too_fine(text, unit));
        }
        i64::try_from(self.0 / nanos_per_tick).map_err(|_| TimeError::out_of_range(text, unit))
    }

    /// The first tick of `unit` at or after the instant. `text` is what the user wrote.
    pub(crate) fn rounded_up(self, unit: Unit, text: &str) -> Result<i64, TimeError> {
        let nanos_per_tick = NANOS_PER_SECOND / i128::from(unit.per_second());
        let ticks = -(-self.0).div_euclid(nanos_per_tick);
        i64::try_from(ticks).map_err(|_| TimeError::out_of_range(text, unit))
    }
}

/// Reads a unit's short name: `s`, `ms`, `us` or `ns`.
pub(crate) fn parse_unit(text: &str) -> Result<Unit, String> {
    [Unit::Seconds, Unit::Milliseconds, Unit::Microseconds, Unit::Nanoseconds]
        .into_iter()
        .find(|unit| unit.name() == text)
        .ok_or_else(|| "a unit is one of s, ms, us, ns".to_owned())
}

/// How many digits a fraction of a second has in `unit`.
fn digits(unit: Unit) -> i32 {
    match unit {
        Unit::Seconds => 0,
        Unit::Milliseconds => 3,
        Unit::Microseconds => 6,
        Unit::Nanoseconds => 9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_refuses_what_lies_between_ticks() {
        let instant = Instant::new(1, 500_000_000);
        assert_eq!(instant.exactly(Unit::Milliseconds, ""), Ok(1500));
        let error = instant.exactly(Unit::Seconds, "1.5").expect_err("half a second");
        assert_eq!(error.message, "\"1.5\" is finer than the file's unit s; --unit chooses a finer one");
        assert_eq!(Instant::new(-1, 999_000_000).exactly(Unit::Milliseconds, ""), Ok(-1));
    }

    #[test]
    fn rounded_up_is_the_first_tick_not_before() {
        for (seconds, nanos, expected) in
            [(1, 0, 1), (1, 1, 2), (-2, 1, -1), (-2, 0, -2), (-1, 999_999_999, 0)]
        {
            assert_eq!(Instant::new(seconds, nanos).rounded_up(Unit::Seconds, ""), Ok(expected));
        }
    }

    #[test]
    fn the_range_is_that_of_64_bits_in_the_unit() {
        let last = i64::MAX / 1_000_000_000;
        assert_eq!(Instant::new(last, 854_775_807).exactly(Unit::Nanoseconds, ""), Ok(i64::MAX));
        let error = Instant::new(last, 854_775_808).exactly(Unit::Nanoseconds, "T").expect_err("one more");
        assert_eq!(error.kind, TimeErrorKind::OutOfRange);
        assert_eq!(Instant::new(i64::MIN, 0).exactly(Unit::Seconds, ""), Ok(i64::MIN));
    }

    #[test]
    fn units_are_read_by_their_names() {
        assert_eq!(parse_unit("us"), Ok(Unit::Microseconds));
        assert!(parse_unit("sec").is_err());
    }
}
