//! The esdb archive format.

mod checksum;
mod codec;
mod compression;
mod dictionary;
mod error;
mod event;
mod footer;
mod handle;
mod header;
pub mod limits;
mod mmap;
mod packed;
mod page;
mod source;
mod strings;
mod tree;
mod unit;

pub use compression::Codec;
pub use error::{Error, ErrorKind, Problem, Result, Section};
pub use event::{Event, EventBuf};
pub use source::Source;
pub use unit::Unit;
