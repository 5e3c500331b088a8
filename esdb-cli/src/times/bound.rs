//! Times on the command line: the bounds of `--since` and `--until`.

use std::str::FromStr;

use esdb_format::Unit;

use super::decimal::{self, DecimalError};
use super::{Instant, TimeError, TimeErrorKind, rfc3339};

/// A bound as it was written, read before the file and its unit are known.
///
/// RFC 3339 (`2026-01-31T12:00:00Z`), a date or a month (`2026-01-31`, `2026-01`: its start in UTC), a bare
/// number in the file's unit, `@SECONDS[.FRACTION]` since the epoch, or a span before now (`-7d`; also `w`, `h`, `m`, `s`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimeArg {
    text: String,
    meaning: Meaning,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Meaning {
    Count(i64),
    Instant(Instant),
    /// Seconds before now.
    Ago(i64),
}

impl TimeArg {
    /// The timestamp in `unit`. A bound between two ticks moves up to the later one: the events at or after
    /// it, and those before it, stay the same.
    pub(crate) fn resolve(&self, unit: Unit, now: Instant) -> Result<i64, TimeError> {
        match self.meaning {
            Meaning::Count(count) => Ok(count),
            Meaning::Instant(instant) => instant.rounded_up(unit, &self.text),
            Meaning::Ago(seconds) => Instant(now.0 - Instant::new(seconds, 0).0).rounded_up(unit, &self.text),
        }
    }
}

impl FromStr for TimeArg {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let unreadable = |reason: &str| {
            TimeError::new(
                TimeErrorKind::Unreadable,
                format!(
                    "{reason}; a time is 2026-01-31T12:00:00Z, 2026-01-31, a number in the file's unit, @SECONDS or -7d"
                ),
            )
        };
        let meaning = if let Some(seconds) = text.strip_prefix('@') {
            Meaning::Instant(parse_seconds(seconds).ok_or_else(|| unreadable("@ takes seconds since 1970"))?)
        } else if let Some(span) =
            text.strip_prefix('-').filter(|span| span.ends_with(|end: char| end.is_alphabetic()))
        {
            Meaning::Ago(
                parse_span(span).ok_or_else(|| unreadable("a span is a number and w, d, h, m or s"))?,
            )
        } else {
            match decimal::integer(text) {
                Ok(count) => Meaning::Count(count),
                Err(DecimalError::OutOfRange) => return Err(unreadable("the number does not fit 64 bits")),
                Err(_) => Meaning::Instant(parse_calendar(text).map_err(unreadable)?),
            }
        };
        Ok(Self { text: text.to_owned(), meaning })
    }
}

fn parse_calendar(text: &str) -> Result<Instant, &'static str> {
    if let Ok(day) = rfc3339::parse_date(text).or_else(|_| rfc3339::parse_month(text)) {
        return Ok(Instant::new(rfc3339::seconds_of(day), 0));
    }
    let written = rfc3339::parse(text)?;
    let offset = written.offset.ok_or("a time needs Z or an offset such as +01:00")?;
    let seconds = rfc3339::seconds_of(written.local) - i64::from(offset);
    Ok(at(seconds, written.fraction))
}

/// `seconds` and a fraction. What is finer than a nanosecond moves up to the next one.
fn at(seconds: i64, fraction: &str) -> Instant {
    let (nanos, whole) = rfc3339::nanos_of(fraction);
    Instant(Instant::new(seconds, nanos).0 + i128::from(!whole))
}

fn parse_seconds(text: &str) -> Option<Instant> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Behind a minus the fraction counts backwards: @-0.5 is half a second before the epoch.
    if let Some(digits) = whole.strip_prefix('-') {
        let seconds = decimal::integer(digits).ok().filter(|seconds| *seconds >= 0)?;
        let (nanos, _) = rfc3339::nanos_of(fraction);
        return Some(Instant(-Instant::new(seconds, nanos).0));
    }
    Some(at(decimal::integer(whole).ok()?, fraction))
}

/// Reads `7d` as seconds.
fn parse_span(text: &str) -> Option<i64> {
    let (count, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "w" => 7 * 86_400,
        "d" => 86_400,
        "h" => 3_600,
        "m" => 60,
        "s" => 1,
        _ => return None,
    };
    decimal::integer(count).ok().filter(|count| *count >= 0)?.checked_mul(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_500_000_000;

    fn resolve(text: &str, unit: Unit) -> Result<i64, TimeErrorKind> {
        let bound: TimeArg = text.parse().map_err(|error: TimeError| error.kind)?;
        bound.resolve(unit, Instant::new(NOW, 0)).map_err(|error| error.kind)
    }

    #[test]
    fn every_form_means_what_it_says() {
        let cases = [
            ("2026-01-31T12:00:00Z", 1_769_860_800_000),
            ("2026-01-31T12:00:00+01:00", 1_769_857_200_000),
            ("2026-01-31", 1_769_817_600_000),
            ("2026-01", 1_767_225_600_000),
            ("1403534919", 1_403_534_919),
            ("-45", -45),
            ("0", 0),
            ("@1403534919", 1_403_534_919_000),
            ("@1403534919.5", 1_403_534_919_500),
            ("@-1", -1_000),
            ("@-0.5", -500),
            ("-7d", (NOW - 7 * 86_400) * 1000),
            ("-2w", (NOW - 14 * 86_400) * 1000),
            ("-2h", (NOW - 7_200) * 1000),
            ("-30m", (NOW - 1_800) * 1000),
            ("-45s", (NOW - 45) * 1000),
        ];
        for (text, expected) in cases {
            assert_eq!(resolve(text, Unit::Milliseconds), Ok(expected), "{text}");
        }
    }

    #[test]
    fn bounds_between_ticks_move_up() {
        assert_eq!(resolve("2026-01-31T12:00:00.001Z", Unit::Seconds), Ok(1_769_860_801));
        assert_eq!(resolve("@1.0000000000001", Unit::Nanoseconds), Ok(1_000_000_001));
        assert_eq!(resolve("@-1.5", Unit::Seconds), Ok(-1));
        assert_eq!(resolve("@-1.0000000000001", Unit::Nanoseconds), Ok(-1_000_000_000));
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "-",
            "@",
            "@1.",
            "@.5",
            "@--1",
            "@1e3",
            "yesterday",
            "-7x",
            "-d",
            "--7d",
            "-7.5d",
            "1.5",
            "+7d",
            "7d",
            "2026-01-31T12:00:00",
            "2026-13-01",
            "2026-13",
            "2026-1",
            "9223372036854775808",
            "-99999999999999999999s",
            "-ä",
        ] {
            assert_eq!(resolve(text, Unit::Seconds), Err(TimeErrorKind::Unreadable), "{text}");
        }
        assert_eq!(resolve("9999-12-31", Unit::Nanoseconds), Err(TimeErrorKind::OutOfRange));
        assert_eq!(resolve("9999-12-31", Unit::Microseconds), Ok(253_402_214_400_000_000));
    }

    #[test]
    fn bounds_are_flags_that_may_begin_with_a_hyphen() {
        let flag = clap::Arg::new("since").long("since").allow_hyphen_values(true);
        let command = clap::Command::new("scan").arg(flag.value_parser(clap::value_parser!(TimeArg)));
        let found = command.clone().try_get_matches_from(["scan", "--since", "-7d"]).expect("a span");
        assert_eq!(found.get_one::<TimeArg>("since"), Some(&"-7d".parse().expect("a span")));
        let refused =
            command.try_get_matches_from(["scan", "--since", "-7y"]).expect_err("years").to_string();
        assert!(refused.contains("a span is a number and w, d, h, m or s; a time is"), "{refused}");
    }
}
