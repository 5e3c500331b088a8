//! How a file is written: the flags that `import`, `merge`, `recover` and `convert` share.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};
use esdb_format::{Codec, Reader, Writer, WriterOptions, limits};

use crate::args::{Usage, parse_bytes};
use crate::outcome::Failure;
use crate::signals;
use crate::text::quote;

/// The least memory that a writer works with, in bytes.
const LEAST_MEMORY: usize = 8 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CodecArg {
    /// Store data as it is
    None,
    /// Fast
    Snappy,
    /// The fastest to read
    Lz4,
    /// The smallest
    Zstd,
}

/// The output and how it is written.
#[derive(Args, Clone, Debug)]
pub(crate) struct WritingArgs {
    /// File to write. It appears under this name when it is whole
    #[arg(
        short,
        long,
        value_name = "FILE",
        value_parser = OsStringValueParser::new().try_map(parse_output),
        help_heading = "Output"
    )]
    pub(crate) output: PathBuf,

    /// Replace the output if it exists
    #[arg(long, help_heading = "Output")]
    pub(crate) force: bool,

    /// How data is compressed [default: zstd]
    #[arg(long, value_enum, help_heading = "Output")]
    codec: Option<CodecArg>,

    /// Level of zstd, from -7 to 22; 0 is 3, or 1 where that does as well on the first events [default: 0]
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i32).range(-7..=22),
        help_heading = "Output"
    )]
    level: Option<i32>,

    /// How much data is compressed as one piece, 256 to 1MiB; up to 16 times that if it holds fewer than 32 events [default: 4KiB, or 8KiB for zstd without a dictionary]
    #[arg(long, value_name = "BYTES", value_parser = parse_frame_size, help_heading = "Output")]
    frame_size: Option<u32>,

    /// How much memory sorting may take, at least 8MiB
    #[arg(long, value_name = "BYTES", default_value = "256MiB", value_parser = parse_memory, help_heading = "Output")]
    pub(crate) memory: usize,

    /// How many threads compress, 1 to 256; the bytes do not depend on it [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "Output")]
    threads: Option<u16>,

    /// An entry of metadata. The key ends at the first `=`. Repeatable
    #[arg(
        long,
        value_name = "KEY=VALUE",
        allow_hyphen_values = true,
        value_parser = OsStringValueParser::new().try_map(parse_meta),
        help_heading = "Output"
    )]
    meta: Vec<Meta>,
}

#[derive(Clone, Debug)]
struct Meta(Vec<u8>, Vec<u8>);

fn parse_output(path: OsString) -> Result<PathBuf, String> {
    if path == "-" {
        return Err("a file is not written to standard output: it begins with what is known last".to_owned());
    }
    Ok(path.into())
}

fn parse_frame_size(text: &str) -> Result<u32, String> {
    let bytes = u32::try_from(parse_bytes(text)?).ok();
    let allowed = limits::FRAME_SIZE_MIN..=limits::FRAME_SIZE_MAX;
    bytes.filter(|bytes| allowed.contains(bytes)).ok_or_else(|| "256 to 1MiB are possible".to_owned())
}

fn parse_memory(text: &str) -> Result<usize, String> {
    let bytes = parse_bytes(text)?;
    if bytes < LEAST_MEMORY { Err("at least 8MiB are needed".to_owned()) } else { Ok(bytes) }
}

fn parse_meta(entry: OsString) -> Result<Meta, String> {
    let entry = entry.as_encoded_bytes();
    let Some(equals) = memchr::memchr(b'=', entry) else {
        return Err(format!("{} is not KEY=VALUE", quote(entry)));
    };
    let (key, value) = entry.split_at(equals);
    Ok(Meta(key.to_vec(), value.get(1..).unwrap_or_default().to_vec()))
}

impl WritingArgs {
    /// What the flags say; where they say nothing, what `like` has: unit, codec, frame size and metadata.
    ///
    /// # Errors
    ///
    /// A level for a codec that has none.
    pub(crate) fn options(&self, like: Option<&Reader>) -> Result<WriterOptions, Usage> {
        let mut options = WriterOptions::new();
        if let Some(like) = like {
            options = options.unit(like.unit()).frame_size(like.frame_size());
            options = like.metadata().fold(options, |options, (key, value)| options.metadata(key, value));
        }
        self.options_over(options, like.map_or_else(Codec::default, Reader::codec))
    }

    /// What the flags say; where they say nothing, what is given.
    ///
    /// # Errors
    ///
    /// A level for a codec that has none.
    pub(crate) fn options_over(&self, options: WriterOptions, codec: Codec) -> Result<WriterOptions, Usage> {
        let mut options = options.replace(self.force).memory(self.memory).codec(self.codec(codec)?);
        if let Some(frame_size) = self.frame_size {
            options = options.frame_size(frame_size);
        }
        if let Some(threads) = self.threads {
            options = options.threads(threads.into());
        }
        let entries = self.meta.iter();
        Ok(entries.fold(options, |options, Meta(key, value)| options.metadata(&key[..], &value[..])))
    }

    /// Begins the output. From here on SIGINT and SIGTERM remove what is there of it.
    ///
    /// # Errors
    ///
    /// What the system says, and options that do not fit.
    pub(crate) fn create(&self, options: WriterOptions) -> Result<Writer, Failure> {
        signals::remove_temporaries_at_end()?;
        options.create(&self.output).map_err(Failure::of(&self.output))
    }

    fn codec(&self, default: Codec) -> Result<Codec, Usage> {
        let codec = match (self.codec, default) {
            (None, default) | (Some(CodecArg::Zstd), default @ Codec::Zstd { .. }) => default,
            (Some(CodecArg::None), _) => Codec::None,
            (Some(CodecArg::Snappy), _) => Codec::Snappy,
            (Some(CodecArg::Lz4), _) => Codec::Lz4,
            (Some(CodecArg::Zstd), _) => Codec::default(),
        };
        match (codec, self.level) {
            (codec, None) => Ok(codec),
            (Codec::Zstd { .. }, Some(level)) => Ok(Codec::Zstd { level }),
            (codec, Some(_)) => Err(Usage(format!("--level is for zstd; the codec is {}", codec.name()))),
        }
    }
}
