//! The esdb archive format.

mod event;
mod unit;

pub use event::{Event, EventBuf};
pub use unit::Unit;
