//! Numbers of epoch time, taken digit by digit.

/// Why a number is not a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecimalError {
    /// Not a number.
    Syntax,
    /// Minus zero, which no integer is.
    NegativeZero,
    /// A fraction remains.
    TooFine,
    /// Not an `i64`.
    OutOfRange,
}

/// Reads an integer: an optional minus, then digits.
pub(crate) fn integer(text: &str) -> Result<i64, DecimalError> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DecimalError::Syntax);
    }
    if digits.len() < text.len() && digits.bytes().all(|byte| byte == b'0') {
        return Err(DecimalError::NegativeZero);
    }
    text.parse().map_err(|_| DecimalError::OutOfRange)
}

/// Reads a decimal number, with a fraction and an exponent if it likes, times ten to the power of `shift`.
///
/// The product must be a whole number. `1521911720.865716` shifted by 6 is 1521911720865716.
pub(crate) fn shifted(text: &str, shift: i32) -> Result<i64, DecimalError> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        None => (text, 0),
    };
    let digits = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let negative = digits.len() < mantissa.len();
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    if whole.is_empty() || fraction == Some("") {
        return Err(DecimalError::Syntax);
    }

    let fraction = fraction.unwrap_or_default();
    let mut significant = Significant::default();
    let whole_fits = significant.extend(whole)?;
    let fits = whole_fits && significant.extend(fraction)?;
    if !fits {
        return Err(if whole_fits { DecimalError::TooFine } else { DecimalError::OutOfRange });
    }
    if significant.value == 0 {
        return if negative { Err(DecimalError::NegativeZero) } else { Ok(0) };
    }

    let fraction_digits = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    let power = i64::from(shift) + exponent - fraction_digits + i64::from(significant.zeros);
    let power = u32::try_from(power)
        .map_err(|_| if power < 0 { DecimalError::TooFine } else { DecimalError::OutOfRange })?;
    let magnitude = 10_i128
        .checked_pow(power)
        .and_then(|factor| factor.checked_mul(significant.value))
        .ok_or(DecimalError::OutOfRange)?;
    i64::try_from(if negative { -magnitude } else { magnitude }).map_err(|_| DecimalError::OutOfRange)
}

/// Digits read so far: `value` times ten to the power of `zeros`. `value` has no trailing zero.
#[derive(Default)]
struct Significant {
    value: i128,
    zeros: u32,
}

impl Significant {
    /// Appends `digits`. Returns false when there are too many to hold.
    fn extend(&mut self, digits: &str) -> Result<bool, DecimalError> {
        let mut fits = true;
        for byte in digits.bytes() {
            match byte {
                b'0' if self.value == 0 => {}
                b'0' => self.zeros += 1,
                b'1'..=b'9' => {
                    let digit = i128::from(byte - b'0');
                    let longer = 10_i128
                        .checked_pow(self.zeros + 1)
                        .and_then(|factor| self.value.checked_mul(factor))
                        .and_then(|value| value.checked_add(digit));
                    match longer {
                        Some(value) => *self = Self { value, zeros: 0 },
                        None => fits = false,
                    }
                }
                _ => return Err(DecimalError::Syntax),
            }
        }
        Ok(fits)
    }
}

/// Reads an exponent. One of more than nine digits is as good as one of nine.
fn parse_exponent(text: &str) -> Result<i64, DecimalError> {
    const HUGE: i64 = 999_999_999;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DecimalError::Syntax);
    }
    let magnitude = digits.parse().map_or(HUGE, |value: i64| value.min(HUGE));
    Ok(if text.starts_with('-') { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;
    use DecimalError::{NegativeZero, OutOfRange, Syntax, TooFine};

    #[test]
    fn integer_takes_64_bits_and_nothing_else() {
        let cases = [
            ("0", Ok(0)),
            ("-1", Ok(-1)),
            ("9223372036854775807", Ok(i64::MAX)),
            ("-9223372036854775808", Ok(i64::MIN)),
            ("9223372036854775808", Err(OutOfRange)),
            ("-9223372036854775809", Err(OutOfRange)),
            ("-0", Err(NegativeZero)),
            ("1.5", Err(Syntax)),
            ("1e3", Err(Syntax)),
            ("+1", Err(Syntax)),
            ("-", Err(Syntax)),
            ("", Err(Syntax)),
            (" 1", Err(Syntax)),
        ];
        for (text, expected) in cases {
            assert_eq!(integer(text), expected, "{text}");
        }
    }

    #[test]
    fn shifted_is_exact() {
        let cases = [
            ("1521911720.865716", 6, Ok(1_521_911_720_865_716)),
            ("1521911720.865716", 9, Ok(1_521_911_720_865_716_000)),
            ("1521911720.865716", 3, Err(TooFine)),
            ("1521911720.000000", 0, Ok(1_521_911_720)),
            ("1.521911720865716E9", 6, Ok(1_521_911_720_865_716)),
            ("15219117208657160e-1", 0, Ok(1_521_911_720_865_716)),
            ("5000", -3, Ok(5)),
            ("5001", -3, Err(TooFine)),
            ("-0.5", 3, Ok(-500)),
            ("0.000", 0, Ok(0)),
            ("-0.0", 0, Err(NegativeZero)),
            ("007", 0, Ok(7)),
            ("9223372036854775807", 0, Ok(i64::MAX)),
            ("-9223372036854775808", 0, Ok(i64::MIN)),
            ("9223372036854775808", 0, Err(OutOfRange)),
            ("9223372036854775807", 3, Err(OutOfRange)),
            ("1e400", 0, Err(OutOfRange)),
            ("1e99999999999999999999", 0, Err(OutOfRange)),
            ("1e-99999999999999999999", 0, Err(TooFine)),
            ("0e99999999999999999999", 0, Ok(0)),
            ("1e", 0, Err(Syntax)),
            (".5", 3, Err(Syntax)),
            ("5.", 3, Err(Syntax)),
            ("1.2.3", 3, Err(Syntax)),
            ("abc", 0, Err(Syntax)),
            ("1 ", 0, Err(Syntax)),
            ("0x10", 0, Err(Syntax)),
            ("--1", 0, Err(Syntax)),
            ("", 0, Err(Syntax)),
        ];
        for (text, shift, expected) in cases {
            assert_eq!(shifted(text, shift), expected, "{text} shifted by {shift}");
        }
    }

    #[test]
    fn shifted_stands_many_digits() {
        let zeros = "0".repeat(100);
        assert_eq!(shifted(&format!("{zeros}1.5{zeros}"), 1), Ok(15));
        assert_eq!(shifted(&format!("1.{zeros}1"), 9), Err(TooFine));
        assert_eq!(shifted(&"9".repeat(100), 0), Err(OutOfRange));
        assert_eq!(shifted(&format!("1{zeros}"), -100), Ok(1));
        assert_eq!(shifted(&format!("1{zeros}x"), 0), Err(Syntax));
    }
}
