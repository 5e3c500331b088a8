//! RFC 3339 text: `2026-01-31T12:00:00.5+01:00`.
//!
//! Years are 0000 to 9999. A blank may stand for the `T`, as the RFC allows. The offset may be missing, for
//! callers that know the zone. A leap second is refused: no count of seconds since the epoch can say it.

use jiff::civil::{Date, DateTime, date};

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);

/// A time as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written<'a> {
    /// Calendar and clock, in whole seconds.
    pub(crate) local: DateTime,
    /// The digits behind the point.
    pub(crate) fraction: &'a str,
    /// Seconds east of UTC.
    pub(crate) offset: Option<i32>,
}

/// Reads a date and a time of day.
pub(crate) fn parse(text: &str) -> Result<Written<'_>, &'static str> {
    let mut rest = text;
    let day = take_date(&mut rest)?;
    if !eat(&mut rest, &['T', 't', ' ']) {
        return Err("a T and the time of day must follow the date");
    }
    let hour = take_number(&mut rest, 2).ok_or("the hour must have two digits")?;
    let colon = eat(&mut rest, &[':']);
    let minute = take_number(&mut rest, 2).filter(|_| colon).ok_or("the minute must have two digits")?;
    let colon = eat(&mut rest, &[':']);
    let second = take_number(&mut rest, 2).filter(|_| colon).ok_or("the second must have two digits")?;
    let fraction = if eat(&mut rest, &['.']) { take_digits(&mut rest) } else { Some("") };
    let fraction = fraction.ok_or("digits must follow the point")?;
    let offset = take_offset(&mut rest)?;
    if !rest.is_empty() {
        return Err("the time must end with Z or an offset such as +01:00");
    }
    if second == 60 {
        return Err("a leap second (second 60) has no timestamp");
    }
    let [hour, minute, second] = [hour, minute, second].map(|part| i8::try_from(part).unwrap_or(i8::MAX));
    let time = jiff::civil::Time::new(hour, minute, second, 0).map_err(|_| "there is no such time of day")?;
    Ok(Written { local: day.to_datetime(time), fraction, offset })
}

/// Reads a date without a time of day.
pub(crate) fn parse_date(text: &str) -> Result<DateTime, &'static str> {
    let mut rest = text;
    let day = take_date(&mut rest)?;
    if rest.is_empty() { Ok(day.at(0, 0, 0, 0)) } else { Err("nothing may follow the date") }
}

/// Reads a month, `2026-01`, as its first day.
pub(crate) fn parse_month(text: &str) -> Result<DateTime, &'static str> {
    parse_date(&format!("{text}-01"))
}

/// Whole seconds from the epoch to `local` as UTC, rounded down.
pub(crate) fn seconds_of(local: DateTime) -> i64 {
    let since = local.duration_since(EPOCH);
    since.as_secs() - i64::from(since.subsec_nanos() < 0)
}

/// Nanoseconds of a fraction's digits, and whether that is all of it.
pub(crate) fn nanos_of(fraction: &str) -> (u32, bool) {
    let digit = |at: usize| fraction.as_bytes().get(at).map_or(0, |byte| u32::from(byte - b'0'));
    let nanos = (0..9).fold(0, |nanos, at| nanos * 10 + digit(at));
    (nanos, fraction.bytes().skip(9).all(|byte| byte == b'0'))
}

fn take_date(rest: &mut &str) -> Result<Date, &'static str> {
    const SHAPE: &str = "it does not begin with a date such as 2026-01-31";
    let year = take_number(rest, 4).ok_or(SHAPE)?;
    let hyphen = eat(rest, &['-']);
    let month = take_number(rest, 2).filter(|_| hyphen).ok_or(SHAPE)?;
    let hyphen = eat(rest, &['-']);
    let day = take_number(rest, 2).filter(|_| hyphen).ok_or(SHAPE)?;
    let [month, day] = [month, day].map(|part| i8::try_from(part).unwrap_or(i8::MAX));
    Date::new(year, month, day).map_err(|_| "there is no such day")
}

fn take_offset(rest: &mut &str) -> Result<Option<i32>, &'static str> {
    const SHAPE: &str = "an offset is Z, or hours and minutes such as +01:00";
    if eat(rest, &['Z', 'z']) {
        return Ok(Some(0));
    }
    let sign = if eat(rest, &['+']) {
        1
    } else if eat(rest, &['-']) {
        -1
    } else {
        return Ok(None);
    };
    let hours = take_number(rest, 2).filter(|hours| *hours < 24).ok_or(SHAPE)?;
    let colon = eat(rest, &[':']);
    let minutes = take_number(rest, 2).filter(|minutes| colon && *minutes < 60).ok_or(SHAPE)?;
    Ok(Some(sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60)))
}

/// Takes one of `characters`, if one is next.
fn eat(rest: &mut &str, characters: &[char]) -> bool {
    match rest.strip_prefix(characters) {
        Some(behind) => {
            *rest = behind;
            true
        }
        None => false,
    }
}

/// Takes a number of exactly `width` digits, or nothing.
fn take_number(rest: &mut &str, width: usize) -> Option<i16> {
    let (head, behind) = rest.split_at_checked(width)?;
    if !head.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    *rest = behind;
    head.parse().ok()
}

/// Takes the digits that are next, at least one.
fn take_digits<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let len = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, behind) = rest.split_at_checked(len).filter(|_| len > 0)?;
    *rest = behind;
    Some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Result<i64, &'static str> {
        let written = parse(text)?;
        Ok(seconds_of(written.local) - i64::from(written.offset.unwrap_or(0)))
    }

    #[test]
    fn reads_what_the_rfc_allows() {
        let cases = [
            ("1970-01-01T00:00:00Z", 0),
            ("2014-06-23T15:08:39z", 1_403_536_119),
            ("2014-06-23 15:08:39Z", 1_403_536_119),
            ("2014-06-23t17:08:39+02:00", 1_403_536_119),
            ("2014-06-23T10:38:39-04:30", 1_403_536_119),
            ("1970-01-01T00:00:00-00:00", 0),
            ("1969-12-31T23:59:59Z", -1),
            ("0000-01-01T00:00:00Z", -62_167_219_200),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
            ("9999-12-31T23:59:59-23:59", 253_402_387_139),
            ("2016-02-29T00:00:00Z", 1_456_704_000),
        ];
        for (text, expected) in cases {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_would_need_a_guess() {
        for text in [
            "",
            "abc",
            "1403534919",
            "2014-06-23",
            "2014-6-23T15:08:39Z",
            "14-06-23T15:08:39Z",
            "10000-01-01T00:00:00Z",
            "-0001-01-01T00:00:00Z",
            "2015-02-29T00:00:00Z",
            "2015-00-10T00:00:00Z",
            "2014-06-23T24:00:00Z",
            "2014-06-23T15:60:00Z",
            "2016-12-31T23:59:60Z",
            "2014-06-23T15:08Z",
            "2014-06-23T15:08:39.Z",
            "2014-06-23T15:08:39,5Z",
            "2014-06-23T15:08:39+0200",
            "2014-06-23T15:08:39+02",
            "2014-06-23T15:08:39+24:00",
            "2014-06-23T15:08:39Z ",
            " 2014-06-23T15:08:39Z",
            "2014-06-23T15:08:39Z[UTC]",
            "2014-06-23T15:08:3é",
            "２014-06-23T15:08:39Z",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("2016-12-31T23:59:60Z"), Err("a leap second (second 60) has no timestamp"));
    }

    #[test]
    fn fraction_and_offset_are_told_apart_from_none() {
        let written = parse("2014-06-23T15:08:39.0123456789").expect("no offset");
        assert_eq!((written.fraction, written.offset), ("0123456789", None));
        assert_eq!(nanos_of(written.fraction), (12_345_678, false));
        assert_eq!(nanos_of("5"), (500_000_000, true));
        assert_eq!(nanos_of("123456789000"), (123_456_789, true));
        assert_eq!(nanos_of(""), (0, true));
    }

    #[test]
    fn a_date_stands_alone() {
        assert_eq!(parse_date("2026-01-31").map(seconds_of), Ok(1_769_817_600));
        assert!(parse_date("2026-01-31T").is_err());
        assert!(parse_date("2026-02-30").is_err());
    }
}
