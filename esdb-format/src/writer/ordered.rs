//! Events on their way into blocks: where the pairs of an event come from, the buffer, a run or a file.

use super::runs::Spelled;
use crate::block::RowPairs;
use crate::interner::Numbered;
use crate::scan::Pairs;

/// An event that comes in file order.
#[derive(Clone)]
pub(crate) struct Ordered<'a> {
    pub(crate) space: &'a [u8],
    pub(crate) grouping: &'a [u8],
    pub(crate) timestamp: i64,
    pub(crate) pairs: OrderedPairs<'a>,
    pub(crate) data: &'a [u8],
}

/// The index pairs of an event, ascending strictly.
#[derive(Clone)]
pub(crate) enum OrderedPairs<'a> {
    Given(std::slice::Iter<'a, (&'a [u8], &'a [u8])>),
    Buffered(Numbered<'a>),
    Spilled(Spelled<'a>),
    Block(RowPairs<'a>),
    File(Pairs<'a>),
}

impl<'a> Iterator for OrderedPairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Given(pairs) => pairs.next().copied(),
            Self::Buffered(pairs) => pairs.next(),
            Self::Spilled(pairs) => pairs.next(),
            Self::Block(pairs) => pairs.next(),
            Self::File(pairs) => pairs.next(),
        }
    }
}
