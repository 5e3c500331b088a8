//! The blocks of a section: 4,096 bytes of content each, the last one at most as many.
//!
//! Blocks have no checksum. What can be checked is: their headers tile the section, and each decodes to as much as it must. Where a
//! header is wrong, the next block is searched for, and what lies between is tried in both encodings.

use std::ops::Range;

use esdb_format::Result;

use crate::bytes::Bytes;
use crate::input::Input;

/// Content bytes of a block, all but the last of a section.
pub(crate) const BLOCK: usize = 4096;

/// Bytes of a block's header.
const HEADER: u64 = 3;

/// Snappy's copies of 3 bytes stand for 64: no block decodes to more than so many times its length.
const MOST_PACKED: u64 = 22;

/// How the decoded length of a full block begins its Snappy form.
const FULL: [u8; 2] = [0x80, 0x20];

/// A block that was read.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// Where its header and body are in the file.
    pub(crate) bytes: Range<u64>,
    /// What is wrong with it.
    pub(crate) damage: Option<&'static str>,
    /// Its content is missing.
    pub(crate) is_lost: bool,
}

/// Goes over the blocks of a section, and decodes them.
pub(crate) struct Blocks {
    decoder: snap::raw::Decoder,
    at: u64,
    end: u64,
    decoded: Box<[u8; BLOCK]>,
}

/// Encodings.
const RAW: u8 = 0;
const SNAPPY: u8 = 1;

impl Blocks {
    /// The section's place in the file. The input's region should be the section, or more.
    pub(crate) fn new(section: Range<u64>) -> Self {
        let decoded = Box::new([0; BLOCK]);
        Self { decoder: snap::raw::Decoder::new(), at: section.start, end: section.end, decoded }
    }

    /// How much content the rest of the section can have, at most.
    pub(crate) fn most_left(&self) -> u64 {
        (self.end - self.at) / (HEADER + 1) * BLOCK as u64
    }

    /// The next block, and its content; `None` behind the last one.
    ///
    /// # Errors
    ///
    /// I/O if the file cannot be read.
    pub(crate) fn next(&mut self, input: &mut Input<'_>) -> Result<Option<(Block, &[u8])>> {
        while self.at < self.end {
            let start = self.at;
            let (header, damage) = match self.header_at(input, start)? {
                // An empty block, which only other writers make.
                Some(Header { len: 0, .. }) if self.is_followed(input, start + HEADER)? => {
                    self.at += HEADER;
                    continue;
                }
                Some(header) if header.len > 0 && self.is_followed(input, start + header.size())? => {
                    (header, None)
                }
                // What follows is damaged, not this one.
                Some(header) if self.is_full(input, start, header)? => (header, None),
                other => (self.mend(input, start, other)?, Some("the block's header is damaged")),
            };
            self.at = self.end.min(start + header.size());
            let is_last = self.at == self.end;
            // Of a damaged end there may be less than a header.
            let body = input.get(start + HEADER, header.len.into())?.unwrap_or_default();
            let (decoder, decoded) = (&mut self.decoder, &mut *self.decoded);
            let (len, damage) = match decode(decoder, header.encoding, body, is_last, decoded) {
                Some(len) => (Some(len), damage),
                None => {
                    let other = if header.encoding == SNAPPY { RAW } else { SNAPPY };
                    match decode(decoder, other, body, is_last, decoded) {
                        Some(len) => (Some(len), Some("the block's encoding is not the one that it states")),
                        None => (None, Some("the block does not decode")),
                    }
                }
            };
            let block = Block { bytes: start..self.at, damage, is_lost: len.is_none() };
            return Ok(Some((block, self.decoded.get(..len.unwrap_or(0)).unwrap_or_default())));
        }
        Ok(None)
    }

    fn header_at(&self, input: &mut Input<'_>, at: u64) -> Result<Option<Header>> {
        let Some(bytes) = input.get(at, HEADER as usize)? else { return Ok(None) };
        let mut header = Bytes(bytes);
        let (len, encoding) =
            (header.u16().unwrap_or(u16::MAX), header.0.first().copied().unwrap_or(u8::MAX));
        let fits = usize::from(len) <= BLOCK && self.end.saturating_sub(at) >= HEADER;
        Ok(fits.then_some(Header { len, encoding }))
    }

    /// Whether a block may end here: at the section's end, or before what looks like a header.
    fn is_followed(&self, input: &mut Input<'_>, at: u64) -> Result<bool> {
        if at >= self.end {
            return Ok(at == self.end);
        }
        let header = self.header_at(input, at)?;
        Ok(header.is_some_and(|header| header.encoding <= SNAPPY && at + header.size() <= self.end))
    }

    /// Whether a block decodes to 4,096 bytes.
    fn is_full(&mut self, input: &mut Input<'_>, start: u64, header: Header) -> Result<bool> {
        let Some(body) = input.get(start + HEADER, header.len.into())? else { return Ok(false) };
        Ok(decode(&mut self.decoder, header.encoding, body, false, &mut self.decoded).is_some())
    }

    /// The block at `start` as it must be if the next one is where it seems to be.
    fn mend(&self, input: &mut Input<'_>, start: u64, stated: Option<Header>) -> Result<Header> {
        let encoding = stated.map_or(SNAPPY, |header| header.encoding);
        // Only the encoding of this one, or of the next, is wrong.
        if let Some(Header { len, .. }) = stated
            && len > 0
            && self.is_block(input, start + HEADER + u64::from(len))?
        {
            return Ok(Header { len, encoding });
        }
        for len in 1..=BLOCK as u64 {
            let next = start + HEADER + len;
            if next >= self.end {
                break;
            }
            if self.is_block(input, next)? {
                return Ok(Header { len: len as u16, encoding });
            }
        }
        let len = self.end.saturating_sub(start + HEADER).min(BLOCK as u64);
        Ok(Header { len: len as u16, encoding })
    }

    /// Whether a block begins here, by all that can be told without decoding it.
    fn is_block(&self, input: &mut Input<'_>, at: u64) -> Result<bool> {
        let Some(header) = self.header_at(input, at)? else { return Ok(at == self.end) };
        let behind = at + header.size();
        if header.len == 0 || header.encoding > SNAPPY || behind > self.end {
            return Ok(false);
        }
        if behind == self.end {
            return Ok(true);
        }
        let is_full = match header.encoding {
            RAW => usize::from(header.len) == BLOCK,
            _ => input.get(at + HEADER, FULL.len())?.is_some_and(|start| start == FULL),
        };
        Ok(is_full && self.is_followed(input, behind)?)
    }
}

#[derive(Clone, Copy, Debug)]
struct Header {
    len: u16,
    encoding: u8,
}

impl Header {
    /// Of the block, with its header.
    fn size(self) -> u64 {
        HEADER + u64::from(self.len)
    }
}

/// Decodes a body and returns the length of its content, if it is as long as it must be.
fn decode(
    decoder: &mut snap::raw::Decoder,
    encoding: u8,
    body: &[u8],
    is_last: bool,
    out: &mut [u8; BLOCK],
) -> Option<usize> {
    let len = match encoding {
        RAW => {
            out.get_mut(..body.len())?.copy_from_slice(body);
            body.len()
        }
        SNAPPY => decoder.decompress(body, out).ok()?,
        _ => return None,
    };
    (len == BLOCK || (is_last && len > 0)).then_some(len)
}

/// Whether blocks tile a section, by their headers alone.
///
/// # Errors
///
/// I/O if the file cannot be read.
pub(crate) fn tiles(input: &mut Input<'_>, section: Range<u64>) -> Result<bool> {
    let blocks = Blocks::new(section);
    let mut at = blocks.at;
    while at < blocks.end {
        match blocks.header_at(input, at)? {
            Some(header) if header.encoding <= SNAPPY => at += header.size(),
            _ => return Ok(false),
        }
    }
    Ok(at == blocks.end)
}

/// Whether the blocks of a section decode to more than about `most` bytes, by their headers alone.
///
/// # Errors
///
/// I/O if the file cannot be read.
pub(crate) fn holds_more(input: &mut Input<'_>, section: Range<u64>, most: u64) -> Result<bool> {
    if (section.end - section.start).saturating_mul(MOST_PACKED) <= most {
        return Ok(false);
    }
    let blocks = Blocks::new(section);
    let (mut at, mut len) = (blocks.at, 0);
    while at < blocks.end && len <= most {
        let Some(header) = blocks.header_at(input, at)? else { return Ok(true) };
        at += header.size();
        len += BLOCK as u64;
    }
    Ok(len > most)
}

/// Follows blocks from `start` on as far as they are whole, calls `each` with the end of each section, which is behind a block that is not
/// full, and returns where the last block ends. `each` tells whether to go on.
///
/// # Errors
///
/// I/O if the file cannot be read.
pub(crate) fn run_of_sections(
    input: &mut Input<'_>,
    start: u64,
    mut each: impl FnMut(u64) -> bool,
) -> Result<u64> {
    let mut blocks = Blocks::new(start..input.region().end);
    while let Some(header) = blocks.header_at(input, blocks.at)? {
        let Some(body) = input.get(blocks.at + HEADER, header.len.into())? else { break };
        let Some(len) = decode(&mut blocks.decoder, header.encoding, body, true, &mut blocks.decoded) else {
            break;
        };
        blocks.at += header.size();
        if len < BLOCK && !each(blocks.at) {
            break;
        }
    }
    Ok(blocks.at)
}
