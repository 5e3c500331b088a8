//! What is asked, and what an answer must be.

use crate::random::mix;

/// Something a file of events can be asked.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    /// Every payload.
    Scan,
    /// A grouping, oldest first.
    Grouping { space: Vec<u8>, grouping: Vec<u8> },
    /// The newest event of a grouping.
    NewestOfGrouping { space: Vec<u8>, grouping: Vec<u8> },
    /// The events with an index value: space by space, in order of time.
    Index { name: Vec<u8>, value: Vec<u8> },
    /// The newest events with an index value in a space, newest first.
    NewestOfIndex { space: Vec<u8>, name: Vec<u8>, value: Vec<u8>, limit: usize },
    /// The events of a space from `start` and before `end`, in order of time.
    Stretch { space: Vec<u8>, start: i64, end: i64 },
    /// The events of all spaces from `start` and before `end`: space by space, in order of time.
    StretchOfAll { start: i64, end: i64 },
    /// How many events each value of an index has in each stretch of `day` units.
    CountByDay { name: Vec<u8>, day: i64 },
}

/// Sees an answer: in earnest, when it is to be checked, or no more than a reader must who wants all of it.
#[derive(Default)]
pub(crate) struct Visitor {
    check: bool,
    events: u64,
    bytes: u64,
    touched: u64,
    chain: u64,
    sum: u64,
}

/// What a checked answer comes down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    /// Depends on every byte, and on the order where the question has one.
    pub(crate) hash: u64,
}

impl Visitor {
    /// A visitor who remembers all that was seen.
    pub(crate) fn checking() -> Self {
        Self { check: true, ..Self::default() }
    }

    /// Sees the payload of an event: its length, and one byte of it.
    #[inline]
    pub(crate) fn event(&mut self, data: &[u8]) {
        self.events += 1;
        self.bytes += data.len() as u64;
        self.touched += u64::from(data.get(data.len() / 2).copied().unwrap_or(0));
        if self.check {
            let hash = fold(data);
            self.chain = mix(self.chain ^ hash);
            self.sum = self.sum.wrapping_add(hash);
        }
    }

    /// Sees how many events a value has in the stretch that begins at `start`.
    pub(crate) fn count(&mut self, value: &[u8], start: i64, count: u64) {
        self.events += count;
        self.sum = self.sum.wrapping_add(mix(fold(value) ^ mix(start as u64) ^ count));
    }

    /// What was seen as an answer to the question.
    pub(crate) fn answer(&self, question: &Question) -> Answer {
        let hash = match question {
            Question::Scan | Question::CountByDay { .. } => self.sum,
            _ => self.chain,
        };
        Answer { events: self.events, bytes: self.bytes, hash }
    }

    /// The same without the hashes, for timed answers; uses what was touched.
    pub(crate) fn seen(&self) -> (u64, u64) {
        std::hint::black_box(self.touched);
        (self.events, self.bytes)
    }
}

fn fold(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(bytes.len() as u64, |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        mix(hash ^ u64::from_le_bytes(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_notice_order_where_it_matters() {
        let seen = |payloads: [&[u8]; 2], question: &Question| {
            let mut visitor = Visitor::checking();
            payloads.into_iter().for_each(|payload| visitor.event(payload));
            visitor.answer(question)
        };
        let grouping = Question::Grouping { space: Vec::new(), grouping: Vec::new() };
        assert_ne!(seen([b"a", b"b"], &grouping), seen([b"b", b"a"], &grouping));
        assert_eq!(seen([b"a", b"b"], &Question::Scan), seen([b"b", b"a"], &Question::Scan));
        assert_ne!(seen([b"a", b"b"], &Question::Scan), seen([b"a", b"c"], &Question::Scan));
    }
}
