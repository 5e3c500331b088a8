//! What the machine can do at best: no reader can be faster.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use esdb_format::{Codec, Reader};

use crate::events::Events;
use crate::peers::map;

/// More than any cache holds.
const MOST_COPIED: usize = 256 << 20;

/// Physical limits, as measured.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Bytes per second.
    pub(crate) memcpy: f64,
    /// Bytes per second, of a file that is mapped anew.
    pub(crate) sum_of_map: f64,
    /// Seconds to open and map a file, touch a page at its end and one in its middle, and close it.
    pub(crate) open_and_two_faults: f64,
}

impl Limits {
    /// Measures with the payloads of events, and a file that was built of them.
    pub(crate) fn measure(events: &Events, path: &Path, rounds: usize) -> Result<Self> {
        let mut payloads = Vec::new();
        for i in 0..events.len() {
            if payloads.len() >= MOST_COPIED {
                break;
            }
            payloads.extend_from_slice(events.data(i));
        }
        let mut copy = vec![0; payloads.len()];
        let memcpy = median(rounds, || {
            black_box(&mut copy).copy_from_slice(black_box(&payloads));
            Ok(())
        })?;
        let bytes = payloads.len() as f64;
        drop((copy, payloads));
        let len = std::fs::metadata(path)?.len() as f64;
        let sum_of_map = median(rounds, || {
            let file = map(path)?;
            let words = file.chunks_exact(8).filter_map(|word| word.try_into().ok());
            black_box(words.map(u64::from_le_bytes).fold(0, u64::wrapping_add));
            Ok(())
        })?;
        let open = median(rounds.max(3), || {
            for _ in 0..100 {
                let file = map(path)?;
                black_box(file[file.len() - 1] ^ file[file.len() / 2]);
            }
            Ok(())
        })?;
        Ok(Self { memcpy: bytes / memcpy, sum_of_map: len / sum_of_map, open_and_two_faults: open / 100.0 })
    }
}

/// What the codecs do with the payloads, cut into frames as our files cut them.
pub(crate) struct CodecLimits {
    frames: Vec<Vec<u8>>,
    bytes: f64,
    codecs: Vec<CodecLimit>,
}

/// A codec, the frames as it stores them, and its rates in bytes of payload per second.
pub(crate) struct CodecLimit {
    pub(crate) codec: Codec,
    machine: Machine,
    stored: Vec<Vec<u8>>,
    pub(crate) compress: f64,
    seconds: Vec<f64>,
}

impl CodecLimits {
    /// Compresses the payloads of events in file order as the files of the same events say.
    pub(crate) fn compress(events: &Events, files: &[(Codec, &Path)]) -> Result<Self> {
        let mut limits = Self { frames: Vec::new(), bytes: 0.0, codecs: Vec::new() };
        for (codec, path) in files {
            let file = Reader::open(path)?;
            if limits.frames.is_empty() {
                limits.frames = frames(events, file.frame_size() as usize);
                limits.bytes = limits.frames.iter().map(Vec::len).sum::<usize>() as f64;
            }
            let dictionary = match file.dictionary_len() {
                0 => Vec::new(),
                len => train(events, len as usize)?,
            };
            let mut machine = Machine::new(file.codec(), &dictionary)?;
            let mut stored = vec![Vec::new(); limits.frames.len()];
            let seconds = median(1, || {
                limits
                    .frames
                    .iter()
                    .zip(&mut stored)
                    .try_for_each(|(frame, out)| machine.compress(frame, out))
            })?;
            let compress = limits.bytes / seconds;
            limits.codecs.push(CodecLimit { codec: *codec, machine, stored, compress, seconds: Vec::new() });
        }
        Ok(limits)
    }

    /// Decompresses everything once with each codec, and remembers how long it took.
    pub(crate) fn round(&mut self) -> Result<()> {
        let mut out = vec![0; self.frames.iter().map(Vec::len).max().unwrap_or(0)];
        for codec in &mut self.codecs {
            let start = Instant::now();
            for (frame, stored) in self.frames.iter().zip(&codec.stored) {
                let len = codec.machine.decompress(stored, &mut out[..frame.len()])?;
                ensure!(len == frame.len(), "{} gives {len} bytes", codec.codec.name());
                black_box(&out);
            }
            codec.seconds.push(start.elapsed().as_secs_f64());
        }
        Ok(())
    }

    /// The median decompression rate of a codec.
    pub(crate) fn decompress(&self, codec: Codec) -> Option<f64> {
        let limit = self.codecs.iter().find(|limit| limit.codec == codec)?;
        Some(self.bytes / middle(&mut limit.seconds.clone()))
    }

    /// The codecs, each with its compressed bytes.
    pub(crate) fn codecs(&self) -> impl Iterator<Item = (&CodecLimit, usize)> {
        self.codecs.iter().map(|limit| (limit, limit.stored.iter().map(Vec::len).sum()))
    }

    /// Forgets the frames, which are many.
    pub(crate) fn forget(&mut self) {
        self.frames = Vec::new();
        self.codecs.iter_mut().for_each(|limit| limit.stored = Vec::new());
    }
}

/// All payloads, as many whole ones to a frame as its size allows.
fn frames(events: &Events, size: usize) -> Vec<Vec<u8>> {
    let mut frames: Vec<Vec<u8>> = Vec::new();
    for i in 0..events.len() {
        let data = events.data(i);
        match frames.last_mut() {
            Some(frame) if frame.len() + data.len() <= size => frame.extend_from_slice(data),
            _ => {
                let mut frame = Vec::with_capacity(size);
                frame.extend_from_slice(data);
                frames.push(frame);
            }
        }
    }
    frames
}

fn train(events: &Events, len: usize) -> Result<Vec<u8>> {
    let step = (events.len() / 10_000).max(1);
    let samples: Vec<&[u8]> = (0..events.len()).step_by(step).map(|i| events.data(i)).collect();
    Ok(zstd::dict::from_samples(&samples, len)?)
}

/// A codec with its contexts.
struct Machine {
    codec: Codec,
    compressor: zstd::bulk::Compressor<'static>,
    decompressor: zstd::bulk::Decompressor<'static>,
}

impl Machine {
    fn new(codec: Codec, dictionary: &[u8]) -> Result<Self> {
        Ok(Self {
            codec,
            compressor: zstd::bulk::Compressor::with_dictionary(codec.level(), dictionary)?,
            decompressor: zstd::bulk::Decompressor::with_dictionary(dictionary)?,
        })
    }

    fn compress(&mut self, raw: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let bound = match self.codec {
            Codec::None => raw.len(),
            Codec::Snappy => snap::raw::max_compress_len(raw.len()),
            Codec::Lz4 => lz4::block::compress_bound(raw.len())?,
            Codec::Zstd { .. } => zstd::zstd_safe::compress_bound(raw.len()),
        };
        out.resize(bound, 0);
        let len = match self.codec {
            Codec::None => {
                out.copy_from_slice(raw);
                raw.len()
            }
            Codec::Snappy => snap::raw::Encoder::new().compress(raw, out)?,
            Codec::Lz4 => lz4::block::compress_to_buffer(raw, None, false, out)?,
            Codec::Zstd { .. } => self.compressor.compress_to_buffer(raw, &mut out[..])?,
        };
        out.truncate(len);
        Ok(())
    }

    fn decompress(&mut self, stored: &[u8], out: &mut [u8]) -> Result<usize> {
        Ok(match self.codec {
            Codec::None => {
                out.copy_from_slice(stored);
                out.len()
            }
            Codec::Snappy => snap::raw::Decoder::new().decompress(stored, out)?,
            Codec::Lz4 => lz4::block::decompress_to_buffer(stored, Some(out.len() as i32), out)?,
            Codec::Zstd { .. } => self.decompressor.decompress_to_buffer(stored, out)?,
        })
    }
}

/// The median time of some calls, after one that does not count.
fn median(rounds: usize, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    call()?;
    let mut seconds = Vec::new();
    for _ in 0..rounds.max(1) {
        let start = Instant::now();
        call()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok(middle(&mut seconds))
}

/// The median.
pub(crate) fn middle(seconds: &mut [f64]) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
}
