//! Bytes of users made safe for messages and terminals.

use std::fmt::{self, Display, Write};

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
                if character.is_control() || changes_direction(character) {
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
    fn quote_cuts_between_characters() {
        let long = "é".repeat(100);
        assert_eq!(quote(long.as_bytes()), format!("\"{}…\"", "é".repeat(30)));
        let odd = format!("x{long}");
        assert_eq!(quote(odd.as_bytes()), format!("\"x{}…\"", "é".repeat(29)));
        assert_eq!(quote(b"short"), "\"short\"");
    }
}
