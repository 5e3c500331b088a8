"""Timestamps as whole numbers of a unit since the Unix epoch, without floats."""

import datetime
import functools
import re
from fractions import Fraction

DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()
CLOCK = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:(Z)|([+-])(\d\d):?(\d\d))?", re.ASCII
)


def from_text(text, unit, *, zone_is_utc=False):
    """Reads `2018-03-24T17:15:20.865716Z` and its relatives: space for T, offsets, no zone."""
    match = CLOCK.fullmatch(text)
    if not match:
        raise ValueError(f"not a time: {text!r}")
    date, hour, minute, second, fraction, zulu, sign, zone_hour, zone_minute = match.groups()
    if not (zulu or sign or zone_is_utc):
        raise ValueError(f"a time without a zone: {text!r}")
    seconds = days(date) * 86_400 + int(hour) * 3_600 + int(minute) * 60 + int(second)
    if sign:
        offset = int(zone_hour) * 3_600 + int(zone_minute) * 60
        seconds -= offset if sign == "+" else -offset
    return seconds * 10 ** DIGITS[unit] + scaled_fraction(fraction or "", unit)


@functools.cache
def days(date):
    return datetime.date.fromisoformat(date).toordinal() - EPOCH_DAY


def scaled_fraction(fraction, unit):
    digits = DIGITS[unit]
    if fraction[digits:].strip("0"):
        raise ValueError(f"finer than {unit}: .{fraction}")
    return int(fraction[:digits].ljust(digits, "0") or "0")


def from_number(text, unit_of_text, unit):
    """Reads the decimal text of an epoch number given in `unit_of_text`."""
    exact = Fraction(text) * Fraction(10) ** (DIGITS[unit] - DIGITS[unit_of_text])
    if exact.denominator != 1:
        raise ValueError(f"finer than {unit}: {text} {unit_of_text}")
    return exact.numerator
