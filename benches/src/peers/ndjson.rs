//! Native lines under zstd: what one has without any format.

use std::fs::File;
use std::io::{BufWriter, Read};
use std::path::Path;

use anyhow::Result;
use bytes::Bytes;

use super::{Answered, Build, Peer, Session, map};
use crate::events::Events;
use crate::native;
use crate::question::{Question, Visitor};

pub(super) struct Ndjson;

impl Peer for Ndjson {
    fn name(&self) -> &'static str {
        "ndjson.zst"
    }

    fn build(&self, events: &Events, how: Build, path: &Path) -> Result<bool> {
        if how.threads > 1 {
            return Ok(false);
        }
        let mut out = zstd::Encoder::new(BufWriter::new(File::create_new(path)?), 3)?;
        for i in 0..events.len() {
            native::write(&mut out, &events.event(i))?;
        }
        out.finish()?.into_inner()?.sync_all()?;
        Ok(true)
    }

    fn has_indexes(&self) -> bool {
        false
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Session>> {
        Ok(Box::new(Open(map(path)?)))
    }
}

struct Open(Bytes);

impl Session for Open {
    /// Decompresses and finds each line's data; nothing is parsed.
    fn ask(&mut self, question: &Question, visitor: &mut Visitor) -> Result<Answered> {
        let Question::Scan = question else { return Ok(Answered::No) };
        let mut input = zstd::Decoder::with_buffer(&self.0[..])?;
        let (mut buffer, mut filled) = (vec![0; 1 << 20], 0);
        loop {
            let read = input.read(&mut buffer[filled..])?;
            if read == 0 {
                return Ok(Answered::Yes);
            }
            filled += read;
            let mut start = 0;
            while let Some(len) = buffer[start..filled].iter().position(|&byte| byte == b'\n') {
                visitor.event(native::data(&buffer[start..start + len]));
                start += len + 1;
            }
            buffer.copy_within(start..filled, 0);
            filled -= start;
        }
    }
}
