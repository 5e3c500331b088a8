//! What stands at fixed places: header, facts and footer of a file, heads of blocks. What is decoded is encoded to the same bytes.

use crate::block::Head;
use crate::compression::Codec;
use crate::facts::Facts;
use crate::footer::Footer;
use crate::header::{Header, Layout};
use crate::unit::Unit;
use crate::verify::VerifyLevel;
use crate::{Reader, checksum};

/// Any bytes as a block's head, at the offset that they state.
pub fn head(bytes: &[u8]) {
    let offset = super::Choices(bytes.get(8..).unwrap_or_default()).number(8);
    let Ok((mut head, traits)) = Head::decode_any(bytes, offset) else { return };
    let layout = Layout {
        unit: traits.unit,
        codec: traits.codec,
        optional_flags: 0,
        frame_size: 0,
        dictionary_len: u32::from(traits.dictionary.is_some()),
        dictionary_checksum: traits.dictionary.unwrap_or_default(),
    };
    let decoded = head;
    let again = head.encode(&layout);
    assert_eq!(again[..Head::SIZE - 4], bytes[..Head::SIZE - 4]);
    assert_eq!(
        Head::decode(&again, offset, &layout).expect("whole"),
        Head { checksum: head.checksum, ..decoded }
    );
    let others = Layout { unit: Unit::Nanoseconds, codec: Codec::None, ..layout };
    assert_eq!(Head::decode(&again, offset, &others).is_ok(), others == layout);
}

/// An open file: its ends as they would be written.
pub fn ends(reader: &Reader, bytes: &[u8]) {
    let (footer, facts) = (&reader.file.footer, &reader.file.facts);
    let stored = &bytes[bytes.len() - Footer::SIZE..];
    let mut again = footer.encode();
    assert_eq!(again[..264], stored[..264]);
    again[264..268].copy_from_slice(&stored[264..268]);
    assert_eq!(again, stored);
    let stored = &bytes[footer.facts.offset as usize..][..footer.facts.len as usize];
    assert_eq!(facts.encode(), stored);
    assert_eq!(&Facts::decode(stored, 0).expect("it was decoded"), facts);
    let header = Header::decode(bytes);
    if reader.verify(VerifyLevel::Quick).is_ok() {
        assert_eq!(header.expect("verified").layout, footer.layout);
    } else if let Ok(header) = header {
        assert!(checksum::are_ignored() || Header::new(header.layout).encode() == bytes[..Header::SIZE]);
    }
}
