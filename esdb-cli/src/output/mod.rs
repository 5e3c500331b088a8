//! Events as text, one format per file.

pub(crate) mod ndjson;
