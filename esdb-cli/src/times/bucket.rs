//! Hours, days and months, in UTC, that events are counted by.

use esdb_format::Unit;

use super::calendar;

/// A stretch of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bucket {
    Hour,
    Day,
    Month,
}

impl Bucket {
    /// The name on the command line and in results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The first and the last timestamp of the bucket that `timestamp` lies in.
    ///
    /// Those at the ends of 64 bits are cut off there.
    pub(crate) fn stretch(self, timestamp: i64, unit: Unit) -> (i64, i64) {
        let seconds = timestamp.div_euclid(unit.per_second());
        let (start, end) = match self {
            Self::Hour => around(seconds, 3_600),
            Self::Day => around(seconds, 86_400),
            Self::Month => {
                let (year, month, _) = calendar::date_of(seconds.div_euclid(86_400));
                let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                let start = calendar::first_of_month(year, month);
                let end = calendar::first_of_month(next_year, next_month);
                (i128::from(start) * 86_400, i128::from(end) * 86_400)
            }
        };
        let ticks = i128::from(unit.per_second());
        let clamp = |tick: i128| i64::try_from(tick).unwrap_or(if tick < 0 { i64::MIN } else { i64::MAX });
        (clamp(start * ticks), clamp(end * ticks - 1))
    }

    /// The bucket that `first` is the first timestamp of: `2026-01`, `2026-01-31` or `2026-01-31T12:00:00Z`.
    ///
    /// None outside the years 0000 to 9999.
    pub(crate) fn label(self, first: i64, unit: Unit) -> Option<String> {
        let seconds = first.div_euclid(unit.per_second());
        let (year, month, day) = calendar::date_of(seconds.div_euclid(86_400));
        if !(0..=9999).contains(&year) {
            return None;
        }
        let hour = seconds.rem_euclid(86_400) / 3_600;
        Some(match self {
            Self::Hour => format!("{year:04}-{month:02}-{day:02}T{hour:02}:00:00Z"),
            Self::Day => format!("{year:04}-{month:02}-{day:02}"),
            Self::Month => format!("{year:04}-{month:02}"),
        })
    }
}

/// The multiples of `size` at or before `seconds`, and behind it.
fn around(seconds: i64, size: i64) -> (i128, i128) {
    let start = i128::from(seconds) - i128::from(seconds.rem_euclid(size));
    (start, start + i128::from(size))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Instant;
    use super::super::bound::TimeArg;
    use super::*;

    const BUCKETS: [Bucket; 3] = [Bucket::Hour, Bucket::Day, Bucket::Month];
    const UNITS: [Unit; 4] = [Unit::Seconds, Unit::Milliseconds, Unit::Microseconds, Unit::Nanoseconds];

    #[test]
    fn buckets_end_where_the_next_begins() {
        let feb = 1_454_284_800;
        assert_eq!(Bucket::Month.stretch(feb + 5, Unit::Seconds), (feb, feb + 29 * 86_400 - 1));
        assert_eq!(Bucket::Month.label(feb, Unit::Seconds).as_deref(), Some("2016-02"));
        assert_eq!(Bucket::Day.stretch(-1, Unit::Milliseconds), (-86_400_000, -1));
        assert_eq!(Bucket::Day.label(-86_400_000, Unit::Milliseconds).as_deref(), Some("1969-12-31"));
        assert_eq!(Bucket::Hour.stretch(7_200, Unit::Seconds), (7_200, 10_799));
        assert_eq!(Bucket::Hour.label(7_200, Unit::Seconds).as_deref(), Some("1970-01-01T02:00:00Z"));
    }

    #[test]
    fn the_ends_of_time_are_in_buckets_too() {
        for unit in UNITS {
            for bucket in BUCKETS {
                assert_eq!(bucket.stretch(i64::MIN, unit).0, i64::MIN);
                assert_eq!(bucket.stretch(i64::MAX, unit).1, i64::MAX);
            }
        }
        assert_eq!(Bucket::Month.label(i64::MAX, Unit::Seconds), None);
    }

    proptest! {
        #[test]
        fn a_bucket_is_the_same_for_all_its_times_and_its_label_is_a_bound(
            timestamp in any::<i64>(), unit in 0..4_usize, shift in 0..40_u32, bucket in 0..3_usize,
        ) {
            let (timestamp, unit, bucket) = (timestamp >> shift, UNITS[unit], BUCKETS[bucket]);
            let (first, last) = bucket.stretch(timestamp, unit);
            prop_assert!((first..=last).contains(&timestamp));
            prop_assert_eq!(bucket.stretch(first, unit), (first, last));
            prop_assert_eq!(bucket.stretch(last, unit), (first, last));
            if let Some(label) = bucket.label(first, unit).filter(|_| first > i64::MIN) {
                let bound: TimeArg = label.parse().expect("a time");
                prop_assert_eq!(bound.resolve(unit, Instant::new(0, 0)), Ok(first));
            }
        }
    }
}
