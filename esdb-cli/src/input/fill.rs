//! Filling an event again and again without giving up its memory, and the limits of its parts.

use esdb_format::limits;

use super::errors::{Problem, Reason};
use crate::text::quote;

/// The most bytes of a space, a grouping, an index name or an index value.
pub(crate) const MAX_KEY: usize = limits::KEY;

/// The most bytes `--max-event` can allow.
pub(crate) const MAX_DATA: usize = limits::DATA;

/// Refuses a space, grouping, name or value that is too long. `what` names it.
pub(crate) fn check_key(key: &[u8], what: &str, offset: usize) -> Result<(), Problem> {
    if key.len() <= MAX_KEY {
        return Ok(());
    }
    let message = format!("{what} {} has {} bytes, the limit is {MAX_KEY}", quote(key), key.len());
    Err(Problem::new(Reason::ValueTooLarge, offset, message))
}

/// Refuses data of more than `max` bytes.
pub(crate) fn check_data(data: &[u8], max: usize, offset: usize) -> Result<(), Problem> {
    if data.len() <= max {
        return Ok(());
    }
    let message = format!("the event's data has {} bytes, the limit is {max} (--max-event)", data.len());
    Err(Problem::new(Reason::ValueTooLarge, offset, message))
}

/// Refuses more index pairs, or longer ones, than an event may have.
pub(crate) fn check_pairs(pairs: &[(Vec<u8>, Vec<u8>)]) -> Result<(), Problem> {
    let refuse = |message| Err(Problem::new(Reason::ValueTooLarge, 0, message));
    if pairs.len() > limits::PAIRS {
        return refuse(format!("the event has {} index pairs, the limit is {}", pairs.len(), limits::PAIRS));
    }
    let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > limits::PAIR_BYTES {
        return refuse(format!(
            "the event's index pairs have {bytes} bytes, the limit is {}",
            limits::PAIR_BYTES
        ));
    }
    Ok(())
}

/// Refills an event's list of index pairs, pair by pair.
pub(crate) struct Pairs<'e> {
    list: &'e mut Vec<(Vec<u8>, Vec<u8>)>,
    used: usize,
}

impl<'e> Pairs<'e> {
    pub(crate) fn new(list: &'e mut Vec<(Vec<u8>, Vec<u8>)>) -> Self {
        Self { list, used: 0 }
    }

    /// Adds a pair of empty name and value, to be filled.
    pub(crate) fn add(&mut self) -> (&mut Vec<u8>, &mut Vec<u8>) {
        if self.used == self.list.len() {
            self.list.push(Default::default());
        }
        let at = self.used;
        self.used += 1;
        let (name, value) = &mut self.list[at];
        name.clear();
        value.clear();
        (name, value)
    }

    /// Drops the pairs of the event before that were not filled again.
    pub(crate) fn finish(self) {
        self.list.truncate(self.used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_pairs_than_an_event_may_have_are_refused() {
        let pair = |bytes: usize| (vec![b'n'; bytes], Vec::new());
        assert!(check_pairs(&vec![pair(1); limits::PAIRS]).is_ok());
        assert!(check_pairs(&vec![pair(1); limits::PAIRS + 1]).is_err());
        assert!(check_pairs(&vec![pair(1 << 15); limits::PAIR_BYTES >> 15]).is_ok());
        assert!(check_pairs(&vec![pair(1 << 15); (limits::PAIR_BYTES >> 15) + 1]).is_err());
    }

    #[test]
    fn limits_hold_on_both_sides() {
        assert!(check_key(&vec![b'x'; MAX_KEY], "space", 0).is_ok());
        let problem = check_key(&vec![b'x'; MAX_KEY + 1], "space", 7).expect_err("too long");
        assert_eq!((problem.reason, problem.offset), (Reason::ValueTooLarge, 7));
        assert!(problem.message.contains("65536 bytes"), "{}", problem.message);
        assert!(check_data(b"1234", 4, 0).is_ok());
        assert!(check_data(b"12345", 4, 0).is_err());
    }

    #[test]
    fn pairs_replace_those_of_the_event_before() {
        let mut list = vec![(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), b"2".to_vec())];
        let mut pairs = Pairs::new(&mut list);
        pairs.add().0.extend(b"new");
        pairs.finish();
        assert_eq!(list, [(b"new".to_vec(), Vec::new())]);
    }
}
