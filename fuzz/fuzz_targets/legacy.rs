//! Any bytes as a file of 2014: reading ends, what is reported is what was given, and what is whole gives the same in parts.

#![no_main]

use esdb_format::{Event, Result, limits};
use esdb_legacy::{Legacy, Options};
use libfuzzer_sys::fuzz_target;

/// Events, index entries and bytes of data that came; whether nothing was lost.
fn read(bytes: &[u8], options: Options) -> Option<((u64, u64, usize), bool)> {
    let old = Legacy::open_source(Box::new(bytes.to_vec())).ok()?;
    let (mut events, mut entries, mut data) = (0, 0, 0);
    let mut each = |event: &Event<'_>| -> Result<()> {
        events += 1;
        entries += event.indexes.len() as u64;
        data += event.data.len();
        assert!(event.space.len() <= limits::KEY && event.grouping.len() <= limits::KEY);
        assert!(
            event.indexes.iter().all(|(name, value)| name.len() <= limits::KEY && value.len() <= limits::KEY)
        );
        Ok(())
    };
    let report = old.for_each(&options, &mut each, &mut |_| ()).ok()?;
    assert_eq!((report.events, report.index_entries), (events, entries));
    Some(((events, entries, data), report.is_complete()))
}

fuzz_target!(|bytes: &[u8]| {
    let options = || Options::new().memory(8 << 20).split_index("a:b");
    let whole = read(bytes, options());
    let in_parts = read(bytes, options().segment_for_tests(64));
    // A block of 4 bytes has at most 4,096 of content.
    assert!(whole.is_none_or(|((_, _, data), _)| data <= 1024 * bytes.len()));
    // A cut near damage may come before what tells that the last records are none.
    if matches!(whole, Some((_, true))) {
        assert_eq!(in_parts, whole);
    }
});
