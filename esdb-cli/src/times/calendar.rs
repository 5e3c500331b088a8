//! The Gregorian calendar, extended to every day that 64 bits of seconds reach.
//!
//! Calendars of libraries end at year 9999; timestamps do not. The arithmetic counts years from March, so that
//! the leap day is the last of its year.

/// The day, counted from 1970-01-01, on which a month begins. Months are 1 to 12.
pub(crate) fn first_of_month(year: i64, month: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5;
    era * DAYS_PER_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - EPOCH
}

/// Year, month and day of month of a day that is counted from 1970-01-01.
pub(crate) fn date_of(day: i64) -> (i64, i64, i64) {
    let (era, day_of_era) = ((day + EPOCH).div_euclid(DAYS_PER_ERA), (day + EPOCH).rem_euclid(DAYS_PER_ERA));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = (from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day_of_year - (153 * from_march + 2) / 5 + 1)
}

/// Days in 400 years.
const DAYS_PER_ERA: i64 = 146_097;

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;

#[cfg(test)]
mod tests {
    use jiff::civil::{Date, date};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_days_have_their_dates() {
        for (day, expected) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (16_859, (2016, 2, 28)),
            (16_860, (2016, 2, 29)),
            (16_861, (2016, 3, 1)),
            (-719_528, (0, 1, 1)),
            (2_932_896, (9999, 12, 31)),
            (2_932_897, (10_000, 1, 1)),
        ] {
            assert_eq!(date_of(day), expected);
        }
    }

    proptest! {
        #[test]
        fn it_is_the_calendar_of_jiff(day in -4_371_587_i64..=2_932_896) {
            let (year, month, of_month) = date_of(day);
            let expected = Date::constant(1970, 1, 1).saturating_add(jiff::Span::new().days(day));
            let found = date(year as i16, month as i8, of_month as i8);
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn every_day_lies_in_its_month(day in i64::MIN / 86_400..=i64::MAX / 86_400) {
            let (year, month, of_month) = date_of(day);
            prop_assert_eq!(first_of_month(year, month) + of_month - 1, day);
            let next = if month == 12 { first_of_month(year + 1, 1) } else { first_of_month(year, month + 1) };
            prop_assert!(day < next);
        }
    }
}
