//! Values of flags that several verbs share.

use std::fmt::{self, Display};

/// A wrong use of the command; it ends with exit code 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Usage(pub(crate) String);

impl Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Reads a number of bytes: `4096`, `64KiB`, `256MiB`, `1GiB`, and in thousands `64kB`, `256MB`, `1GB`.
pub(crate) fn parse_bytes(text: &str) -> Result<usize, String> {
    const UNITS: [(&str, usize); 7] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
    ];
    let unit = UNITS.iter().find_map(|(name, factor)| Some((text.strip_suffix(name)?, *factor)));
    let (digits, factor) = unit.unwrap_or((text, 1));
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a size is a number of bytes such as 4096, 64KiB, 256MiB or 1GiB".to_owned());
    }
    let count = digits.parse::<usize>().ok().and_then(|count| count.checked_mul(factor));
    count.ok_or_else(|| "the size is out of range".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_binary_and_decimal_units() {
        let cases = [
            ("0", Ok(0)),
            ("4096", Ok(4096)),
            ("1B", Ok(1)),
            ("64KiB", Ok(65_536)),
            ("256MiB", Ok(268_435_456)),
            ("1GiB", Ok(1_073_741_824)),
            ("64kB", Ok(64_000)),
            ("1GB", Ok(1_000_000_000)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_bytes(text), expected, "{text}");
        }
        for text in
            ["", "MiB", "-1", "1.5GiB", "1K", "1mib", "1 MiB", "99999999999999999999", "99999999999GiB"]
        {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}
