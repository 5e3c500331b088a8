#!/usr/bin/env python3
"""A second reader of esdb files in plain Python, written from format.md alone; to be read beside that page.

    python reader.py scan FILE [-s SPACE [-g GROUPING]] [-i NAME=VALUE]... [-S SINCE] [-U UNTIL] [-r]
    python reader.py verify FILE

`scan` prints events as lines of JSON; `verify` checks every rule that binds readers. Sections (§), their order and rule ids
(H1, …) are those of format.md; what it needs beside the standard library stands in requirements.txt. It is made to be read,
not to be fast: it decodes all blocks and trees. `scan` selects events by what the trees say, `verify` compares that with
what follows from the events.
"""

import argparse, functools, math, os, pathlib, struct, sys  # noqa: E401
from collections import Counter, defaultdict, namedtuple
from itertools import accumulate, chain, islice, pairwise
from zlib import crc32

import blake3, cramjam, lz4.block, zstandard  # noqa: E401

from lines import native_line

HEADER_MAGIC, FOOTER_MAGIC = b"\x89ESDB\r\n\x1a", b"\x89ESDBF\r\n"
BLOCK_MARKER, DICTIONARY_MARKER = b"\x89ESDBB\r\n", b"\x89ESDBD\r\n"
FOOTER, ROOT = struct.Struct("<QHBBIIIIIIIQqq120sQII32s32sIIH6s8s"), struct.Struct("<QIIQ")
DICTIONARY_HEAD, BLOCK_HEAD = struct.Struct("<8sQIIII"), struct.Struct("<8sQQIIIQIIBBBBI")
CODECS, SHRINK = ("none", "snappy", "lz4", "zstd"), (1, 32, 256, 65536)  # Z2: no piece shrinks further
TREES = ("time order", "index names", "spaces", "groupings", "blocks")
KIB, MIB, TIME_FRAME = 1 << 10, 1 << 20, 4096
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"  # frames stand without it

Handle = namedtuple("Handle", "offset length checksum")
Event = namedtuple("Event", "space grouping timestamp pairs data")
Tables = namedtuple("Tables", "spaces groupings names values lists time_order")


class Reject(Exception):
    """Its arguments: the rule that is broken, and where"""


def need(holds, rule, place):
    if not holds:
        raise Reject(rule, place)


def ascending(items):
    return all(a < b for a, b in pairwise(items))


def repeated(items, counts):
    return [item for item, count in zip(items, counts) for _ in range(count)]


# §3: the file


class File:
    def __init__(self, path):
        """§3.4, and the fields of §3.2 that the footer repeats"""
        self.data, self.pages = pathlib.Path(path).read_bytes(), defaultdict(list)  # pages: (offset, length), by tree
        tail, newer = self.data[-288:], "the file is newer than this program reads"
        missing = "the end of the file is missing" if self.data.startswith(HEADER_MAGIC) else "this is not an esdb file"
        need(tail[280:] == FOOTER_MAGIC, "F2", missing)
        (length, header_version, self.unit, self.codec, required, _, frame_size, self.dictionary_length,
         self.dictionary_checksum, _, _, self.count, self.earliest, self.latest, roots, *facts, self.content_digest,
         self.file_digest, checksum, footer_length, version, _, _) = FOOTER.unpack(tail)
        need(version <= 1, "V1", newer)
        need(footer_length == 288 and crc32(tail[:264] + tail[268:]) == checksum, "F2", "footer")
        need(length == len(self.data), "F3", "footer")
        need(header_version <= 1, "V1", newer)
        need(required == 0, "V2", "the file needs features that this program does not know")
        need(self.unit < 4 and self.codec < 4 and 256 <= frame_size <= MIB, "H2", "header")
        need(self.dictionary_length <= 128 * KIB and self.count < 1 << 63, "L1", "footer: dictionary, number of events")
        need(self.codec == 3 if self.dictionary_length else self.dictionary_checksum == 0, "D1", "header: dictionary")
        header = HEADER_MAGIC + b"\1\0" + self.data[10:32] + bytes(28)
        need(self.data[:64] == header + crc32(header).to_bytes(4, "little"), "H1", "header")
        need(self.data[8:32] + self.data[60:64] + bytes(4) == tail[8:40] and tail[272:280] == b"\1" + bytes(7), "F4", "footer")
        self.roots = {tree: (Handle(*root[:3]), root[3]) for tree, root in zip(TREES, ROOT.iter_unpack(roots))}
        self.facts, (self.dictionary, self.dictionary_end) = Handle(*facts), self.read_dictionary(64)

    def read(self, rule, place, offset, length, checksum=None):
        data = self.data[offset:offset + length]
        need(len(data) == length and checksum in (None, crc32(data)), rule, f"{place} at {offset}")
        return data

    def read_dictionary(self, at):
        """§3.3: the dictionary, and where its section ends"""
        if self.dictionary_length == 0:
            return None, at
        head = self.read("D1", "dictionary", at, 32)
        marker, offset, length, stored, checksum, section_checksum = DICTIONARY_HEAD.unpack(head)
        need(marker == DICTIONARY_MARKER, "D1", f"dictionary at {at}")
        data = self.read("D2", "dictionary", at + 32, stored)
        good = (offset, length, checksum) == (at, self.dictionary_length, self.dictionary_checksum)
        need(good and crc32(head[:28] + data) == section_checksum, "D2", f"dictionary at {at}")
        plain = undo_piece(CODECS.index("zstd"), data, length, "dictionary")
        need(crc32(plain) == checksum, "D2", f"dictionary at {at}, decompressed")
        return zstandard.ZstdCompressionDict(plain, dict_type=zstandard.DICT_TYPE_FULLDICT), at + 32 + stored


# §4: primitives


class Cursor:
    """Reads primitives from bytes one after another; to run past their end, or not to reach it, breaks `rule`."""

    def __init__(self, data, rule, place):
        self.data, self.rule, self.place, self.at, self.unfolded = data, rule, place, 0, 0

    def take(self, length):
        need(self.at + length <= len(self.data), self.rule, self.place)
        self.at += length
        return self.data[self.at - length:self.at]

    def rest(self):
        return self.take(len(self.data) - self.at)

    def end(self):
        need(self.at == len(self.data), self.rule, self.place)

    def uint(self, size):
        return int.from_bytes(self.take(size), "little")

    def key64(self):
        return int.from_bytes(self.take(8), "big")

    def varint(self):
        groups = [self.uint(1)]
        while groups[-1] > 127 and len(groups) < 10:
            groups.append(self.uint(1))
        value = sum((group & 127) << 7 * i for i, group in enumerate(groups))
        need(groups[-1] < 128 and value < 1 << 64 and (groups[-1] or len(groups) == 1), "C1", self.place)
        return value

    def svarint(self):
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def handle(self):
        return Handle(self.varint(), self.varint(), self.uint(4))

    def packed(self, count, width):
        bits = int.from_bytes(self.take((count * width + 7) // 8), "little")
        need(bits >> count * width == 0, "I2", self.place)
        return [bits >> i * width & (1 << width) - 1 for i in range(count)]

    def frame(self, n):
        """§4.1: an integer frame of n values"""
        inner = Cursor(self.data[self.at:], "I1", self.place)
        first, base = inner.uint(1), inner.varint()
        width, (count, high) = first & 127, inner.take(2) if first & 128 else (0, 0)
        need(width + high <= 64 and (count > 0 or first < 128), "I1", self.place)
        values, positions, highs = inner.packed(n, width), inner.take(count), inner.packed(count, high)
        need(ascending(positions) and max(positions, default=0) < n and all(highs), "I1", self.place)
        for position, part in zip(positions, highs):
            values[position] |= part << width
        need(base + max(values) < 1 << 64, "I2", self.place)
        self.at += inner.at
        return [base + value for value in values]

    def column(self, n):
        return [value for i in range(0, n, 128) for value in self.frame(min(128, n - i))]

    def numbers(self, first, count):
        """A first number, then a column of the differences between neighbours minus 1 (§6.5)"""
        return list(accumulate((gap + 1 for gap in self.column(count - 1)), initial=first))

    def ascending_frame(self, first, m):
        """§4.5, the first number known"""
        width = self.uint(1) if m > 1 else 255
        if width == 255:
            return self.numbers(first, m)
        need(width < 63, "A1", self.place)
        zeros, lows = self.varint(), self.packed(m - 1, width)
        bits = int.from_bytes(self.take((m + 6 + zeros) // 8), "little")
        ones = [place for place, bit in enumerate(f"{bits:b}"[::-1]) if bit == "1"]
        need(len(ones) == m - 1 and ones[-1] == m - 2 + zeros, "A1", self.place)
        numbers = [first + i + (one - i + 1 << width | low) for i, (one, low) in enumerate(zip(ones, lows), 1)]
        need(ascending([first, *numbers]) and numbers[-1] < 1 << 64, "A1", self.place)
        return [first, *numbers]

    def string(self, previous, shared, length, limit=65535):
        """§4.2; `unfolded` is the sum of all lengths"""
        need(shared <= len(previous), "K1", self.place)
        self.unfolded += shared + length
        need(shared + length <= limit and self.unfolded <= 32 * MIB, "L1", self.place)
        return previous[:shared] + self.take(length)

    def short_lengths(self):
        """§6.2: what a key shares, and the length of its suffix"""
        both = self.uint(1)
        return tuple(short + (self.varint() if short == 15 else 0) for short in divmod(both, 16))

    def strings(self, count, previous=b""):
        return [previous := self.string(previous, self.varint(), self.varint()) for _ in range(count)]

    def about_value(self):
        """§6.4: the value of an index value; its posting list, or the root of the list's tree"""
        count, earliest, span = self.varint(), self.svarint(), self.varint()
        return count, earliest, span, self.handle() if count > 128 else self.ascending_frame(self.varint(), count)

    def list_frame(self):
        """§6.4: the value of a posting list's frame, counted from its first time number"""
        return self.ascending_frame(0, self.varint())

    def time_frame(self):
        """§6.5: first timestamp and ordinals"""
        events, timestamp, different = self.varint(), self.svarint(), self.varint()
        need(1 <= different <= events <= TIME_FRAME, "T7", self.place)
        bases, codes = self.numbers(self.varint(), different), self.packed(events, (different - 1).bit_length())
        need(set(codes) == set(range(different)), "T7", self.place)
        following = [iter(range(base, base + events)) for base in bases]
        return timestamp, [next(following[code]) for code in codes]


def fields(data, names, place):
    """A key or value: what the methods of these names read; one alone is not in a tuple"""
    cursor = Cursor(data, "P4", place)
    found = tuple(getattr(cursor, name)() for name in names.split())
    cursor.end()
    return found if len(found) > 1 else found[0]


def undo_piece(codec, stored, size, place, dictionary=None):
    """§4.3: the `size` bytes that are stored as `stored`"""
    if len(stored) == size:
        return stored
    need(codec and len(stored) < size, "Z1", place)
    need(size <= SHRINK[codec] * len(stored), "Z2", place)
    try:
        if CODECS[codec] == "snappy":
            need(cramjam.snappy.decompress_raw_len(stored) == size, "Z2", place)
            plain = bytes(cramjam.snappy.decompress_raw(stored))
        elif CODECS[codec] == "lz4":
            plain = lz4.block.decompress(stored, uncompressed_size=size)
        else:
            stored = ZSTD_MAGIC + stored
            frame = zstandard.get_frame_parameters(stored)
            need(frame.content_size == size and not frame.has_checksum and not frame.dict_id, "Z2", place)
            plain = zstandard.ZstdDecompressor(dict_data=dictionary).decompress(stored, allow_extra_data=False)
    except Exception as error:  # each library has errors of its own
        raise Reject("Z2", place) from error
    need(len(plain) == size, "Z2", place)
    return plain


def read_page(file, handle, value="rest", name=None):
    """§4.4; `name`: that of one of the five trees, if the page is in it"""
    need(handle.length <= 256 * KIB, "L1", f"page at {handle.offset}")
    cursor, keys, values = Cursor(file.read("P1", "page", *handle), "P4", f"page at {handle.offset}"), [], []
    level, count = cursor.uint(1), cursor.uint(2)
    need(level < 32, "L1", cursor.place)
    restarts, has_extents = [cursor.uint(2) for _ in range(0, count, 16)], level == 0 and name in ("spaces", "groupings")
    if has_extents and count:
        cursor, values = read_extents(file, cursor, count, name)
    start = cursor.at
    for i in range(count):
        need(i % 16 or cursor.at - start == restarts[i // 16], "P4", cursor.place)
        shared, suffix = cursor.short_lengths() if has_extents else (cursor.varint(), cursor.varint())
        length = None if has_extents else cursor.varint()
        keys.append(cursor.string(keys[-1] if i % 16 else b"", shared, suffix, 8 + 65535))
        if not has_extents:
            values.append(fields(cursor.take(length), "handle varint" if level else value, cursor.place))
    cursor.end()
    need(ascending(keys), "P2", cursor.place)
    return level, keys, values


def read_extents(file, cursor, count, name):
    """§6.2: the keys of a leaf of spaces or groupings; of each first ordinal, extent, number of groupings, the only one"""
    place, starts = cursor.place, [cursor.uint(2) for _ in range(0, count, 128)]
    keys, only, stored = [cursor.varint() for _ in range(3)]
    need(count <= 256 and max(keys, only, stored) <= 256 * KIB, "L1", place)
    strings = undo_piece(file.codec, cursor.take(stored), keys + only, place)
    area, rows, groupings = cursor.rest(), [], Cursor(strings[keys:], "P4", place)
    need(starts[0] == 0, "P4", place)
    for start, end in pairwise([*starts, len(area)]):
        need(start <= end, "P4", place)
        frame, n = Cursor(area[start:end], "P4", place), min(128, count - len(rows))
        first, at = frame.varint(), frame.varint() if name == "spaces" else 0
        base, step = frame.svarint(), frame.varint()
        counts = [more + 1 for more in frame.column(n)]
        gaps = frame.column(n - 1) if name == "groupings" else [0] * (n - 1)
        firsts, several = frame.column(n), sum(events > 1 for events in counts)
        spans = iter(frame.column(several))
        more = iter(frame.column(several) if name == "spaces" else [0] * several)
        spans, more = ([next(column) if events > 1 else 0 for events in counts] for column in (spans, more))
        lengths = iter(frame.column(more.count(0)) if name == "spaces" else [0] * n)
        frame.end()
        need(step > 0 and min(firsts) == 0 and max(map(sum, zip(firsts, spans))) * step + base < 1 << 63, "P6", place)
        need(sum(counts) + sum(gaps) + first < 1 << 63, "P6", place)
        need(all(some < events for some, events in zip(more, counts)), "P6", place)
        need(at == groupings.at, "P4", place)
        for events, gap, time, span, some in zip(counts, [*gaps, 0], firsts, spans, more):
            length = 0 if some else next(lengths)
            need(length <= 65535, "L1", place)
            rows.append((first, events, base + time * step, span * step, some + 1, groupings.take(length)))
            first += events + gap
    groupings.end()
    return Cursor(strings[:keys], "P4", place), rows


def tree(file, name, key_fields, value_fields, root=None, count=0):
    """Key and value of the leaf entries of one of the five trees, or of one below it; its pages are noted in post-order"""
    keys, (root, count) = [], (root, count) if root else file.roots[name]

    def below(handle, parent=None, first=None):
        place, (level, *entries) = f"page at {handle.offset}", read_page(file, handle, value_fields, name)
        need(entries[0] or parent is None and level == 0, "P4", place)
        need(parent in (None, level + 1), "P3", place)
        need(first in (None, *entries[0][:1]), "P2", place)
        for key, value in zip(*entries):
            if level:
                need(value[1] == len(keys), "P3", place)
                yield from below(value[0], level, key)
            else:
                need(not keys or keys[-1] < key, "P2", place)
                keys.append(key)
                yield fields(key, key_fields, place), value
        file.pages[name].append(handle[:2])

    yield from below(root)
    need(len(keys) == count, "P3", f"tree at {root.offset}")


# §5: event blocks


class Block:
    """An event block, decoded; it agrees with its entry in the table of blocks (§6.1)."""

    def __init__(self, file, ordinal, handle, rows_said, earliest, span):
        """§5.1"""
        self.handle, self.codec, self.place = handle, file.codec, f"block at {handle.offset}"
        whole = Cursor(file.read("B1", "block", *handle[:2]), "T1", self.place)
        head = whole.take(60)
        (marker, offset, first, self.count, rows_length, labels_length, payload_length, rows_checksum, dictionary_checksum,
         unit, codec, has_dictionary, zero, checksum) = BLOCK_HEAD.unpack(head)
        self.columns_length = rows_length + labels_length
        good = (marker, offset, unit, codec, has_dictionary, dictionary_checksum, zero) == (
            BLOCK_MARKER, handle.offset, file.unit, file.codec, file.dictionary_length > 0, file.dictionary_checksum, 0)
        need(good and crc32(head[:56]) == checksum, "B1", self.place)
        need(1 <= self.count <= 4096 and payload_length < (1 << 30) + MIB, "L1", self.place)
        length = 60 + self.columns_length + payload_length
        need((first, rows_length, length, checksum) == (ordinal, rows_said, *handle[1:]), "T1", self.place)
        rows, labels, self.payload = whole.take(rows_length), whole.take(labels_length), whole.rest()
        need(crc32(rows) == rows_checksum, "B1", f"{self.place}, row areas")
        self.events = [Event(*key, *others) for key, *others in zip(*self.read_columns(rows, labels, file.dictionary))]
        times = [event.timestamp for event in self.events]
        need((earliest, span) == (min(times), max(times) - min(times)), "T1", self.place)

    def read_columns(self, rows, labels, dictionary):
        """§5.2: of every event (space, grouping), timestamp, index pairs and data"""
        place, count, directory = self.place, self.count, Cursor(rows, "B4", f"{self.place}, row areas")
        spaces, groupings, self.frames, names, *sizes = [directory.varint() for _ in range(8)]
        need(spaces <= groupings <= count, "B6", place)
        plain_sizes, checked, labels = [], [], Cursor(labels, "B4", f"{place}, label areas")
        for i in range(2 + names):
            plain_sizes += [directory.varint()] if i < 2 else []
            checked.append((directory.varint(), directory.uint(4)))
        need(max(plain_sizes) <= 32 * MIB, "L1", place)
        areas = [directory.take(size) for size in sizes]
        directory.end()
        areas += [labels.take(size) for size, _ in checked]
        labels.end()
        need([crc32(area) for area in areas[4:]] == [checksum for _, checksum in checked], "B1", labels.place)
        areas[4:6] = [undo_piece(self.codec, *piece, labels.place) for piece in zip(areas[4:6], plain_sizes)]
        runs, times, lengths, frames, keys, values, *indexes = areas = [Cursor(area, "B4", place) for area in areas]

        spaces, groupings = keys.strings(spaces), keys.strings(groupings)
        of_space, of_grouping = ([more + 1 for more in runs.column(len(strings))] for strings in (spaces, groupings))
        need(sum(of_space) == len(groupings) and sum(of_grouping) == count, "B6", place)
        keys = list(zip(repeated(spaces, of_space), groupings))
        need(ascending(spaces) and ascending(keys), "B5", place)

        smallest, step, firsts = times.svarint(), times.varint(), times.column(len(keys))
        need(step > 0 and min(firsts) == 0, "B5", place)
        others = iter(times.column(count - len(keys)))
        runs = [accumulate(islice(others, events - 1), initial=first) for first, events in zip(firsts, of_grouping)]
        timestamps = [smallest + step * time for run in runs for time in run]
        need(max(timestamps) < 1 << 63, "B5", place)

        lengths = lengths.column(count)
        need(max(lengths) < 1 << 30, "L1", place)
        in_frame, stored = [more + 1 for more in frames.column(self.frames)], frames.column(self.frames)
        checksums = [frames.uint(4) for _ in range(self.frames)]
        need(sum(in_frame) == count, "B6", place)
        need(sum(stored) == len(self.payload), "B7", place)
        payload, data = Cursor(self.payload, "B7", place), []
        for events, size, checksum in zip(in_frame, stored, checksums):
            piece, ends = payload.take(size), [0, *accumulate(lengths[len(data):len(data) + events])]
            need(crc32(piece) == checksum, "B11", f"{place}, payload")
            plain = undo_piece(self.codec, piece, ends[-1], f"{place}, payload", dictionary)
            data += [plain[start:end] for start, end in pairwise(ends)]

        pairs = self.read_indexes(values, indexes)
        for area in areas:
            area.end()
        return repeated(keys, of_grouping), timestamps, pairs, data

    def read_indexes(self, values, columns):
        """Areas 6 and 7: the index pairs of every event"""
        pairs, names = [[] for _ in range(self.count)], []
        for column in columns:
            names += values.strings(1, *names[-1:])
            texts, form = values.strings(values.varint()), column.uint(1)
            need(ascending(names) and ascending(texts) and form < 2, "B8", self.place)
            entries = column.varint() if form else self.count
            rows = list(accumulate(column.column(entries))) if form else range(self.count)
            common, codes = column.varint(), column.column(entries)
            need(max(common, *codes) < len(texts), "B8", self.place)
            entries = [(row, (code + common) % len(texts)) for row, code in zip(rows, codes)]
            need(entries and ascending(entries) and rows[-1] < self.count, "B8", self.place)
            need({place for _, place in entries} == set(range(len(texts))), "B8", self.place)
            for row, place in entries:
                pairs[row].append((names[-1], texts[place]))
        need(all(len(some) <= 131072 and sum(map(len, chain(*some))) <= 16 * MIB for some in pairs), "L1", self.place)
        return pairs


@functools.cache
def read_blocks(file):
    """All blocks, and all events in file order"""
    blocks, events = [], []
    for ordinal, value in tree(file, "blocks", "key64", "handle varint svarint varint"):
        blocks.append(block := Block(file, ordinal, *value))
        need(ordinal == len(events), "B2", block.place)
        need(not events or events[-1][:3] <= block.events[0][:3], "B5", block.place)
        events += block.events
    need(len(events) == file.count, "F5", "footer: number of events")
    return blocks, events


# §6: trees


@functools.cache
def read_tables(file):
    """All but the blocks. What is said of a space, grouping, name or pair, its time numbers, the frames of the time order"""
    spaces = dict(tree(file, "spaces", "rest", None))
    groupings = {key: about[:4] for key, about in tree(file, "groupings", "key64 rest", None)}
    time_order = dict(tree(file, "time order", "key64", "time_frame"))
    names, values, lists = {}, {}, {}
    for name, (*names[name], root) in tree(file, "index names", "rest", "varint varint svarint varint handle"):
        for value, (*about, numbers) in tree(file, "index names", "rest", "about_value", root, names[name][0]):
            if about[0] > 128:
                frames = list(tree(file, "index names", "key64", "list_frame", numbers, (about[0] + 1023) // 1024))
                need(all(len(frame) == 1024 for _, frame in frames[:-1]), "T5", "posting list")
                numbers = [first + number for first, frame in frames for number in frame]
            need(len(numbers) == about[0] and max(numbers) < file.count, "T5", "posting list")
            values[name, value], lists[name, value] = about, numbers
    return Tables(spaces, groupings, names, values, lists, time_order)


def in_time_order(file):
    """§6.5: the ordinals of all time numbers"""
    tables, ordinals = read_tables(file), []
    for first, count, _, _, groupings, _ in tables.spaces.values():
        need(first == len(ordinals) and count <= file.count - first, "T2", "spaces")
        for i in range(first, first + count, TIME_FRAME):
            size = min(TIME_FRAME, first + count - i)
            _, frame = tables.time_order.get(i, (0, ())) if groupings > 1 else (0, range(i, i + size))
            need(len(frame) == size, "T7" if frame else "T6", f"time order: {i}")
            ordinals += frame
    need(sorted(ordinals) == list(range(file.count)), "T6" if len(ordinals) == file.count else "T2", "spaces, time order")
    return ordinals


def derive(events):
    """What the tables must hold"""
    order = sorted(range(len(events)), key=lambda ordinal: (events[ordinal].space, events[ordinal].timestamp, ordinal))
    of_space, of_grouping, of_name, of_pair = (defaultdict(list) for _ in range(4))  # time numbers
    for number, ordinal in enumerate(order):
        space, grouping, _, pairs, _ = events[ordinal]
        of_space[space].append(number)
        of_grouping[space, grouping].append(number)
        for pair in pairs:
            of_name[pair[0]].append(number)
            of_pair[pair].append(number)

    def about(numbers):
        times = [events[order[number]].timestamp for number in numbers]
        return len(times), min(times), max(times) - min(times)

    parts, values = Counter(space for space, _ in of_grouping), Counter(name for name, _ in of_pair)
    only = {space: grouping for space, grouping in of_grouping if parts[space] == 1}
    frames = [some[i:i + TIME_FRAME]
              for space, some in of_space.items() if parts[space] > 1 for i in range(0, len(some), TIME_FRAME)]
    return Tables(
        {space: (some[0], *about(some), parts[space], only.get(space, b"")) for space, some in of_space.items()},
        {(of_space[space][0], grouping): (order[some[0]], *about(some))
         for (space, grouping), some in of_grouping.items() if parts[space] > 1},
        {name: [values[name], *about(some)] for name, some in of_name.items()},
        {pair: [*about(some)] for pair, some in of_pair.items()},
        of_pair,
        {some[0]: (events[order[some[0]]].timestamp, [order[number] for number in some]) for some in frames})


# §7, §8: facts, digests


def read_facts(file):
    """The statistics, and where extra sections are"""
    cursor = Cursor(file.read("X3", "facts", *file.facts), "X3", "facts")
    statistics, _ = [cursor.varint() for _ in range(15)], cursor.svarint()
    metadata = [(cursor.take(cursor.varint()), cursor.take(cursor.varint())) for _ in range(cursor.varint())]
    extra = [(cursor.varint(), cursor.handle()) for _ in range(cursor.varint())]
    cursor.end()
    need(sum(map(len, chain(*metadata))) <= 16 * MIB, "L1", "facts: user metadata")
    need(ascending([key for key, _ in metadata]), "X2", "facts: user metadata")
    for _, handle in extra:
        file.read("X4", "extra section", *handle)
    return statistics, [handle[:2] for _, handle in extra]


def content_digest(unit, events):
    digest = blake3.blake3(bytes([unit]))
    for space, grouping, timestamp, pairs, data in events:
        texts = [struct.pack("<I", len(text)) + text for text in (space, grouping, *chain(*pairs), data)]
        digest.update(b"".join([*texts[:2], struct.pack("<qI", timestamp, len(pairs)), *texts[2:]]))
    return digest.digest()


# §9: reading


def scan(file, space=None, grouping=None, pairs=(), since=-math.inf, until=math.inf, reverse=False):
    """A grouping is one of a space; any value of a name, every name; `until` is the first time not wanted"""
    (_, events), tables, order = read_blocks(file), read_tables(file), in_time_order(file)
    wanted = set(order)
    if space is not None:
        first, count, *_, groupings, only = tables.spaces.get(space, (0, 0, 0, b""))
        if grouping is not None:
            alone = first, count if (groupings, only) == (1, grouping) else 0
            first, count, *_ = tables.groupings.get((first, grouping), alone)
        wanted = set(range(first, first + count))
    for name in {name for name, _ in pairs}:
        wanted &= {order[number] for pair in pairs if pair[0] == name for number in tables.lists.get(pair, ())}
    if space is None and not pairs:
        order = range(file.count)
    for event in [events[ordinal] for ordinal in (reversed(order) if reverse else order) if ordinal in wanted]:
        need(space in (None, event.space) and grouping in (None, event.grouping), "T2", "spaces and groupings")
        need({name for name, _ in pairs} == {name for name, _ in {*pairs} & {*event.pairs}}, "T5", "posting lists")
        if since <= event.timestamp < until:
            yield event


def verify(file):
    (statistics, extra_sections), (blocks, events), tables = read_facts(file), read_blocks(file), read_tables(file)
    times = [event.timestamp for event in events] or [0]
    need((min(times), max(times)) == (file.earliest, file.latest), "F5", "footer: time range")
    derived = derive(events)
    for rule, what, found, expected in zip(("T2", "T3", "T4", "T4", "T5"), Tables._fields, tables, derived):
        need(found == expected, rule, what)
    in_time_order(file)  # T7 first
    need(tables.time_order == derived.time_order, "T6", "time order")
    expected = [
        len(derived.spaces), sum(about[4] for about in derived.spaces.values()), len(derived.names), len(derived.lists),
        sum(map(len, derived.lists.values())), len(blocks), sum(block.frames for block in blocks),
        sum(len(event.data) for event in events), sum(len(block.payload) for block in blocks),
        sum(60 + block.columns_length for block in blocks), *(sum(size for _, size in file.pages[tree]) for tree in TREES)]
    need(statistics == expected, "X1", "facts: statistics")
    end = sum(blocks[-1].handle[:2]) if blocks else file.dictionary_end
    parts = [(0, 64), (64, file.dictionary_end - 64), *(block.handle[:2] for block in blocks),
             (end, file.read_dictionary(end)[1] - end), *(page for tree in TREES for page in file.pages[tree][:-1]),
             *(file.pages[tree][-1] for tree in TREES), *extra_sections, file.facts[:2], (len(file.data) - 288, 288)]
    for (offset, length), (after, _) in pairwise(parts):
        need(offset + length == after, "F1", f"what begins at {after}")
    need(blake3.blake3(file.data[:-56]).digest() == file.file_digest, "G1", "file digest")
    need(content_digest(file.unit, events) == file.content_digest, "G1", "content digest")


# The command


def main():
    parser = argparse.ArgumentParser(description="A second reader of esdb files.")
    add = parser.add_argument
    add("verb", choices=["scan", "verify"])
    add("file", type=File)
    add("-s", "--space", type=os.fsencode)
    add("-g", "--grouping", type=os.fsencode)
    add("-i", "--index", dest="pairs", action="append", default=[], type=lambda text: os.fsencode(text).partition(b"=")[::2])
    add("-S", "--since", type=int, default=-math.inf, help="in the file's unit")
    add("-U", "--until", type=int, default=math.inf, help="in the file's unit; the first timestamp not wanted")
    add("-r", "--reverse", action="store_true")
    try:
        options = vars(parser.parse_args())
        if options.pop("verb") == "scan":
            return sys.stdout.buffer.writelines(map(native_line, scan(**options)))
        verify(options["file"])
        print("ok")
    except Reject as error:
        return "{1} [{0}]".format(*error.args)


if __name__ == "__main__":
    sys.exit(main())
