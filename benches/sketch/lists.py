#!/usr/bin/env python3
"""Bytes per entry of posting lists: differences against the split of the numbers, by frame size.

    esdb import -o FILE.esdb …; python3 lists.py FILE.esdb NAME…      (esdb on the path, numpy installed)

Sizes by formula: the table entry of each frame, and per frame the shortest form that is allowed.
"""
import json
import subprocess
import sys

import numpy as np

FRAMES = (128, 512, 1024)
GROUP = 128  # differences are packed in groups of so many, each with a width of its own
SHORT_LIST = 4  # bytes of a list that stands in its table


def lists(path, names):
    """Number in time of every event that has a value, by (name, value)."""
    times, found = [], {}
    with subprocess.Popen(["esdb", "scan", path], stdout=subprocess.PIPE) as scan:
        for ordinal, line in enumerate(scan.stdout):
            event = json.loads(line)
            times.append(event["timestamp"])
            for name in names:
                for value in np.atleast_1d(event.get("index", {}).get(name, [])):
                    found.setdefault((name, value), []).append(ordinal)
    number = np.empty(len(times), int)
    number[np.argsort(np.array(times), kind="stable")] = np.arange(len(times))
    return [np.sort(number[ordinals]) for ordinals in found.values()]


def bits(numbers):
    return np.frexp(numbers.astype(float))[1]


def packed(gaps):
    """Differences above the least one, in the width that is cheapest with its exceptions."""
    above = gaps - gaps.min()
    base = 1 + (gaps.min() >= 1 << 7) + (gaps.min() >= 1 << 14)
    counts = np.bincount(bits(above), minlength=1)
    widest = len(counts) - 1
    exceptions = np.array([counts[width + 1:].sum() for width in range(widest + 1)])
    widths = np.arange(widest + 1)
    patches = np.where(exceptions > 0, 2 + exceptions + (exceptions * (widest - widths) + 7) // 8, 0)
    return 1 + base + ((len(gaps) * widths + 7) // 8 + patches).min()


def split(gaps):
    """Low parts of one width, and a bitmap of the high parts."""
    span, count = gaps.sum(), len(gaps)
    middle = max(0, int(np.log2(max(1, span / count))))
    widths = range(max(0, middle - 2), middle + 3)
    return 3 + min((count * width + 7) // 8 + (count + (span >> width) + 7) // 8 for width in widths)


def size(numbers, frame, forms):
    if len(numbers) == 1:
        return SHORT_LIST
    total = 0
    for start in range(0, len(numbers), frame):
        gaps = np.diff(numbers[start:start + frame]) - 1
        total += 7 if len(numbers) > frame else SHORT_LIST
        if len(gaps) > 0:
            total += min(form(gaps) for form in forms)
    return total


def differences(gaps):
    return sum(packed(gaps[at:at + GROUP]) for at in range(0, len(gaps), GROUP))


def main(path, *names):
    every = lists(path, names)
    entries = sum(map(len, every))
    print(f"{len(every)} lists, {entries} entries")
    for frame in FRAMES:
        for title, forms in [("differences", [differences]), ("split or differences", [differences, split])]:
            total = sum(size(numbers, frame, forms) for numbers in every)
            print(f"{title}, {frame}: {total / entries:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
