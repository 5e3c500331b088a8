//! Timestamps as text, the way the command line takes them back.

use esdb_format::Unit;

use super::calendar;

/// The timestamp as RFC 3339 in UTC, with as many digits as the unit has.
///
/// None outside the years 0000 to 9999, which RFC 3339 cannot say.
pub(crate) fn rfc3339(timestamp: i64, unit: Unit) -> Option<String> {
    let (seconds, fraction) =
        (timestamp.div_euclid(unit.per_second()), timestamp.rem_euclid(unit.per_second()));
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, of_month) = calendar::date_of(day);
    if !(0..=9999).contains(&year) {
        return None;
    }
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{of_month:02}T{hour:02}:{minute:02}:{second:02}");
    if unit != Unit::Seconds {
        text.push_str(&format!(".{fraction:0width$}", width = digits(unit)));
    }
    text.push('Z');
    Some(text)
}

/// The timestamp as RFC 3339, or the number where there is no such text.
pub(crate) fn show(timestamp: i64, unit: Unit) -> String {
    rfc3339(timestamp, unit).unwrap_or_else(|| timestamp.to_string())
}

/// How many characters RFC 3339 takes.
pub(crate) fn width(unit: Unit) -> usize {
    match digits(unit) {
        0 => "2026-01-31T12:00:00Z".len(),
        digits => "2026-01-31T12:00:00.Z".len() + digits,
    }
}

fn digits(unit: Unit) -> usize {
    unit.per_second().ilog10() as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Instant;
    use super::super::bound::TimeArg;
    use super::*;

    const UNITS: [Unit; 4] = [Unit::Seconds, Unit::Milliseconds, Unit::Microseconds, Unit::Nanoseconds];

    #[test]
    fn times_have_the_digits_of_their_unit() {
        for (timestamp, unit, expected) in [
            (1_403_534_919, Unit::Seconds, "2014-06-23T14:48:39Z"),
            (1_403_534_919_007, Unit::Milliseconds, "2014-06-23T14:48:39.007Z"),
            (-1, Unit::Microseconds, "1969-12-31T23:59:59.999999Z"),
            (i64::MAX, Unit::Nanoseconds, "2262-04-11T23:47:16.854775807Z"),
            (253_402_300_799, Unit::Seconds, "9999-12-31T23:59:59Z"),
            (-62_167_219_200, Unit::Seconds, "0000-01-01T00:00:00Z"),
        ] {
            assert_eq!(show(timestamp, unit), expected);
            assert_eq!(width(unit), expected.len());
        }
        assert_eq!(show(253_402_300_800, Unit::Seconds), "253402300800");
        assert_eq!(show(i64::MIN, Unit::Milliseconds), i64::MIN.to_string());
    }

    proptest! {
        #[test]
        fn what_is_printed_is_accepted_back(timestamp in any::<i64>(), unit in 0..4_usize, shift in 0..40_u32) {
            let (timestamp, unit) = (timestamp >> shift, UNITS[unit]);
            let bound: TimeArg = show(timestamp, unit).parse().expect("a time");
            prop_assert_eq!(bound.resolve(unit, Instant::new(0, 0)), Ok(timestamp));
        }
    }
}
