//! Bytes of users made safe for messages and terminals.

use std::fmt::{self, Display, Write};
use std::ops::Range;

/// Shows `bytes` on one line: control characters as `\n`, `\t`, `\u{1b}`, bytes that are not UTF-8 as `\xff`.
///
/// Marks that change the direction of text are escaped too: they could make a message read as another one.
pub(crate) fn escape(bytes: &[u8]) -> Escaped<'_> {
    Escaped(bytes)
}

/// See [`escape`].
pub(crate) struct Escaped<'a>(&'a [u8]);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if is_unsafe(character) {
                    write!(f, "{}", character.escape_default())?;
                } else {
                    f.write_char(character)?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Whether a terminal could take the character for a command, or a reader the text for another one.
pub(crate) fn is_unsafe(character: char) -> bool {
    character.is_control() || changes_direction(character)
}

fn changes_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Shows `bytes` in double quotes, escaped, and cut after some sixty characters.
pub(crate) fn quote(bytes: &[u8]) -> String {
    const SHOWN: usize = 60;
    let (shown, ellipsis) = match bytes.get(..SHOWN) {
        Some(head) if bytes.len() > SHOWN => (whole_characters(head), "…"),
        _ => (bytes, ""),
    };
    format!("\"{}{ellipsis}\"", escape(shown))
}

/// A size as people read it: `812 B`, `1.3 KiB`, `4.0 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // The exponent is between 1 and 6: the last unit also serves what lies beyond it.
    let exponent = (bytes.ilog2() / 10).min(5);
    let unit = UNITS.get(exponent as usize - 1).unwrap_or(&"");
    format!("{:.1} {unit}", bytes as f64 / (1_u64 << (10 * exponent)) as f64)
}

/// A count with its noun: `1 event`, `14 events`, `1,204 events`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// Where something is in a file: `bytes 10 to 20`, `byte 10`.
pub(crate) fn place(bytes: &Range<u64>) -> String {
    let Range { start, end } = bytes;
    if start < end { format!("bytes {start} to {end}") } else { format!("byte {start}") }
}

/// How many damaged places there are beyond those that are listed; nothing if there are none.
pub(crate) fn more_places(all: u64, listed: usize) -> Option<String> {
    let more = all.saturating_sub(listed as u64);
    (more > 0).then(|| format!("{} more", counted(more, "damaged place", "damaged places")))
}

/// A count with commas between thousands.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Drops a character that was cut in its middle from the end of `bytes`.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.get(..error.valid_up_to()).unwrap_or(bytes),
        _ => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_leaves_no_control_character() {
        let cases: [(&[u8], &str); 6] = [
            (b"plain", "plain"),
            (b"a\nb\tc\r", "a\\nb\\tc\\r"),
            (b"\x1b[31m", "\\u{1b}[31m"),
            (b"\xff\xfeok", "\\xff\\xfeok"),
            ("Zürich".as_bytes(), "Zürich"),
            ("a\u{202e}b\u{9b}".as_bytes(), "a\\u{202e}b\\u{9b}"),
        ];
        for (bytes, shown) in cases {
            assert_eq!(escape(bytes).to_string(), shown);
        }
    }

    #[test]
    fn numbers_are_made_for_reading() {
        for (bytes, shown) in [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1 << 32, "4.0 GiB")] {
            assert_eq!(size(bytes), shown);
        }
        assert_eq!(size(u64::MAX), "16384.0 PiB");
        for (count, shown) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(count), shown);
        }
        assert_eq!((counted(1, "day", "days"), counted(2, "day", "days")), ("1 day".into(), "2 days".into()));
    }

    #[test]
    fn quote_cuts_between_characters() {
        let long = "é".repeat(100);
        assert_eq!(quote(long.as_bytes()), format!("\"{}…\"", "é".repeat(30)));
        let odd = format!("x{long}");
        assert_eq!(quote(odd.as_bytes()), format!("\"x{}…\"", "é".repeat(29)));
        assert_eq!(quote(b"short"), "\"short\"");
    }
}
