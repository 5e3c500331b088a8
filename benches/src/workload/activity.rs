//! Customers' activity, in file order or in none.

use esdb_format::EventBuf;

use super::START;
use super::words::{PAGES, TOWNS, TYPES};
use crate::random::{Draw, mix};

const ACTIVITY_SPACES: u64 = 100_000;

/// In file order: space by space, and in each by time. No two events share a space and a time.
pub(super) fn event(i: u64, count: u64) -> EventBuf {
    of_customers(i, count.div_ceil(ACTIVITY_SPACES).max(1))
}

/// The same with `each` events for every customer.
pub(super) fn of_customers(i: u64, each: u64) -> EventBuf {
    let (customer, place) = (i / each, i % each);
    let mut draw = Draw::new(i ^ (3 << 40));
    let kind = TYPES[draw.zipf(12) as usize];
    let city = draw.pick(&TOWNS);
    let timestamp = START * 1000 + place as i64 * 3_600_000 + draw.below(3_600_000) as i64;
    let data = format!(
        r#"{{"type":"{kind}","city":"{city}","url":"https://shop.example.com{}","session":"{:012x}","duration_ms":{}}}"#,
        draw.pick(&PAGES),
        mix(i) >> 16,
        draw.below(60_000)
    );
    EventBuf {
        space: format!("customer-{customer:06}").into_bytes(),
        grouping: Vec::new(),
        timestamp,
        indexes: vec![(b"city".to_vec(), city.into()), (b"type".to_vec(), kind.into())],
        data: data.into_bytes(),
    }
}

/// A permutation of the numbers below `count`.
pub(super) fn shuffled(i: u64, count: u64) -> u64 {
    // A prime that divides no count in use: stepping by it visits every number once.
    const STEP: u128 = 2_147_483_647;
    ((u128::from(i) * STEP + 12_345) % u128::from(count.max(1))) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffled_visits_every_number_once() {
        let mut seen: Vec<u64> = (0..10_000).map(|i| shuffled(i, 10_000)).collect();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..10_000));
    }

    #[test]
    fn activity_comes_in_file_order() {
        let events: Vec<_> = (0..300_000).map(|i| event(i, 300_000)).collect();
        assert!(events.is_sorted_by(|a, b| a.cmp_file_order(b).is_lt()));
        assert!(events.iter().all(|event| event.data.len() >= 100));
    }
}
