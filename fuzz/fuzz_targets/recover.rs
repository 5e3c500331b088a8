//! Any bytes as a damaged file: what is saved of it is a whole file; of a whole file everything is saved.

#![no_main]

use esdb_format::{Error, Reader, ReaderOptions, Recovery, VerifyLevel, fuzzing};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    let ignore = first & 1 == 1;
    fuzzing::ignore_checksums(ignore);
    let Ok(broken) = Recovery::open_source(Box::new(bytes.to_vec())) else { return };
    let path = std::env::temp_dir().join(format!("fuzz-recover-{}.esdb", std::process::id()));
    let options = broken.options().threads(1).memory(8 << 20).replace(true);
    let recovered = match broken.write(options.create(&path).expect("options")) {
        Ok(recovered) => recovered,
        Err(Error::NothingWhole) => return,
        Err(error) => panic!("{error}"),
    };
    let saved = Reader::from_bytes(std::fs::read(&path).expect("saved")).expect("whole");
    let found = saved.verify(VerifyLevel::Deep);
    assert!(found.is_ok(), "{:?}", found.problems);
    assert_eq!(saved.scan().filter(Result::is_ok).count() as u64, recovered.summary.events);
    let original = ReaderOptions::new().cache(256 << 10).open_source(Box::new(bytes.to_vec()));
    if let (Ok(original), false) = (original, ignore)
        && original.verify(VerifyLevel::Deep).is_ok()
    {
        assert!(recovered.is_complete(), "{recovered:?}");
        assert_eq!((recovered.events_lost, original.events()), (0, saved.events()));
    }
});
