//! Any bytes as a file of 2014: reading ends, and what is reported is what was given.

#![no_main]

use esdb_format::{Event, Result, limits};
use esdb_legacy::{Legacy, Options};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let len = bytes.len();
    let Ok(old) = Legacy::open_source(Box::new(bytes.to_vec())) else { return };
    let (mut events, mut entries, mut data) = (0, 0, 0);
    let mut each = |event: Event<'_>| -> Result<()> {
        events += 1;
        entries += event.indexes.len() as u64;
        data += event.data.len();
        assert!(event.space.len() <= limits::KEY && event.grouping.len() <= limits::KEY);
        assert!(
            event.indexes.iter().all(|(name, value)| name.len() <= limits::KEY && value.len() <= limits::KEY)
        );
        Ok(())
    };
    let options = Options::new().memory(8 << 20).split_index("a:b");
    if let Ok(report) = old.for_each(&options, &mut each, &mut |_| ()) {
        assert_eq!((report.events, report.index_entries), (events, entries));
        // A block of 4 bytes has at most 4,096 of content.
        assert!(data <= 1024 * len);
    }
});
