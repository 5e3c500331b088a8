#!/usr/bin/env python3
"""A second reader of the esdb file format, in plain Python, written from format.md alone.

    python reader.py scan FILE [-s SPACE] [-g GROUPING] [-i NAME=VALUE]... [--since T] [--until T] [-r] [-n LIMIT]
    python reader.py verify FILE        (verifier.py)
    python reader.py info FILE          (verifier.py)

What it needs beside the standard library stands in requirements.txt. Section numbers (§) and rule ids (H1, …) are those of
format.md. The code goes from small to large: primitives, event blocks, the file with its trees and tables, scans, command.
"""

import argparse, base64, bisect, functools, itertools, json, math, os, re, struct, sys, zlib  # noqa: E401
from collections import defaultdict, namedtuple

import cramjam, lz4.block, zstandard  # noqa: E401

HEADER_MAGIC, FOOTER_MAGIC = b"\x89ESDB\r\n\x1a", b"\x89ESDBF\r\n"
BLOCK_MARKER, DICTIONARY_MARKER = b"\x89ESDBB\r\n", b"\x89ESDBD\r\n"
HEADER, HEADER_FIELDS = struct.Struct("<8s24s28sI"), struct.Struct("<HBBIIIII")
FOOTER, ROOT = struct.Struct("<Q24sIIQqq120s16s32s32sIIH6s8s"), struct.Struct("<QIIQ")
DICTIONARY_HEAD, BLOCK_HEAD = struct.Struct("<8sQIIII"), struct.Struct("<8sQQIIQIIBBBBI")
KIB, MIB = 1 << 10, 1 << 20
CODECS, MOST = ("none", "snappy", "lz4", "zstd"), {"snappy": 32, "lz4": 256, "zstd": 65536}  # no piece shrinks further, Z2
TREES = ("time order", "index names", "spaces", "groupings", "blocks")
VALUES = "posting lists, values"

Handle = namedtuple("Handle", "offset length checksum")
Tree = namedtuple("Tree", "part root count rule")  # rule: what a wrong number of leaf entries breaks
Stated = namedtuple("Stated", "level first before next end")  # what its parent says of a page and of the one after it
Page = namedtuple("Page", "level keys values size last")  # size of all entries; where the last one begins
BlockEntry = namedtuple("BlockEntry", "ordinal offset length checksum earliest span")
Run = namedtuple("Run", "first count earliest span groupings grouping")  # a space or a grouping, as its table has it
Frame = namedtuple("Frame", "row offset stored plain checksum")
Event = namedtuple("Event", "space grouping timestamp pairs data")


class Refused(Exception):
    def __init__(self, rule, message):
        super().__init__(f"{rule}: {message}")
        self.rule = rule


class Reject(Refused):
    """The file is damaged."""


class Unsupported(Refused):
    """The file is newer than this reader."""


def need(holds, rule, message):
    if not holds:
        raise Reject(rule, message)


def need_checksum(data, checksum, rule, place):
    found = zlib.crc32(data)
    need(found == checksum, rule, f"{place}: checksum {checksum:#x} expected, found {found:#x}")


def ascending(items):
    return all(a < b for a, b in itertools.pairwise(items))


def sums(items):
    """0, the first, the first two, … all together"""
    return list(itertools.accumulate(items, initial=0))


def key64(number):
    return number.to_bytes(8, "big")


# §4 Primitives


class Cursor:
    """Reads primitives from bytes one after another; to run past their end, or not to reach it, breaks `rule`."""

    def __init__(self, data, rule, place):
        self.data, self.rule, self.place, self.at, self.undone = data, rule, place, 0, 0

    def take(self, length):
        left = len(self.data) - self.at
        need(length <= left, self.rule, f"{self.place}: {length} bytes expected at its byte {self.at}, {left} are left")
        self.at += length
        return self.data[self.at - length:self.at]

    def end(self):
        left = len(self.data) - self.at
        need(left == 0, self.rule, f"{self.place}: {left} bytes are left over after its byte {self.at}")

    def uint(self, size):
        return int.from_bytes(self.take(size), "little")

    def varint(self):
        value, shift, byte = 0, 0, 128
        while byte & 128 and shift < 70:
            byte = self.uint(1)
            value |= (byte & 127) << shift
            shift += 7
        bad = byte & 128 or value >> 64 or (byte == 0 and shift > 7)
        need(not bad, "C1", f"{self.place}: varint before its byte {self.at} is too long or not the shortest")
        return value

    def svarint(self):
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def handle(self):
        return Handle(self.varint(), self.varint(), self.uint(4))

    def packed(self, count, width):
        bits = int.from_bytes(self.take((count * width + 7) // 8), "little")
        need(bits >> count * width == 0, "I2", f"{self.place}: unused bits before its byte {self.at} are not zero")
        return [bits >> i * width & (1 << width) - 1 for i in range(count)]

    def frame(self, n):
        """§4.1: an integer frame of n values"""
        first, base = self.uint(1), self.varint()
        width, exceptions, high = first & 127, 0, 0
        if first & 128:
            exceptions, high = self.uint(1), self.uint(1)
            need(1 <= exceptions <= n and high >= 1, "I1", f"{self.place}: {exceptions} exceptions of {high} bits")
        need(width + high <= 64, "I1", f"{self.place}: values of {width} + {high} bits")
        values, positions, highs = self.packed(n, width), self.take(exceptions), self.packed(exceptions, high)
        good = ascending(positions) and all(position < n for position in positions) and all(highs)
        need(good, "I1", f"{self.place}: exceptions at {list(positions)}, high parts {highs}")
        for position, part in zip(positions, highs):
            values[position] |= part << width
        need(base + max(values) < 1 << 64, "I2", f"{self.place}: a value has more than 64 bits")
        return [base + value for value in values]

    def column(self, n):
        return [value for i in range(0, n, 128) for value in self.frame(min(128, n - i))]

    def numbers(self, first, count):
        """A first number, then the differences between neighbours minus 1 in an integer frame (§6.4, §6.5)"""
        gaps = self.frame(count - 1) if count > 1 else []
        return list(itertools.accumulate((gap + 1 for gap in gaps), initial=first))

    def front_coded(self, previous, shared, length):
        """§4.2; the longest string is a key of groupings: key64 and 65,535 bytes"""
        need(shared <= len(previous), "K1", f"{self.place}: {shared} bytes shared with a string of {len(previous)}")
        need(shared + length <= 65543, "L1", f"{self.place}: a string of {shared + length} bytes")
        return previous[:shared] + self.take(length)

    def string(self, previous):
        string = self.front_coded(previous, self.varint(), self.varint())
        self.undone += len(string)
        need(len(string) <= 65535 and self.undone <= 32 * MIB, "L1", f"{self.place}: strings of {self.undone} bytes")
        return string

    def strings(self, count):
        return list(itertools.accumulate(range(count), lambda previous, _: self.string(previous), initial=b""))[1:]


def undo_piece(codec, stored, size, place, dictionary=None):
    """§4.3: the `size` bytes that are stored as `stored`"""
    need(len(stored) <= size, "Z1", f"{place}: {size} bytes are stored in {len(stored)}")
    if len(stored) == size:
        return stored
    need(codec != "none", "Z1", f"{place}: {size} bytes are stored in {len(stored)} without a codec")
    need(size <= MOST[codec] * len(stored), "Z2", f"{place}: {len(stored)} bytes of {codec} cannot hold {size}")
    try:
        plain = decompress(codec, stored, size, dictionary)
    except Exception as error:  # each library has errors of its own
        raise Reject("Z2", f"{place}: {codec} says {error}") from error
    need(len(plain) == size, "Z2", f"{place}: {size} bytes expected from {codec}, found {len(plain)}")
    return plain


def decompress(codec, stored, size, dictionary):
    if codec == "lz4":
        return lz4.block.decompress(stored, uncompressed_size=size)
    if codec == "snappy":
        need(cramjam.snappy.decompress_raw_len(stored) == size, "Z2", "another length")
        return bytes(cramjam.snappy.decompress_raw(stored))
    frame = zstandard.get_frame_parameters(stored)
    need(frame.content_size == size and not frame.has_checksum and not frame.dict_id, "Z2", "another frame header")
    return zstandard.ZstdDecompressor(dict_data=dictionary).decompress(stored, allow_extra_data=False)


# §5 Event blocks


class Block:
    """An event block; its columns are decoded at once, a payload frame when an event of it is asked for."""

    def __init__(self, file, entry, sum_before=None):
        self.file, self.entry, self.place, self.plain = file, entry, f"block at {entry.offset}", {}
        need(entry.length >= 56, "T1", f"{self.place}: length {entry.length}")
        data = file.read(entry.offset, entry.length, "T1", self.place)
        self.read_head(data[:56], sum_before)
        columns, self.payload = data[56:56 + self.columns_length], data[56 + self.columns_length:]
        need_checksum(columns, self.columns_checksum, "B1", f"{self.place}, columns")
        self.read_columns(columns)
        earliest, latest = min(self.times), max(self.times)
        need((earliest, latest - earliest) == (entry.earliest, entry.span), "T1",
             f"{self.place}: times {earliest} to {latest}, in the table {entry.earliest} + {entry.span}")

    def read_head(self, head, sum_before):
        """§5.1, and that the table of blocks says the same"""
        (marker, offset, self.ordinal, self.count, self.columns_length, self.payload_length, self.columns_checksum,
         dictionary, unit, codec, has_dictionary, zero, checksum) = BLOCK_HEAD.unpack(head)
        file, entry, place = self.file, self.entry, self.place
        need(marker == BLOCK_MARKER, "B1", f"{place}: no marker")
        need_checksum(head[:52], checksum, "B1", f"{place}, head")
        need(offset == entry.offset and zero == 0, "B1", f"{place}: own offset {offset}, zero byte {zero}")
        need((unit, codec, has_dictionary, dictionary) == (file.unit, file.codec_number, file.dictionary_length > 0,
             file.dictionary_checksum), "B1", f"{place}: unit, codec or dictionary are not the file's")
        need(1 <= self.count <= 4096, "L1", f"{place}: {self.count} events")
        need(sum_before in (None, self.ordinal), "B2", f"{place}: first ordinal {self.ordinal}, {sum_before} events before")
        found = self.ordinal, 56 + self.columns_length + self.payload_length, checksum
        said = entry.ordinal, entry.length, entry.checksum
        need(found == said, "T1", f"{place}: first ordinal, length, checksum {found}, in the table {said}")

    def read_columns(self, columns):
        """§5.2"""
        cursor = self.area(columns, "columns")
        spaces, groupings, frames, names, keys_plain, keys, *sizes, values_plain, values = \
            [cursor.varint() for _ in range(12)]
        sizes = [keys, *sizes, values, *(cursor.varint() for _ in range(names))]
        need(spaces <= groupings <= self.count >= frames, "B6", f"{self.place}: {spaces}, {groupings}, {frames} runs")
        need(max(keys_plain, values_plain) <= 32 * MIB, "L1", f"{self.place}: areas of {keys_plain}, {values_plain} bytes")
        left = len(columns) - cursor.at
        need(sum(sizes) == left, "B4", f"{self.place}: areas of {sum(sizes)} bytes in columns of {left}")
        areas = [cursor.take(size) for size in sizes]
        areas[0] = undo_piece(self.file.codec, areas[0], keys_plain, f"{self.place}, keys")
        areas[5] = undo_piece(self.file.codec, areas[5], values_plain, f"{self.place}, values")
        keys, runs, times, lengths, frame_area, values, *indexes = areas = [self.area(area, "area") for area in areas]
        self.read_runs(keys.strings(spaces), keys.strings(groupings), runs.column(spaces), runs.column(groupings))
        self.read_times(times.svarint(), times.varint(), times.column(groupings), times.column(self.count - groupings))
        self.lengths = lengths.column(self.count)
        need(max(self.lengths) < 1 << 30, "L1", f"{self.place}: data of {max(self.lengths)} bytes")
        self.read_frames([value + 1 for value in frame_area.column(frames)], frame_area.column(frames),
                         [frame_area.uint(4) for _ in range(frames)])
        self.read_indexes(values, indexes)
        for area in areas:
            area.end()

    def area(self, data, name):
        return self.file.cursor(data, "B4", f"{self.place}, {name}")

    def read_runs(self, space_list, grouping_list, groupings_less_1, events_less_1):
        """Areas 1 and 2: the spaces and groupings of the events"""
        self.run_lengths = [value + 1 for value in events_less_1]
        of_space = [space for space, more in zip(space_list, groupings_less_1) for _ in range(more + 1)]
        add_up = len(of_space) == len(grouping_list) and sum(self.run_lengths) == self.count
        need(add_up, "B6", f"{self.place}: runs do not add up")
        runs = list(zip(of_space, grouping_list))
        need(ascending(space_list) and ascending(runs), "B5", f"{self.place}: spaces or groupings do not ascend")
        self.keys = [run for run, count in zip(runs, self.run_lengths) for _ in range(count)]

    def read_times(self, smallest, step, firsts, others):
        """Area 3"""
        need(step >= 1, "B5", f"{self.place}: times have step 0")
        self.times, self.time_parts, further = [], (step, firsts, others), iter(others)
        for first, count in zip(firsts, self.run_lengths):
            run = itertools.accumulate(itertools.islice(further, count - 1), initial=first)
            self.times += [smallest + step * time for time in run]
        need(max(self.times) < 1 << 63, "B5", f"{self.place}: timestamp {max(self.times)}")

    def read_frames(self, counts, stored, checksums):
        """Area 5"""
        need(sum(counts) == self.count, "B6", f"{self.place}: events of frames do not add up")
        need(sum(stored) == self.payload_length, "B7", f"{self.place}: frames of {sum(stored)} bytes, not {self.payload_length}")
        self.starts, rows = sums(self.lengths), sums(counts)  # where data begins, would all frames be one
        plain = [self.starts[b] - self.starts[a] for a, b in itertools.pairwise(rows)]
        self.frames = [Frame(*fields) for fields in zip(rows, sums(stored), stored, plain, checksums)]

    def read_indexes(self, values, columns):
        """Areas 6 and 7"""
        self.pairs, self.forms, name = [[] for _ in range(self.count)], [], None
        for column in columns:
            before, name = name, values.string(name or b"")
            need(before is None or before < name, "B8", f"{self.place}: index name {name!r} does not ascend")
            texts = values.strings(values.varint())
            need(texts and ascending(texts), "B8", f"{self.place}: no values of {name!r}, or they do not ascend")
            for row, place in self.read_index_column(column, len(texts)):
                self.pairs[row].append((name, texts[place]))
        good = all(len(pairs) <= 131072 and sum(len(name) + len(value) for name, value in pairs) <= 16 * MIB
                   for pairs in self.pairs)
        need(good, "L1", f"{self.place}: too many or too long index pairs in one event")

    def read_index_column(self, area, values):
        form = area.uint(1)
        need(form <= 1, "B9", f"{area.place}: form {form}")
        count = area.varint() if form else self.count
        rows = list(itertools.accumulate(area.column(count))) if form else range(count)
        entries = list(zip(rows, area.column(count)))
        self.forms.append((form, rows))
        need(entries and ascending(entries) and rows[-1] < self.count, "B8", f"{area.place}: entries do not ascend")
        good = {place for _, place in entries} == set(range(values))
        need(good, "B8", f"{area.place}: a value does not occur, or a place is not below {values}")
        return entries

    def data(self, row):
        """§5.3; the frame's checksum comes first (B11)"""
        number = bisect.bisect_right(self.frames, row, key=lambda frame: frame.row) - 1
        frame, place = self.frames[number], f"{self.place}, frame {number}"
        if number not in self.plain:
            stored = self.payload[frame.offset:frame.offset + frame.stored]
            need_checksum(stored, frame.checksum, "B11", place)
            dictionary = self.file.dictionary() if self.file.dictionary_length else None
            self.plain[number] = undo_piece(self.file.codec, stored, frame.plain, place, dictionary)
        at = self.starts[row] - self.starts[frame.row]
        return self.plain[number][at:at + self.lengths[row]]

    def event(self, row):
        return Event(*self.keys[row], self.times[row], self.pairs[row], self.data(row))


# §3 The file, §4.4 trees, §6 tables, §9 lookups and scans


class File:
    cursor = Cursor

    def __init__(self, path):
        self.source = open(path, "rb")
        self.size = os.fstat(self.source.fileno()).st_size
        self.page = functools.lru_cache(256)(self.read_page)
        self.block = functools.lru_cache(64)(functools.partial(Block, self))
        self.dictionary = functools.cache(self.first_dictionary)
        self.read_footer()

    def read(self, offset, length, rule, place):
        need(offset + length <= self.size, rule, f"{place}: ends at {offset + length}, the file at {self.size}")
        self.source.seek(offset)
        data = self.source.read(length)
        need(len(data) == length, rule, f"{place}: {length} bytes expected, {len(data)} read")
        return data

    def read_footer(self):
        """§3.4"""
        tail = self.read(max(self.size - 288, 0), min(self.size, 288), "F2", "footer")
        if len(tail) < 288 or tail[280:] != FOOTER_MAGIC:
            ours = self.read(0, min(self.size, 8), "F2", "header") == HEADER_MAGIC
            raise Reject("F2", "no footer: " + ("the file is cut off or unfinished" if ours else "not an esdb file"))
        (length, fields, self.header_checksum, zero, self.count, self.earliest, self.latest, roots, facts,
         self.content_digest, self.file_digest, checksum, footer_length, version, zeros, _) = FOOTER.unpack(tail)
        check_version(version)
        need(footer_length == 288, "F2", f"footer: length 288 expected, found {footer_length}")
        need_checksum(tail[:264] + tail[268:], checksum, "F2", "footer")
        need(length == self.size, "F3", f"footer: the file had {length} bytes, now it has {self.size}")
        need(zero == 0 and not any(zeros), "F4", "footer: bytes 36 to 39 or 274 to 279 are not zero")
        self.read_header_fields(fields)
        need(self.count < 1 << 63, "L1", f"footer: {self.count} events")
        self.trees = {name: Tree(name, Handle(*root[:3]), root[3], "P3") for name, root in zip(TREES, ROOT.iter_unpack(roots))}
        self.facts_handle = Handle(*struct.unpack("<QII", facts))

    def read_header_fields(self, fields):
        """§3.2, from the footer's copy of them"""
        (version, self.unit, self.codec_number, required, _, self.frame_size, self.dictionary_length,
         self.dictionary_checksum) = HEADER_FIELDS.unpack(fields)
        check_version(version)
        if required:
            raise Unsupported("V2", f"the file needs features that this reader does not know: flags {required:#x}")
        need(self.unit < 4 and self.codec_number < 4, "H2", f"header: unit {self.unit}, codec {self.codec_number}")
        need(256 <= self.frame_size <= MIB, "H2", f"header: frame size {self.frame_size}")
        need(self.dictionary_length <= 128 * KIB, "L1", f"header: dictionary of {self.dictionary_length} bytes")
        self.codec, self.header_fields = CODECS[self.codec_number], fields
        need(self.codec == "zstd" or not self.dictionary_length, "D1", f"header: dictionary with codec {self.codec}")
        need(self.dictionary_length or not self.dictionary_checksum, "D2", "header: checksum without a dictionary")

    def read_header(self):
        data = self.read(0, 64, "H1", "header")
        magic, fields, zeros, checksum = HEADER.unpack(data)
        need(magic == HEADER_MAGIC, "H1", "header: no magic")
        need_checksum(data[:60], checksum, "H1", "header")
        need(not any(zeros), "H1", "header: bytes 32 to 59 are not zero")
        need((fields, checksum) == (self.header_fields, self.header_checksum), "F4", "header: the footer has another one")

    def first_dictionary(self):
        self.read_header()
        return zstandard.ZstdCompressionDict(self.read_dictionary(64)[0], dict_type=zstandard.DICT_TYPE_FULLDICT)

    def read_dictionary(self, at):
        """§3.3: the dictionary and the length of its section"""
        place = f"dictionary at {at}"
        head = self.read(at, 32, "D1", place)
        marker, offset, plain, stored, checksum, section_checksum = DICTIONARY_HEAD.unpack(head)
        there = marker == DICTIONARY_MARKER or (offset == at and marker != BLOCK_MARKER)
        need(there, "D1", f"{place}: there is none")
        need(marker == DICTIONARY_MARKER and offset == at, "D2", f"{place}: marker {marker.hex()}, own offset {offset}")
        data = self.read(at + 32, stored, "D2", place)
        need_checksum(head[:28] + data, section_checksum, "D2", place)
        need((plain, checksum) == (self.dictionary_length, self.dictionary_checksum), "D2", f"{place}: not the header's")
        dictionary = undo_piece("zstd", data, plain, place)
        need_checksum(dictionary, checksum, "D2", f"{place}, decompressed")
        return dictionary, 32 + stored

    # §4.4 Trees

    def read_page(self, handle):
        """§9: compare, copy, compare, decode (L1, P1)"""
        place = f"page at {handle.offset}"
        need(handle.length <= 256 * KIB, "L1", f"{place}: {handle.length} bytes")
        data = self.read(handle.offset, handle.length, "P1", place)
        need_checksum(data, handle.checksum, "P1", place)
        cursor, keys, values = self.cursor(data, "P4", place), [], []
        level, count = cursor.uint(1), cursor.uint(2)
        need(level < 32, "L1", f"{place}: level {level}")
        need(count or level == 0, "P4", f"{place}: no entries at level {level}")
        restarts = [cursor.uint(2) for _ in range(0, count, 16)]
        start = last = cursor.at
        for i in range(count):
            last = cursor.at
            need(i % 16 or last - start == restarts[i // 16], "P4", f"{place}: entry {i} is at {last - start}")
            shared, suffix, length = cursor.varint(), cursor.varint(), cursor.varint()
            key = cursor.front_coded(keys[-1] if i % 16 else b"", shared, suffix)
            need(not keys or keys[-1] < key, "P2", f"{place}: key {key!r} of entry {i} does not ascend")
            keys.append(key)
            value = cursor.take(length)
            values.append(self.fields(value, "P4", place, "hv") if level else value)
        cursor.end()
        return Page(level, keys, values, cursor.at - start, last - start)

    def fields(self, value, rule, place, kinds):
        """A value of varints (v), signed ones (s) and handles (h), to its end"""
        cursor = self.cursor(value, rule, place)
        read = {"v": cursor.varint, "s": cursor.svarint, "h": cursor.handle}
        found = [read[kind]() for kind in kinds]
        cursor.end()
        return found

    def check_stated(self, tree, page, stated, place):
        """P2, P3: what the parent of a page says of it (of a root: what is said of its tree)"""
        if stated.level is not None:
            need(page.level == stated.level, "P3", f"{place}: level {stated.level} expected, found {page.level}")
            need(page.keys, "P4", f"{place}: no entries")
            need(page.keys[0] == stated.first, "P2", f"{place}: first key is {page.keys[0]!r}, not {stated.first!r}")
        below = stated.next is None or page.keys[-1] < stated.next
        need(below, "P2", f"{place}: key {page.keys[-1:]} is not below {stated.next!r} of the next page")
        if page.level:
            befores = [before for _, before in page.values]
            good = befores[0] == stated.before and ascending(befores)
            need(good, "P3", f"{place}: entries before its children: {befores}, the first is {stated.before}")
        else:
            rule, end = tree.rule if stated.next is None else "P3", stated.before + len(page.keys)
            need(end == stated.end, rule, f"{place}: leaf entries {stated.before} to {end}, not {stated.end}")

    def entries(self, tree, low=None):
        """The leaf entries of a tree in key order; with `low` from the last one on whose key is not greater"""
        return self.below(tree, tree.root, Stated(None, None, 0, None, tree.count), low)

    def below(self, tree, handle, stated, low):
        page = self.page(handle)  # every call is one level further down: P3 and the limit of levels end it
        self.check_stated(tree, page, stated, f"page at {handle.offset}")
        start = 0 if low is None else max(bisect.bisect_right(page.keys, low) - 1, 0)
        for i in range(start, len(page.keys)):
            if page.level == 0:
                yield page.keys[i], page.values[i]
                continue
            child, before = page.values[i]
            more = i + 1 < len(page.keys)
            after = (page.keys[i + 1], page.values[i + 1][1]) if more else (stated.next, stated.end)
            said = Stated(page.level - 1, page.keys[i], before, *after)
            yield from self.below(tree, child, said, low if i == start else None)
        self.walked(tree, handle, page, stated)

    def walked(self, tree, handle, page, stated):
        """For `verify`: a page and all below it were gone through"""

    def floor(self, tree, key):
        """§9, a lookup: the last entry whose key is not greater, or nothing"""
        entry = next(self.entries(tree, key), None)
        return entry if entry and entry[0] <= key else None

    def find(self, tree, key):
        entry = self.floor(tree, key)
        return entry[1] if entry and entry[0] == key else None

    # §6 Tables

    def number(self, key, rule):
        need(len(key) == 8, rule, f"key {key!r} is no key64")
        return int.from_bytes(key, "big")

    def block_entry(self, key, value):
        handle, *times = self.fields(value, "T1", "blocks", "hsv")
        return BlockEntry(self.number(key, "T1"), *handle, *times)

    def space_run(self, value):
        cursor = self.cursor(value, "T2", "spaces")
        fields = cursor.varint(), cursor.varint(), cursor.svarint(), cursor.varint(), cursor.varint()
        run = Run(*fields, cursor.take(len(value) - cursor.at) if fields[4] == 1 else None)
        cursor.end()
        need(run.groupings >= 1 and run.first + run.count <= self.count, "T2", f"spaces: {run}")
        return run

    def grouping_run(self, value, first):
        """`first` is the first ordinal of the space"""
        after, *fields = self.fields(value, "T3", "groupings", "vvsv")
        run = Run(first + after, *fields, 1, None)
        need(run.first + run.count <= self.count, "T3", f"groupings: {run}")
        return run

    def index_name(self, value):
        """What the table says of a name, and its tree of values"""
        *said, root = self.fields(value, "T4", "index names", "vvsvh")
        return said, Tree(VALUES, root, said[0], "T4")

    def index_value(self, value):
        """Number of events, time range, and a cursor at the posting list"""
        cursor = self.cursor(value, "T4", "values")
        said = [cursor.varint(), cursor.svarint(), cursor.varint()]
        need(said[0] >= 1, "T4", "values: a value without events")
        cursor.rule, cursor.place = "T5", "posting list"
        return said, cursor

    def posting_list(self, count, cursor, low, high):
        """The time numbers from low to below high"""
        if count <= 128:
            found = cursor.numbers(cursor.varint(), count)
            cursor.end()
        else:
            tree = Tree(VALUES, cursor.handle(), (count + 127) // 128, "T5")
            cursor.end()
            found = self.list_frames(tree, low, high)
        good = ascending(found) and (not found or found[-1] < self.count)
        need(good, "T5", f"posting list: not ascending, or not below {self.count}")
        return found[bisect.bisect_left(found, low):bisect.bisect_left(found, high)]

    def list_frames(self, tree, low, high):
        found, size = [], 128
        for key, value in self.entries(tree, key64(low)):
            need(size == 128, "T5", f"posting list: a frame of {size} before the last")
            first, cursor = self.number(key, "T5"), self.cursor(value, "T5", "posting list")
            if first >= high:
                break
            size = cursor.uint(1)
            need(1 <= size <= 128, "T5", f"posting list: a frame of {size}")
            found += cursor.numbers(first, size)
            cursor.end()
        return found

    def time_frame(self, value):
        """§6.5: the first timestamp of a frame of time order, and its ordinals"""
        cursor = self.cursor(value, "T6", "time order")
        count, timestamp, different = cursor.uint(1), cursor.svarint(), cursor.uint(1)
        need(1 <= different <= count <= 128, "T7", f"time order: {different} groupings in a frame of {count}")
        bases = cursor.numbers(cursor.varint(), different)
        codes, ordinals = cursor.packed(count, (different - 1).bit_length()), []
        cursor.end()
        need(set(codes) == set(range(different)), "T7", "time order: a code is too large or does not occur")
        for code in codes:
            ordinals.append(bases[code])
            bases[code] += 1
        return timestamp, ordinals

    # §9 Lookups and scans

    def ordinal_of_time(self, number):
        key, value = self.floor(self.trees["time order"], key64(number)) or (None, None)
        if key is not None:
            ordinals, behind = self.time_frame(value)[1], number - self.number(key, "T6")
            if behind < len(ordinals):
                return ordinals[behind]
        return number

    def locate(self, ordinal):
        """The block and row of an event"""
        entry = self.floor(self.trees["blocks"], key64(ordinal))
        block = self.block(self.block_entry(*entry)) if entry else None
        need(block and ordinal - block.ordinal < block.count, "T1", f"blocks: no block has the event {ordinal}")
        return block, ordinal - block.ordinal

    def timestamp(self, ordinal):
        block, row = self.locate(ordinal)
        return block.times[row]

    def scan(self, space=None, grouping=None, pairs=(), since=-math.inf, until=math.inf, reverse=False):
        """`since` is the first timestamp wanted, `until` the first one not wanted"""
        turn = reversed if reverse else iter
        if space is None and not pairs:
            yield from self.scan_all(since, until, turn)
            return
        run, ordinal_of = Run(0, self.count, 0, 0, 0, None), self.ordinal_of_time
        if space is not None:
            value = self.find(self.trees["spaces"], space)
            run = run._replace(count=0) if value is None else self.space_run(value)
        part = run if grouping is None else self.grouping_in(run, grouping)
        if grouping is not None and not pairs:
            run, ordinal_of = part, int  # ordinals are all that is needed
        numbers = range(run.first, run.first + run.count)
        if space is not None:
            numbers = within(numbers, since, until, lambda number: self.timestamp(ordinal_of(number)))
        for number in turn(self.with_pairs(pairs, numbers) if pairs else numbers):
            ordinal = ordinal_of(number)
            if part.first <= ordinal < part.first + part.count and since <= self.timestamp(ordinal) < until:
                block, row = self.locate(ordinal)
                good = space in (None, block.keys[row][0]) and grouping in (None, block.keys[row][1])
                need(good, "T2", f"spaces, groupings: event {ordinal} is of {block.keys[row]}")
                yield block.event(row)

    def scan_all(self, since, until, turn):
        """File order; every block must end where the next one begins (B2)"""
        entries = [self.block_entry(*entry) for entry in self.entries(self.trees["blocks"])]
        ends = [entry.ordinal for entry in entries[1:]] + [self.count]
        for entry, end in turn(list(zip(entries, ends))):
            if entry.earliest < until and since <= entry.earliest + entry.span:
                block = Block(self, entry)
                need(block.ordinal + block.count == end, "B2", f"{block.place}: the next one begins with {end}")
                yield from (block.event(row) for row in turn(range(block.count)) if since <= block.times[row] < until)

    def grouping_in(self, run, grouping):
        """§9: the events of a grouping of a space; if it is the only one, the table of spaces says which it is"""
        if run.groupings == 1:
            return run if run.grouping == grouping else run._replace(count=0)
        value = self.find(self.trees["groupings"], key64(run.first) + grouping)
        return run._replace(count=0) if value is None else self.grouping_run(value, run.first)

    def with_pairs(self, pairs, numbers):
        """The time numbers among `numbers` of events with one of the values of each name"""
        found = defaultdict(set)
        for name, value in pairs:
            found[name] |= set(self.lookup_pair(name, value, numbers))
        return sorted(set.intersection(*found.values()))

    def lookup_pair(self, name, value, numbers):
        name_entry = self.find(self.trees["index names"], name)
        value_entry = None if name_entry is None else self.find(self.index_name(name_entry)[1], value)
        if value_entry is None or not numbers:
            return []
        said, cursor = self.index_value(value_entry)
        return self.posting_list(said[0], cursor, numbers[0], numbers[-1] + 1)


def check_version(version):
    if version != 1:
        raise Unsupported("V1", f"the file has version {version}; it is newer than this reader, which reads version 1")


def within(numbers, since, until, timestamp):
    """§9: the part of a range of numbers, along which timestamps ascend, that lies in a time range; search by halves"""
    first = bisect.bisect_left(numbers, since, key=timestamp) if since > -math.inf else 0
    last = bisect.bisect_left(numbers, until, key=timestamp) if until < math.inf else len(numbers)
    return numbers[first:max(first, last)]


# The command: native lines of JSON


def is_json(text):
    """RFC 8259, without white space around it or raw line breaks, at most 127 deep"""
    if not text or text[0] in " \t" or text[-1] in " \t" or "\n" in text or "\r" in text:
        return False
    brackets = re.findall(r"[\[\]{}]", re.sub(r'"[^"\\]*(?:\\.[^"\\]*)*"', "", text))
    try:
        json.loads(text, parse_constant=int, parse_int=str, parse_float=str)  # int refuses NaN and Infinity
    except (ValueError, RecursionError):
        return False
    return max(sums(1 if bracket in "[{" else -1 for bracket in brackets)) <= 127


def is_text(data):
    try:
        return data.decode() is not None
    except UnicodeDecodeError:
        return False


def quoted(text):
    return json.dumps(text, ensure_ascii=False)


def base64_of(data):
    return quoted(base64.b64encode(data).decode())


def text_field(name, data, text_name=None):
    return f'"{text_name or name}":{quoted(data.decode())}' if is_text(data) else f'"{name}_base64":{base64_of(data)}'


def native_line(event):
    """What is not UTF-8 goes to fields that end in _base64"""
    index, others = defaultdict(list), []
    for name, value in event.pairs:
        if is_text(name) and is_text(value):
            index[quoted(name.decode())].append(quoted(value.decode()))
        else:
            others.append(f"[{base64_of(name)},{base64_of(value)}]")
    lists = [f"{name}:{values[0]}" if len(values) == 1 else f"{name}:[{','.join(values)}]" for name, values in index.items()]
    is_data = is_text(event.data) and is_json(event.data.decode())
    fields = [text_field("space", event.space), text_field("grouping", event.grouping), f'"timestamp":{event.timestamp}',
              f'"index":{{{",".join(lists)}}}', *([f'"index_base64":[{",".join(others)}]'] if others else []),
              f'"data":{event.data.decode()}' if is_data else text_field("data", event.data, "data_text")]
    return "{" + ",".join(fields) + "}\n"


def scan(options):
    space, grouping = (os.fsencode(text) if text is not None else coded if coded is None else base64.b64decode(coded)
                       for text, coded in ((options.space, options.space_base64), (options.grouping, options.grouping_base64)))
    pairs = [tuple(os.fsencode(pair).partition(b"=")[::2]) for pair in options.index]
    pairs += [tuple(map(base64.b64decode, pair)) for pair in options.index_base64]
    events = File(options.file).scan(space, grouping, pairs, options.since, options.until, options.reverse)
    for event in itertools.islice(events, options.limit):
        sys.stdout.buffer.write(native_line(event).encode())


def main():
    parser = argparse.ArgumentParser(description="A second reader of esdb files.")
    parser.add_argument("verb", choices=["scan", "verify", "info"])
    parser.add_argument("file")
    for short, long in ("-s", "--space"), ("-g", "--grouping"):
        parser.add_argument(short, long)
        parser.add_argument(long + "-base64", metavar="BASE64")
    parser.add_argument("-i", "--index", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--index-base64", action="append", nargs=2, default=[], metavar=("NAME", "VALUE"))
    parser.add_argument("-S", "--since", type=int, default=-math.inf, help="in the file's unit")
    parser.add_argument("-U", "--until", type=int, default=math.inf, help="in the file's unit")
    parser.add_argument("-r", "--reverse", action="store_true")
    parser.add_argument("-n", "--limit", type=int)
    options = parser.parse_args()
    try:
        if options.verb == "scan":
            return scan(options)
        import verifier
        return verifier.verify(options.file) if options.verb == "verify" else verifier.info(options.file)
    except Refused as error:
        out = sys.stderr if options.verb == "scan" else sys.stdout
        print(f"{'reject' if isinstance(error, Reject) else 'unsupported'} {error}", file=out)
        return 1


if __name__ == "__main__":
    from reader import main  # under its own name, so that verifier.py finds the same classes
    sys.exit(main())
