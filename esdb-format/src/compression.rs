//! Codecs: pieces of bytes compressed one by one (spec §4.3). A piece that does not shrink is stored.

use std::cell::RefCell;

use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, DDict, DParameter, DictAttachPref, FrameFormat, get_error_name,
};

use crate::error::{Error, Result, Section};

/// How payload frames and strings are compressed (spec §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Everything is stored as it is.
    None,
    /// Snappy, raw.
    Snappy,
    /// LZ4, block format: the fastest to read.
    Lz4,
    /// Zstandard at a level from -7 to 22; the smallest, and the default at level 0.
    Zstd {
        /// The compression level. A writer makes 3 of 0, or 1 where that does as well on the first events (spec §10).
        level: i32,
    },
}

impl Default for Codec {
    fn default() -> Self {
        Self::Zstd { level: 0 }
    }
}

impl Codec {
    /// The name used on command lines and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd { .. } => "zstd",
        }
    }

    pub(crate) fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Snappy => 1,
            Self::Lz4 => 2,
            Self::Zstd { .. } => 3,
        }
    }

    /// The level, 0 for codecs that take none.
    pub fn level(self) -> i32 {
        match self {
            Self::Zstd { level } => level,
            _ => 0,
        }
    }

    pub(crate) fn from_code(code: u8, level: i32) -> Option<Self> {
        Some(match code {
            0 => Self::None,
            1 => Self::Snappy,
            2 => Self::Lz4,
            3 => Self::Zstd { level },
            _ => return None,
        })
    }

    /// The most bytes that `stored` bytes can stand for (spec Z2).
    fn most_from(self, stored: usize) -> u64 {
        let factor: u64 = match self {
            Self::None => 1,
            Self::Snappy => 32,
            Self::Lz4 => 256,
            Self::Zstd { .. } => 65_536,
        };
        factor.saturating_mul(stored as u64)
    }
}

/// Compresses pieces, one context for many of them. The bytes do not depend on what was compressed before.
pub(crate) struct Compressor(Method);

/// The fastest level finds few short matches, and has a dictionary for what is frequent: most data get smaller by a few percent without them.
const LONG_MATCHES: CParameter = CParameter::MinMatch(7);

/// These levels would copy the dictionary's tables for each piece of more than 16 KiB, which takes up to as long as all else.
const ATTACHED: CParameter = CParameter::ForceAttachDict(DictAttachPref::ForceAttach);

enum Method {
    None,
    Snappy(Box<snap::raw::Encoder>),
    Lz4,
    Zstd(CCtx<'static>),
}

impl Compressor {
    /// Only zstd uses the dictionary; an empty one is none.
    pub(crate) fn new(codec: Codec, dictionary: &[u8]) -> Result<Self> {
        Ok(Self(match codec {
            Codec::None => Method::None,
            Codec::Snappy => Method::Snappy(Box::new(snap::raw::Encoder::new())),
            Codec::Lz4 => Method::Lz4,
            Codec::Zstd { level } => {
                let mut zstd = CCtx::try_create().ok_or_else(|| no_memory("zstd cannot start"))?;
                let settings = [
                    CParameter::CompressionLevel(level),
                    CParameter::Format(FrameFormat::Magicless),
                    CParameter::DictIdFlag(false),
                    CParameter::ChecksumFlag(false),
                    CParameter::ContentSizeFlag(true),
                ];
                let for_dictionary = match level {
                    _ if dictionary.is_empty() => &[][..],
                    1 => &[LONG_MATCHES],
                    0 | 3 | 4 => &[ATTACHED],
                    _ => &[],
                };
                let refused = |code| failed("zstd", get_error_name(code));
                settings
                    .iter()
                    .chain(for_dictionary)
                    .try_for_each(|setting| zstd.set_parameter(*setting).map(drop))
                    .map_err(refused)?;
                zstd.load_dictionary(dictionary).map_err(refused)?;
                Method::Zstd(zstd)
            }
        }))
    }

    /// Appends the stored form of `raw` to `out` and returns its length: less than that of `raw` if compressed.
    pub(crate) fn append(&mut self, raw: &[u8], out: &mut Vec<u8>) -> Result<usize> {
        let start = out.len();
        let bound = match &self.0 {
            Method::None => 0,
            Method::Snappy(_) => snap::raw::max_compress_len(raw.len()),
            Method::Lz4 => lz4::block::compress_bound(raw.len()).map_err(|error| failed("lz4", error))?,
            Method::Zstd(_) => zstd::zstd_safe::compress_bound(raw.len()),
        };
        out.resize(start.saturating_add(bound), 0);
        let room = out.get_mut(start..).unwrap_or_default();
        let len = match &mut self.0 {
            Method::None => raw.len(),
            Method::Snappy(encoder) => {
                encoder.compress(raw, room).map_err(|error| failed("snappy", error))?
            }
            Method::Lz4 => lz4::block::compress_to_buffer(raw, None, false, room)
                .map_err(|error| failed("lz4", error))?,
            Method::Zstd(zstd) => {
                zstd.compress2(room, raw).map_err(|code| failed("zstd", get_error_name(code)))?
            }
        };
        if len < raw.len() {
            out.truncate(start.saturating_add(len));
            return Ok(len);
        }
        out.truncate(start);
        out.extend_from_slice(raw);
        Ok(raw.len())
    }
}

fn failed(codec: &str, error: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("{codec} cannot compress: {error}"))
}

fn no_memory(doing: &'static str) -> Error {
    Error::io(doing)(std::io::ErrorKind::OutOfMemory.into())
}

/// A dictionary that zstd is ready to decompress with.
pub(crate) struct Prepared(DDict<'static>);

impl Prepared {
    /// `None` if zstd refuses it.
    pub(crate) fn new(dictionary: &[u8]) -> Option<Self> {
        DDict::try_create(dictionary).map(Self)
    }
}

fn decompressor() -> Option<DCtx<'static>> {
    let mut context = DCtx::try_create()?;
    // It knows this parameter; if it did not, no frame would decompress.
    let _ = context.set_parameter(DParameter::Format(FrameFormat::Magicless));
    Some(context)
}

thread_local! {
    /// Costs more to make than to use, so each thread keeps one for all files; and one for what has a dictionary, for zstd
    /// takes longer with a dictionary that it did not have for the piece before.
    static ZSTD: [RefCell<Option<DCtx<'static>>>; 2] = const { [const { RefCell::new(None) }; 2] };
}

/// Fills `out` with what `stored` stands for; returns how long that is.
fn unpack_lz4(stored: &[u8], out: &mut [u8]) -> std::io::Result<usize> {
    let most = i32::try_from(out.len()).map_err(|_| std::io::ErrorKind::InvalidInput)?;
    lz4::block::decompress_to_buffer(stored, Some(most), out)
}

/// Gives `out` the `len` bytes that `stored` stands for. `offset` and `section` say where it was found.
///
/// Only zstd uses the dictionary.
pub(crate) fn unpack(
    codec: Codec,
    stored: &[u8],
    len: usize,
    dictionary: Option<&Prepared>,
    out: &mut Vec<u8>,
    section: Section,
    offset: u64,
) -> Result<()> {
    if stored.len() == len {
        out.clear();
        out.extend_from_slice(stored);
        return Ok(());
    }
    let corrupt = |rule, reason: String| Error::corrupt(section, offset, rule, reason);
    if stored.len() > len || codec == Codec::None {
        return Err(corrupt("Z1", format!("{} bytes are stored for {len}", stored.len())));
    }
    if len as u64 > codec.most_from(stored.len()) {
        return Err(corrupt("Z2", format!("{} bytes cannot stand for {len}", stored.len())));
    }
    let result = match codec {
        Codec::None => Ok(len),
        Codec::Snappy => match snap::raw::decompress_len(stored) {
            Ok(found) if found != len => Ok(found),
            Ok(_) => {
                out.resize(len, 0);
                snap::raw::Decoder::new().decompress(stored, out).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        },
        Codec::Lz4 => {
            out.resize(len, 0);
            unpack_lz4(stored, out).map_err(|error| error.to_string())
        }
        Codec::Zstd { .. } => {
            // zstd fills spare room: no zeros are written first.
            out.clear();
            out.reserve_exact(len);
            ZSTD.with(|[plain, with_dictionary]| {
                let mut context = if dictionary.is_some() { with_dictionary } else { plain }.borrow_mut();
                if context.is_none() {
                    *context = decompressor();
                }
                let zstd = context.as_mut().ok_or_else(|| no_memory("zstd cannot start"))?;
                let result = match dictionary {
                    Some(Prepared(dictionary)) => zstd.decompress_using_ddict(out, stored, dictionary),
                    None => zstd.decompress(out, stored),
                };
                Ok(result.map_err(|code| get_error_name(code).to_owned()))
            })?
        }
    };
    match result {
        Ok(found) if found == len => Ok(()),
        Ok(found) => Err(corrupt("Z2", format!("{len} bytes expected, {found} decompressed"))),
        Err(reason) => Err(corrupt("Z2", format!("{} cannot decompress: {reason}", codec.name()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODECS: [Codec; 4] = [Codec::None, Codec::Snappy, Codec::Lz4, Codec::Zstd { level: 3 }];

    fn unpack(codec: Codec, stored: &[u8], len: usize) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        super::unpack(codec, stored, len, None, &mut out, Section::Frame, 9).map(|()| out)
    }

    #[test]
    fn pieces_round_trip_and_never_grow() {
        let noise: Vec<u8> = (0..999_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for codec in CODECS {
            for raw in [&b""[..], b"x", &[7; 5000], &noise] {
                let mut stored = Vec::new();
                let len = Compressor::new(codec, &[]).unwrap().append(raw, &mut stored).unwrap();
                assert_eq!(len, stored.len());
                assert!(len <= raw.len());
                assert_eq!(unpack(codec, &stored, raw.len()).unwrap(), raw);
            }
        }
    }

    #[test]
    fn reused_contexts_change_no_byte() {
        for codec in CODECS {
            let mut reused = Compressor::new(codec, &[]).unwrap();
            for round in 0..20_u8 {
                let raw: Vec<u8> = (0..3000_u32).map(|i| (i * i % 251) as u8 ^ round).collect();
                let (mut one, mut other) = (Vec::new(), Vec::new());
                reused.append(&raw, &mut one).unwrap();
                Compressor::new(codec, &[]).unwrap().append(&raw, &mut other).unwrap();
                assert_eq!(one, other);
            }
        }
    }

    /// Whatever a level does with the dictionary's tables, for short pieces and for long ones.
    #[test]
    fn dictionaries_of_all_levels_change_no_byte_either() {
        let line = |i: u64| {
            format!("{{\"user\":{},\"page\":\"/lamps/{}\"}}\n", i * i % 1_009, i * 7 % 31).into_bytes()
        };
        let text: Vec<u8> = (0..12_000).flat_map(line).collect();
        let dictionary = &text[text.len() - 20_000..];
        let prepared = Prepared::new(dictionary).unwrap();
        for level in [-3, 0, 1, 2, 3, 4, 5, 19] {
            let codec = Codec::Zstd { level };
            let mut reused = Compressor::new(codec, dictionary).unwrap();
            for (start, len) in
                [(0, 300), (9, 300_000), (500, 4_000), (70_000, 20_000), (90_000, 60_000), (9, 900)]
            {
                let raw = &text[start..start + len];
                let (mut one, mut other, mut back) = (Vec::new(), Vec::new(), Vec::new());
                reused.append(raw, &mut one).unwrap();
                Compressor::new(codec, dictionary).unwrap().append(raw, &mut other).unwrap();
                assert!(one == other, "level {level}, {len} bytes");
                super::unpack(codec, &one, len, Some(&prepared), &mut back, Section::Frame, 9).unwrap();
                assert!(back == raw, "level {level}, {len} bytes");
            }
        }
    }

    #[test]
    fn false_lengths_are_rejected_before_allocating() {
        for codec in CODECS {
            let mut stored = Vec::new();
            Compressor::new(codec, &[]).unwrap().append(&[1; 4000], &mut stored).unwrap();
            assert!(unpack(codec, &stored, stored.len() - 1).is_err());
            if codec != Codec::None {
                assert!(unpack(codec, &stored, 3999).is_err());
                assert!(unpack(codec, &stored, 4001).is_err());
            }
            assert!(unpack(codec, &stored[..40.min(stored.len())], 1 << 40).is_err());
        }
    }

    /// A piece whose own header promises `len` bytes.
    fn promising(codec: Codec, len: u64) -> Vec<u8> {
        let mut piece = match codec {
            Codec::None | Codec::Lz4 => Vec::new(),
            Codec::Snappy => {
                (0..5).map(|i| (len >> (7 * i)) as u8 & 0x7F | if i < 4 { 0x80 } else { 0 }).collect()
            }
            // Content size of 8 bytes; a window of 2^41 bytes.
            Codec::Zstd { .. } => [&[0xC0, 31 << 3][..], &len.to_le_bytes()].concat(),
        };
        piece.resize(40, 1);
        piece
    }

    #[test]
    fn h04_a_length_of_4_gib_is_refused_before_allocating() {
        for codec in CODECS {
            for promised in [4_000, (1 << 32) - 1, 1 << 40] {
                for len in [usize::MAX, 1 << 40, (1 << 32) - 1, 1 << 22] {
                    let mut out = Vec::new();
                    let piece = promising(codec, promised);
                    super::unpack(codec, &piece, len, None, &mut out, Section::Frame, 9).unwrap_err();
                    assert_eq!(out.capacity(), 0, "{codec:?}, {len} of {promised}");
                }
            }
        }
    }

    /// A piece of some hundred kilobytes that goes on far beyond the 64 KiB it states.
    fn bomb(codec: Codec) -> Vec<u8> {
        match codec {
            Codec::None => vec![0; 1 << 20],
            Codec::Snappy => {
                // 64 KiB in the header, then a literal and copies of 64 bytes.
                let copies = [0b1111_1110, 1, 0].repeat(50_000);
                [&[0x80, 0x80, 0x04, 0, 7][..], &copies].concat()
            }
            // A literal, then one match of 51 MB.
            Codec::Lz4 => [&[0x1F, 7, 1, 0][..], &[255; 200_000], &[0]].concat(),
            Codec::Zstd { .. } => {
                // No content size, a window of 8 MiB; 2^15 blocks of 128 KiB of one byte: 4 GiB.
                let block = |last: u32| {
                    let header = (128 << 10) << 3 | 1 << 1 | last;
                    [&header.to_le_bytes()[..3], &[0]].concat()
                };
                [&[0, 13 << 3][..], &block(0).repeat((1 << 15) - 1), &block(1)].concat()
            }
        }
    }

    #[test]
    fn h05_a_bomb_ends_at_the_stated_length() {
        const LEN: usize = 64 << 10;
        for codec in CODECS {
            let bomb = bomb(codec);
            // What is cut shrinks to a stated length, too: no length of the piece makes it 64 KiB.
            for stored in [&bomb[..], &bomb[..40_000]] {
                let mut out = Vec::new();
                super::unpack(codec, stored, LEN, None, &mut out, Section::Frame, 9).unwrap_err();
                assert!(out.capacity() <= LEN, "{codec:?}: {} bytes", out.capacity());
            }
        }
    }

    /// The bombs are what they are called: with enough room all but the first go on.
    #[test]
    fn bombs_go_off() {
        assert!(unpack_lz4(&bomb(Codec::Lz4)[..40_000], &mut vec![0; 1 << 20]).is_err());
        let mut zstd = decompressor().unwrap();
        let mut out = Vec::with_capacity(1 << 20);
        let code = zstd.decompress(&mut out, &bomb(Codec::default())).unwrap_err();
        assert!(get_error_name(code).contains("too small"), "{}", get_error_name(code));
    }
}
