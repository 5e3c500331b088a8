//! The verbs: one file each, with its flags and what it does.

pub(crate) mod convert;
pub(crate) mod count;
pub(crate) mod groupings;
pub(crate) mod import;
pub(crate) mod indexes;
pub(crate) mod info;
pub(crate) mod merge;
pub(crate) mod recover;
pub(crate) mod scan;
pub(crate) mod spaces;
pub(crate) mod verify;
