//! Page visits: who came from which city to which host.

use esdb_format::EventBuf;

use super::words::{NAMES, SURNAMES, TOWNS};
use super::{DAY, START};
use crate::random::{Draw, mix};

/// How many hosts there are, and how many visitors.
const PEOPLE: u64 = 1_600;
const DAYS: u128 = 90;

pub(super) fn event(i: u64, count: u64) -> EventBuf {
    let mut draw = Draw::new(i);
    let host = address(draw.below(PEOPLE));
    let visitor = address(mix(7) % PEOPLE + draw.below(PEOPLE));
    let city = draw.pick(&TOWNS);
    // Hosts hand in their visits once a day: the days are in order, the visits of a day are not.
    let day = (u128::from(i) * DAYS / u128::from(count.max(1))) as i64;
    let timestamp = START + day * DAY + draw.below(DAY as u64) as i64;
    let data = format!(
        r#"{{"type":"visit","host":"{host}","city":"{city}","visitor":"{visitor}","timestamp":{timestamp}}}"#
    );
    EventBuf {
        space: b"visit".to_vec(),
        grouping: host.into_bytes(),
        timestamp,
        indexes: vec![(b"city".to_vec(), city.into()), (b"visitor".to_vec(), visitor.into_bytes())],
        data: data.into_bytes(),
    }
}

fn address(n: u64) -> String {
    let name = NAMES[(n % 40) as usize];
    let surname = SURNAMES[(n / 40 % 20) as usize];
    let domain = if (n / 800).is_multiple_of(2) { "my.test.com" } else { "my.example.com" };
    format!("{name}{surname}@{domain}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_has_127_bytes_in_the_mean() {
        let bytes: usize = (0..10_000).map(|i| event(i, 10_000).data.len()).sum();
        assert_eq!((bytes as f64 / 10_000.0).round(), 127.0);
    }

    #[test]
    fn people_are_as_many_as_the_workload_says() {
        let people: std::collections::HashSet<_> = (0..2 * PEOPLE).map(address).collect();
        assert_eq!(people.len(), PEOPLE as usize);
    }
}
