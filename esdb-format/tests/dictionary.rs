//! The two copies of a file's dictionary: one of them is enough to read it.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use esdb_format::{Error, Event, EventBuf, Reader, VerifyLevel, WriterOptions};

const MARKER: &[u8] = b"\x89ESDBD\r\n";

/// Text that trains a dictionary, and behind it so many bytes that do not compress.
fn write(noise_len: usize) -> (Vec<u8>, Vec<EventBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.esdb");
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state >> 33
    };
    let text = |i: i64| format!(r#"{{"type":"purchase","customer":"c-{}","country":"Norway"}}"#, i * i % 997);
    let texts = (0..8_000).map(|i| Event::new("a", i, text(i).as_bytes()).into());
    let noises = (0..noise_len as i64 / 1_000).map(|i| {
        let data: Vec<u8> = (0..250).flat_map(|_| (noise() as u32).to_le_bytes()).collect();
        Event::new("b", i, &data).into()
    });
    let events: Vec<EventBuf> = texts.chain(noises).collect();
    let mut writer = WriterOptions::new().frame_size(512).create(&path).unwrap();
    events.iter().for_each(|event| writer.add(event.as_event()).unwrap());
    writer.finish().unwrap();
    (std::fs::read(path).unwrap(), events)
}

fn scan(bytes: &[u8]) -> Result<Vec<EventBuf>, Error> {
    Reader::from_bytes(bytes.to_vec())?.scan().map(|event| event?.into_owned()).collect()
}

/// The lengths that the section at `at` states, of the dictionary and of what is stored.
fn lengths(bytes: &[u8], at: usize) -> [u32; 2] {
    [16, 20].map(|field| u32::from_le_bytes(bytes[at + field..][..4].try_into().unwrap()))
}

#[test]
fn one_of_both_copies_is_enough() {
    for (noise, as_it_is) in [(0, false), (17 << 20, true)] {
        let (whole, truth) = write(noise);
        let places: Vec<usize> = memchr::memmem::find_iter(&whole, MARKER).collect();
        let [first, second] = places[..] else { panic!("{places:?}") };
        let [len, stored] = lengths(&whole, first);
        assert!(stored < len);
        assert_eq!(lengths(&whole, second), [len, if as_it_is { len } else { stored }]);
        assert!(scan(&whole).unwrap() == truth);
        for at in [first, second] {
            let mut damaged = whole.clone();
            damaged[at + 100] ^= 1;
            assert!(scan(&damaged).unwrap() == truth, "byte {at}");
            let reader = Reader::from_bytes(damaged).unwrap();
            assert!(!reader.verify(VerifyLevel::Checksums).problems.is_empty(), "byte {at}");
        }
        let mut damaged = whole;
        [first, second].into_iter().for_each(|at| damaged[at + 100] ^= 1);
        assert!(matches!(scan(&damaged), Err(Error::Corrupt(problem)) if problem.rule == "D2"));
    }
}
