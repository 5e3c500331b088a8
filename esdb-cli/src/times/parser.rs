//! Timestamps of inputs, as the flags `--timestamp-format`, `--timezone`, `--timestamp-unit` and `--unit` say.

use esdb_format::Unit;
use jiff::civil::DateTime;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::decimal::{self, DecimalError};
use super::{Instant, TimeError, TimeErrorKind, digits, rfc3339};
use crate::text::quote;

/// Turns the numbers and texts of one input into timestamps in the file's unit.
#[derive(Clone, Debug)]
pub(crate) struct TimeParser {
    unit: Unit,
    numbers: Option<Unit>,
    format: Option<String>,
    zone: Option<TimeZone>,
    /// Whether errors may name the flags that would help.
    hints: bool,
}

impl TimeParser {
    /// Reads RFC 3339 texts with an offset, for a file in `unit`.
    pub(crate) fn new(unit: Unit) -> Self {
        Self { unit, numbers: None, format: None, zone: None, hints: true }
    }

    /// Names no flags in errors, for input that flags do not apply to.
    pub(crate) fn without_hints(self) -> Self {
        Self { hints: false, ..self }
    }

    /// Accepts epoch numbers, counted in `unit`.
    pub(crate) fn numbers(self, unit: Option<Unit>) -> Self {
        Self { numbers: unit, ..self }
    }

    /// Reads texts by a strptime format; `rfc3339` is the default.
    ///
    /// # Errors
    ///
    /// Refuses a format that does not describe a whole date.
    pub(crate) fn format(self, format: Option<&str>) -> Result<Self, String> {
        match format {
            None | Some("rfc3339") => Ok(Self { format: None, ..self }),
            Some(format) => {
                check_format(format)?;
                Ok(Self { format: Some(format.to_owned()), ..self })
            }
        }
    }

    /// Takes times without an offset as local times of the IANA zone `name`, or `UTC`.
    ///
    /// # Errors
    ///
    /// Refuses a name that no zone has.
    pub(crate) fn zone(self, name: Option<&str>) -> Result<Self, String> {
        let zone = match name {
            None => None,
            Some("UTC") => Some(TimeZone::UTC),
            Some(name) => Some(zone_named(name)?),
        };
        Ok(Self { zone, ..self })
    }

    /// A JSON number, or a text that is to be one.
    pub(crate) fn number(&self, text: &str) -> Result<i64, TimeError> {
        let Some(unit) = self.numbers else {
            return Err(TimeError::new(
                TimeErrorKind::Unreadable,
                format!("{} is a number: say its unit with --timestamp-unit", quote(text.as_bytes())),
            ));
        };
        decimal::shifted(text, digits(self.unit) - digits(unit))
            .map_err(|error| number_error(error, text, self.unit))
    }

    /// A text: a number if `--timestamp-unit` is given and it looks like one, else a date and time.
    pub(crate) fn text(&self, text: &str) -> Result<i64, TimeError> {
        if self.numbers.is_some() && looks_like_a_number(text) {
            return self.number(text);
        }
        let (local, fraction, offset) = match &self.format {
            Some(format) => match read_format(format, text)? {
                Read::Instant(instant) => return instant.exactly(self.unit, text),
                Read::Local(local, offset) => (local, local.subsec_nanosecond().unsigned_abs(), offset),
            },
            None => {
                let written = rfc3339::parse(text).map_err(|reason| self.not_rfc3339(text, reason))?;
                let (nanos, whole) = rfc3339::nanos_of(written.fraction);
                if !whole {
                    return Err(TimeError::too_fine(text, self.unit));
                }
                (written.local, nanos, written.offset)
            }
        };
        let offset = match offset {
            Some(offset) => offset,
            None => self.local_offset(local, text)?,
        };
        let seconds = rfc3339::seconds_of(local);
        Instant::new(seconds - i64::from(offset), fraction).exactly(self.unit, text)
    }

    /// Seconds east of UTC of a local time in the zone that `--timezone` names.
    fn local_offset(&self, local: DateTime, text: &str) -> Result<i32, TimeError> {
        let Some(zone) = &self.zone else {
            let hint =
                if self.hints { ": name its zone with --timezone" } else { ": end it with Z or +01:00" };
            let message = format!("{} has no offset from UTC{hint}", quote(text.as_bytes()));
            return Err(TimeError::new(TimeErrorKind::NoZone, message));
        };
        let unclear = |what: &str| {
            let zone = zone.iana_name().unwrap_or("the zone");
            TimeError::new(
                TimeErrorKind::UnclearLocal,
                format!("{} {what} in {zone}", quote(text.as_bytes())),
            )
        };
        match zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => Ok(offset.seconds()),
            AmbiguousOffset::Gap { .. } => Err(unclear("is skipped by the clocks")),
            AmbiguousOffset::Fold { .. } => Err(unclear("happens twice")),
        }
    }

    fn not_rfc3339(&self, text: &str, reason: &str) -> TimeError {
        let hint = match self.numbers {
            None if self.hints && looks_like_a_number(text) => "; a number needs --timestamp-unit",
            _ if self.hints => "; --timestamp-format describes another form",
            _ => "",
        };
        TimeError::new(
            TimeErrorKind::Unreadable,
            format!("{} is not an RFC 3339 time: {reason}{hint}", quote(text.as_bytes())),
        )
    }
}

/// A message for a number that is not a timestamp.
pub(crate) fn number_error(error: DecimalError, text: &str, unit: Unit) -> TimeError {
    let shown = quote(text.as_bytes());
    match error {
        DecimalError::Syntax => TimeError::new(TimeErrorKind::Unreadable, format!("{shown} is not a number")),
        DecimalError::NegativeZero => {
            TimeError::new(TimeErrorKind::Unreadable, format!("{shown} is no integer: write 0"))
        }
        DecimalError::TooFine => TimeError::too_fine(text, unit),
        DecimalError::OutOfRange => TimeError::out_of_range(text, unit),
    }
}

fn zone_named(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| {
        format!(
            "there is no time zone {}: write UTC or an IANA name such as Europe/Berlin",
            quote(name.as_bytes())
        )
    })
}

/// Digits with what belongs to a decimal number. No date with a time of day looks so.
fn looks_like_a_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
}

/// What a format found in a text.
enum Read {
    Instant(Instant),
    Local(DateTime, Option<i32>),
}

fn read_format(format: &str, text: &str) -> Result<Read, TimeError> {
    let unreadable = |reason: &dyn std::fmt::Display| {
        TimeError::new(
            TimeErrorKind::Unreadable,
            format!("{} does not match {}: {reason}", quote(text.as_bytes()), quote(format.as_bytes())),
        )
    };
    let found = strtime::parse(format, text).map_err(|error| unreadable(&error))?;
    if found.second() == Some(59) && second_is_60(format, text) {
        return Err(unreadable(&"a leap second (second 60) has no timestamp"));
    }
    if let Some(timestamp) = found.timestamp() {
        return Ok(Read::Instant(Instant::new(timestamp.as_second(), 0)));
    }
    let local = found.to_datetime().map_err(|error| unreadable(&error))?;
    let offset = match (found.offset(), found.iana_time_zone()) {
        (Some(offset), _) => Some(offset.seconds()),
        (None, Some(name)) => {
            let zone = zone_named(name).map_err(|reason| unreadable(&reason))?;
            let parser = TimeParser { zone: Some(zone), ..TimeParser::new(Unit::Nanoseconds) };
            Some(parser.local_offset(local, text)?)
        }
        (None, None) => None,
    };
    Ok(Read::Local(local, offset))
}

/// Whether the 59 that the format found for the second stands as 60 in `text`.
///
/// The format's parser takes a leap second for the second before it and does not say so. Where the text has
/// 58 in place of the same digits, it finds 58.
fn second_is_60(format: &str, text: &str) -> bool {
    text.match_indices("60").any(|(at, _)| {
        let mut changed = text.to_owned();
        changed.replace_range(at..at + 2, "58");
        strtime::parse(format, &changed).is_ok_and(|found| found.second() == Some(58))
    })
}

/// Refuses a format that can not be read back or lacks a date.
fn check_format(format: &str) -> Result<(), String> {
    let shown = quote(format.as_bytes());
    let sample = jiff::civil::date(2001, 2, 3).at(4, 5, 6, 789_000_000).to_zoned(TimeZone::UTC);
    let sample = sample.map_err(|error| error.to_string())?;
    let read_back = |format: &str| -> Result<BrokenDownTime, jiff::Error> {
        strtime::parse(format, strtime::format(format, &sample)?)
    };
    let found =
        read_back(format).map_err(|error| format!("{shown} can not be used to read times: {error}"))?;
    // Behind a negative %s it would be unclear which way a fraction counts.
    if found.timestamp().is_some() && found.subsec_nanosecond().is_some() {
        return Err(format!("{shown}: --timestamp-unit s reads seconds with a fraction"));
    }
    if found.timestamp().is_none() && found.to_datetime().is_err() {
        return Err(format!("{shown} does not say a whole date: a year, a month and a day, or %s"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use TimeErrorKind::{NoZone, OutOfRange, TooFine, UnclearLocal, Unreadable};

    fn kinds(result: Result<i64, TimeError>) -> Result<i64, TimeErrorKind> {
        result.map_err(|error| error.kind)
    }

    #[test]
    fn texts_are_rfc3339_and_never_rounded() {
        let ms = TimeParser::new(Unit::Milliseconds);
        let cases = [
            ("2014-06-23T15:08:39Z", Ok(1_403_536_119_000)),
            ("2014-06-23T15:08:39.5Z", Ok(1_403_536_119_500)),
            ("2014-06-23T15:08:39.123000000000Z", Ok(1_403_536_119_123)),
            ("1969-12-31T23:59:59.999Z", Ok(-1)),
            ("2014-06-23T15:08:39.1234Z", Err(TooFine)),
            ("2014-06-23T15:08:39.0000000000001Z", Err(TooFine)),
            ("2014-06-23T15:08:39", Err(NoZone)),
            ("2016-12-31T23:59:60Z", Err(Unreadable)),
            ("1403536119", Err(Unreadable)),
            ("", Err(Unreadable)),
        ];
        for (text, expected) in cases {
            assert_eq!(kinds(ms.text(text)), expected, "{text}");
        }
        let ns = TimeParser::new(Unit::Nanoseconds);
        assert_eq!(kinds(ns.text("2262-04-11T23:47:16.854775807Z")), Ok(i64::MAX));
        assert_eq!(kinds(ns.text("2262-04-11T23:47:16.854775808Z")), Err(OutOfRange));
        assert_eq!(kinds(ns.text("1677-09-21T00:12:43.145224192Z")), Ok(i64::MIN));
        assert_eq!(kinds(ns.text("1677-09-21T00:12:43.145224191Z")), Err(OutOfRange));
    }

    #[test]
    fn a_zone_makes_local_times_instants_where_the_clocks_are_clear() {
        let berlin = TimeParser::new(Unit::Seconds).zone(Some("Europe/Berlin")).expect("zone");
        let cases = [
            ("2015-01-01T01:00:00", Ok(1_420_070_400)),
            ("2015-07-01 02:00:00", Ok(1_435_708_800)),
            ("2015-07-01T00:00:00Z", Ok(1_435_708_800)),
            ("2015-03-29T02:30:00", Err(UnclearLocal)),
            ("2015-10-25T02:30:00", Err(UnclearLocal)),
            ("2015-10-25T02:30:00+01:00", Ok(1_445_736_600)),
        ];
        for (text, expected) in cases {
            assert_eq!(kinds(berlin.text(text)), expected, "{text}");
        }
        let gap = berlin.text("2015-03-29T02:30:00").expect_err("gap").message;
        assert_eq!(gap, "\"2015-03-29T02:30:00\" is skipped by the clocks in Europe/Berlin");
        let missing = TimeParser::new(Unit::Seconds).text("2015-01-01T01:00:00").expect_err("zone").message;
        assert!(missing.ends_with("name its zone with --timezone"), "{missing}");
        assert!(TimeParser::new(Unit::Seconds).zone(Some("Mars/Olympus")).is_err());
    }

    #[test]
    fn formats_are_strptime() {
        let cases = [
            ("%Y-%m-%d", None, "2014-01-31", Err(NoZone)),
            ("%Y-%m-%d", Some("UTC"), "2014-01-31", Ok(1_391_126_400_000)),
            ("%m/%d/%Y %H:%M", Some("UTC"), "12/1/2010 8:26", Ok(1_291_191_960_000)),
            ("%Y-%m-%dT%H:%M:%S%.f%z", None, "2018-03-23T17:51:47.805000-0600", Ok(1_521_849_107_805)),
            ("%Y-%m-%dT%H:%M:%S%.f%z", None, "2018-03-23T17:51:47.805001-0600", Err(TooFine)),
            ("%d/%b/%Y:%H:%M:%S %z", None, "10/Oct/2000:13:55:36 -0700", Ok(971_211_336_000)),
            ("%s", None, "1403536119", Ok(1_403_536_119_000)),
            ("%Y-%m-%d %H:%M:%S", Some("UTC"), "2016-12-31 23:59:60", Err(Unreadable)),
            ("%Y-%m-%d %H:%M:%S", Some("UTC"), "1960-12-31 23:59:59", Ok(-283_996_801_000)),
            ("%Y-%m-%d %H:%M:%S", Some("UTC"), "2016-12-31 23:59", Err(Unreadable)),
            ("%Y-%m-%d %H:%M:%S%.f", Some("UTC"), "1969-12-31 23:59:59.999", Ok(-1)),
            ("%Y-%m-%d", Some("UTC"), "2014-02-30", Err(Unreadable)),
            ("%Y-%m-%d", Some("UTC"), "2014-02-03x", Err(Unreadable)),
            ("%Y-%m-%d %H:%M %Q", None, "2015-10-25 02:30 Europe/Berlin", Err(UnclearLocal)),
            ("%Y-%m-%d %H:%M %Q", None, "2015-01-01 01:00 Europe/Berlin", Ok(1_420_070_400_000)),
        ];
        for (format, zone, text, expected) in cases {
            let parser = TimeParser::new(Unit::Milliseconds);
            let parser = parser.format(Some(format)).and_then(|parser| parser.zone(zone)).expect(format);
            assert_eq!(kinds(parser.text(text)), expected, "{text} by {format}");
        }
    }

    #[test]
    fn formats_that_give_no_instant_are_refused_beforehand() {
        for format in ["%H:%M:%S", "%m-%d", "%Y", "plain", "%", "%E", "%Z", "%s%.f", ""] {
            assert!(TimeParser::new(Unit::Seconds).format(Some(format)).is_err(), "{format}");
        }
    }

    #[test]
    fn numbers_need_their_unit() {
        let ms = TimeParser::new(Unit::Milliseconds);
        assert_eq!(kinds(ms.number("5")), Err(Unreadable));
        let seconds = ms.numbers(Some(Unit::Seconds));
        let cases = [
            ("1521911720.865", Ok(1_521_911_720_865)),
            ("1521911720.865716", Err(TooFine)),
            ("-1", Ok(-1000)),
            ("-0", Err(Unreadable)),
            ("9223372036854775807", Err(OutOfRange)),
        ];
        for (text, expected) in cases {
            assert_eq!(kinds(seconds.number(text)), expected, "{text}");
            assert_eq!(kinds(seconds.text(text)), expected, "{text}");
        }
        assert_eq!(kinds(seconds.text("2014-06-23T15:08:39Z")), Ok(1_403_536_119_000));
        assert_eq!(kinds(seconds.text("abc")), Err(Unreadable));
        let to_seconds = TimeParser::new(Unit::Seconds).numbers(Some(Unit::Milliseconds));
        assert_eq!(kinds(to_seconds.number("5000")), Ok(5));
        assert_eq!(kinds(to_seconds.number("5001")), Err(TooFine));
    }
}
