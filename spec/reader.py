#!/usr/bin/env python3
"""A second reader of esdb files in plain Python, written from format.md alone; to be read beside that page.

    python reader.py scan FILE [-s SPACE] [-g GROUPING] [-i NAME=VALUE]... [-S SINCE] [-U UNTIL] [-r]
    python reader.py verify FILE

`scan` prints events as lines of JSON; `verify` checks every rule that binds readers. Section numbers (§) and rule ids (H1, …) are
those of format.md; what it needs beside the standard library stands in requirements.txt. The code goes from small to large:
primitives, event blocks, the file and its trees, scan, verify, the command. It is made to be read, not to be fast: `scan` looks
up what it needs (§9) and keeps what it has decoded; `verify` decodes every block and walks whole trees.
"""

import argparse, base64, functools, itertools, math, os, struct, sys, zlib  # noqa: E401
from bisect import bisect_left, bisect_right
from collections import defaultdict, namedtuple

import blake3, cramjam, lz4.block, zstandard  # noqa: E401

from lines import native_line

HEADER_MAGIC, FOOTER_MAGIC = b"\x89ESDB\r\n\x1a", b"\x89ESDBF\r\n"
BLOCK_MARKER, DICTIONARY_MARKER = b"\x89ESDBB\r\n", b"\x89ESDBD\r\n"
HEADER, HEADER_FIELDS = struct.Struct("<8s24s28sI"), struct.Struct("<HBBIIIII")
FOOTER, ROOT = struct.Struct("<Q24sIIQqq120sQII32s32sIIH6s8s"), struct.Struct("<QIIQ")
DICTIONARY_HEAD, BLOCK_HEAD = struct.Struct("<8sQIIII"), struct.Struct("<8sQQIIQIIBBBBI")
TREES = ("time order", "index names", "spaces", "groupings", "blocks")
CODECS, SHRINK = ("none", "snappy", "lz4", "zstd"), (1, 32, 256, 65536)  # Z2: no piece shrinks further
KIB, MIB = 1 << 10, 1 << 20

Handle = namedtuple("Handle", "offset length checksum")
Page = namedtuple("Page", "level keys values")
Event = namedtuple("Event", "space grouping timestamp pairs data")


class Reject(Exception):
    def __init__(self, rule, message):
        super().__init__(f"{message} [{rule}]")
        self.rule = rule


def need(holds, rule, message):
    if not holds:
        raise Reject(rule, message)


def need_checksum(data, checksum, rule, place):
    need(zlib.crc32(data) == checksum, rule, f"{place}: checksum {checksum:#x} expected, found {zlib.crc32(data):#x}")


def ascending(items):
    return all(a < b for a, b in itertools.pairwise(items))


def sums(items):
    """0, the first, the first two, … all together"""
    return list(itertools.accumulate(items, initial=0))


def key64(number):
    need(number < 1 << 64, "I2", f"{number} has more than 64 bits")
    return number.to_bytes(8, "big")


def number_of(key):
    need(len(key) == 8, "P4", f"8 bytes expected, a key of {len(key)}")
    return int.from_bytes(key, "big")


# §4.1 to §4.3: primitives


class Cursor:
    """Reads primitives from bytes one after another; to run past their end, or not to reach it, breaks `rule`."""

    def __init__(self, data, rule, place):
        self.data, self.rule, self.place, self.at, self.undone = data, rule, place, 0, 0

    def need(self, holds, rule, message):
        need(holds, rule, f"{self.place}, before its byte {self.at}: {message}")

    def take(self, length):
        self.need(self.at + length <= len(self.data), self.rule, f"{length} bytes expected, of {len(self.data)} in all")
        self.at += length
        return self.data[self.at - length:self.at]

    def end(self):
        self.need(self.at == len(self.data), self.rule, f"bytes are left over of {len(self.data)}")

    def uint(self, size):
        return int.from_bytes(self.take(size), "little")

    def varint(self):
        value, shift, byte = 0, 0, 128
        while byte & 128 and shift < 70:
            byte = self.uint(1)
            value |= (byte & 127) << shift
            shift += 7
        self.need(byte < 128 and value < 1 << 64 and (byte > 0 or shift == 7), "C1", "a varint too long, or not the shortest")
        return value

    def svarint(self):
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def handle(self):
        return Handle(self.varint(), self.varint(), self.uint(4))

    def packed(self, count, width):
        bits = int.from_bytes(self.take((count * width + 7) // 8), "little")
        self.need(bits >> count * width == 0, "I2", "unused bits are not zero")
        return [bits >> i * width & (1 << width) - 1 for i in range(count)]

    def frame(self, n):
        """§4.1: an integer frame of n values"""
        outside, self.rule = self.rule, "I1"
        first, base = self.uint(1), self.varint()
        width, (exceptions, high) = first & 127, self.take(2) if first & 128 else (0, 0)
        good = width + high <= 64 and exceptions <= n and (first < 128 or exceptions and high)
        self.need(good, "I1", f"width {width}, {exceptions} exceptions of {high} bits")
        values, positions, highs = self.packed(n, width), self.take(exceptions), self.packed(exceptions, high)
        good = ascending(positions) and all(position < n for position in positions) and all(highs)
        self.need(good, "I1", f"exceptions at {list(positions)}, high parts {highs}")
        for position, part in zip(positions, highs):
            values[position] |= part << width
        self.need(base + max(values) < 1 << 64, "I2", "a value has more than 64 bits")
        self.rule = outside
        return [base + value for value in values]

    def column(self, n):
        return [value for i in range(0, n, 128) for value in self.frame(min(128, n - i))]

    def numbers(self, first, count):
        """A first number, then the differences between neighbours minus 1 in an integer frame (§6.4, §6.5)"""
        gaps = self.frame(count - 1) if count > 1 else []
        return list(itertools.accumulate((gap + 1 for gap in gaps), initial=first))

    def front_coded(self, previous, shared, length):
        """§4.2; the longest string is a key of groupings: key64 and 65,535 bytes"""
        self.need(shared <= len(previous), "K1", f"{shared} bytes shared with a string of {len(previous)}")
        self.need(shared + length <= 65543, "L1", f"a string of {shared + length} bytes")
        return previous[:shared] + self.take(length)

    def strings(self, count, previous=b""):
        found = []
        for _ in range(count):
            found.append(previous := self.front_coded(previous, self.varint(), self.varint()))
            self.undone += len(previous)
            self.need(len(previous) <= 65535 and self.undone <= 32 * MIB, "L1", f"strings of {self.undone} bytes")
        return found


def fields(value, kinds, place):
    """The value of an entry: varints (v), signed ones (s) and handles (h); what is left over as bytes (r), or P4"""
    cursor = Cursor(value, "P4", place)
    read = {"v": cursor.varint, "s": cursor.svarint, "h": cursor.handle, "r": lambda: cursor.take(len(value) - cursor.at)}
    found = [read[kind]() for kind in kinds]
    cursor.end()
    return found


def undo_piece(codec, stored, size, place, dictionary=None):
    """§4.3: the `size` bytes that are stored as `stored`"""
    if len(stored) == size:
        return stored
    place = f"{place}, {size} bytes stored in {len(stored)}, codec {CODECS[codec]}"
    need(codec and len(stored) < size, "Z1", f"{place}: impossible")
    need(size <= SHRINK[codec] * len(stored), "Z2", f"{place}: more than the codec can shrink")
    try:
        plain = DECOMPRESS[codec](stored, size, dictionary)
    except Exception as error:  # each library has errors of its own
        raise Reject("Z2", f"{place}: {error}") from error
    need(len(plain) == size, "Z2", f"{place}: found {len(plain)}")
    return plain


def undo_snappy(stored, size, _):
    need(cramjam.snappy.decompress_raw_len(stored) == size, "Z2", "another length")
    return bytes(cramjam.snappy.decompress_raw(stored))


def undo_zstd(stored, size, dictionary):
    frame = zstandard.get_frame_parameters(stored)
    need(frame.content_size == size and not frame.has_checksum and not frame.dict_id, "Z2", "another frame header")
    return zstandard.ZstdDecompressor(dict_data=dictionary).decompress(stored, allow_extra_data=False)


DECOMPRESS = None, undo_snappy, lambda stored, size, _: lz4.block.decompress(stored, uncompressed_size=size), undo_zstd


# §5: event blocks


class Block:
    """An event block, all but its frames decoded; `key` and `value` are its entry in the table of blocks (§6.1)."""

    def __init__(self, file, key, value):
        self.handle, earliest, span = fields(value, "hsv", "blocks")
        self.codec, self.dictionary, self.place = file.codec, file.dictionary, f"block at {self.handle.offset}"
        data = file.read(*self.handle[:2], "B1", self.place)
        self.need(len(data) >= 56, "T1", "length")
        self.read_head(file, data[:56], key)
        columns, self.payload = data[56:56 + self.columns_length], data[56 + self.columns_length:]
        need_checksum(columns, self.columns_checksum, "B1", f"{self.place}, columns")
        self.read_columns(columns)
        found = min(self.times), max(self.times) - min(self.times)
        self.need(found == (earliest, span), "T1", f"time range {found}, in the table {(earliest, span)}")

    def need(self, holds, rule, message):
        need(holds, rule, f"{self.place}: {message}")

    def read_head(self, file, head, key):
        """§5.1, and that the table of blocks says the same"""
        (marker, offset, self.ordinal, self.count, self.columns_length, payload_length, self.columns_checksum,
         dictionary_checksum, unit, codec, has_dictionary, zero, checksum) = BLOCK_HEAD.unpack(head)
        need_checksum(head[:52], checksum, "B1", f"{self.place}, head")
        found = marker, offset, unit, codec, has_dictionary, dictionary_checksum, zero
        expected = (BLOCK_MARKER, self.handle.offset, file.unit, file.codec, file.dictionary_length > 0,
                    file.dictionary_checksum, 0)
        self.need(found == expected, "B1", f"{expected} expected in the head, found {found}")
        good = 1 <= self.count <= 4096 and payload_length < (1 << 30) + MIB
        self.need(good, "L1", f"{self.count} events, {payload_length} bytes of payload")
        found = key64(self.ordinal), 56 + self.columns_length + payload_length, checksum
        self.need(found == (key, *self.handle[1:]), "T1", "the table has another first ordinal, length or checksum")

    def read_columns(self, columns):
        """§5.2: the directory, then the areas"""
        directory = Cursor(columns, "B4", f"{self.place}, columns")
        spaces, groupings, frames, names, keys_plain, keys, *sizes, values_plain, values = \
            [directory.varint() for _ in range(12)]
        self.need(spaces <= groupings <= self.count, "B6", f"{spaces} spaces, {groupings} groupings")
        self.need(max(keys_plain, values_plain) <= 32 * MIB, "L1", f"areas of {keys_plain} and {values_plain} bytes")
        sizes = [keys, *sizes, values, *(directory.varint() for _ in range(names))]
        areas = [directory.take(size) for size in sizes]
        directory.end()
        areas[0] = undo_piece(self.codec, areas[0], keys_plain, f"{self.place}, keys")
        areas[5] = undo_piece(self.codec, areas[5], values_plain, f"{self.place}, values")
        keys, runs, times, lengths, frames_area, values, *indexes = areas = \
            [Cursor(area, "B4", f"{self.place}, area") for area in areas]
        self.read_runs(keys.strings(spaces), keys.strings(groupings), runs.column(spaces), runs.column(groupings))
        self.read_times(times.svarint(), times.varint(), times.column(groupings), times.column(self.count - groupings))
        self.lengths = lengths.column(self.count)
        self.need(max(self.lengths) < 1 << 30, "L1", f"data of {max(self.lengths)} bytes")
        counts, stored = [count + 1 for count in frames_area.column(frames)], frames_area.column(frames)
        self.read_frames(list(zip(counts, stored, [frames_area.uint(4) for _ in range(frames)])))
        self.read_indexes(values, indexes)
        for area in areas:
            area.end()

    def read_runs(self, spaces, groupings, groupings_less_1, events_less_1):
        """Areas 1 and 2: the space and grouping of every event"""
        self.runs = [events + 1 for events in events_less_1]
        good = sum(groupings_less_1) + len(spaces) == len(groupings) and sum(self.runs) == self.count
        self.need(good, "B6", "runs do not add up")
        of_grouping = [space for space, more in zip(spaces, groupings_less_1) for _ in range(more + 1)]
        keys = list(zip(of_grouping, groupings))
        self.need(ascending(spaces) and ascending(keys), "B5", "spaces or groupings do not ascend")
        self.keys = [key for key, length in zip(keys, self.runs) for _ in range(length)]

    def read_times(self, smallest, step, firsts, others):
        """Area 3"""
        self.need(step > 0 and min(firsts) == 0, "B5", f"step {step}, smallest first difference {min(firsts)}")
        self.times, others = [], iter(others)
        for first, length in zip(firsts, self.runs):
            run = itertools.accumulate(itertools.islice(others, length - 1), initial=first)
            self.times += [smallest + step * time for time in run]
        self.need(max(self.times) < 1 << 63, "B5", f"timestamp {max(self.times)}")

    def read_frames(self, frames):
        """Area 5: the rows and stored bytes of every frame"""
        self.starts = sums(count for count, *_ in frames)
        self.need(self.starts[-1] == self.count, "B6", "events of frames do not add up")
        payload = Cursor(self.payload, "B7", self.place)
        self.frames = [(payload.take(stored), checksum) for _, stored, checksum in frames]
        payload.end()
        self.frame = functools.cache(self.read_frame)

    def read_frame(self, number):
        """§5.3: the data of its events; its checksum comes first (B11)"""
        (piece, checksum), place = self.frames[number], f"{self.place}, frame {number}"
        need_checksum(piece, checksum, "B11", place)
        ends = sums(self.lengths[self.starts[number]:self.starts[number + 1]])
        plain = undo_piece(self.codec, piece, ends[-1], place, self.dictionary)
        return [plain[start:end] for start, end in itertools.pairwise(ends)]

    def event(self, row):
        number = bisect_right(self.starts, row) - 1
        data = self.frame(number)[row - self.starts[number]]
        return Event(*self.keys[row], self.times[row], self.pairs[row], data)

    @functools.cached_property
    def events(self):
        return [self.event(row) for row in range(self.count)]

    def read_indexes(self, values, columns):
        """Areas 6 and 7: the index pairs of every event"""
        self.pairs, name = [[] for _ in range(self.count)], None
        for column in columns:
            before, name = name, values.strings(1, name or b"")[0]
            texts = values.strings(values.varint())
            good = (before is None or before < name) and texts and ascending(texts)
            self.need(good, "B8", f"{name!r} or its values do not ascend")
            for row, place in self.read_index_column(column, len(texts)):
                self.pairs[row].append((name, texts[place]))
        good = all(len(pairs) <= 131072 and sum(map(len, itertools.chain(*pairs))) <= 16 * MIB for pairs in self.pairs)
        self.need(good, "L1", "too many or too long index pairs in one event")

    def read_index_column(self, column, values):
        form = column.uint(1)
        self.need(form <= 1, "B8", f"form {form}")
        count = column.varint() if form else self.count
        rows = list(itertools.accumulate(column.column(count))) if form else range(count)
        entries = list(zip(rows, column.column(count)))
        self.need(entries and ascending(entries) and rows[-1] < self.count, "B8", "entries do not ascend, or not to a row")
        self.need({place for _, place in entries} == set(range(values)), "B8", f"places are not all those below {values}")
        return entries


# §3: the file; §4.4 and §6: its trees


class File:
    def __init__(self, path):
        self.source = open(path, "rb")
        self.size = os.fstat(self.source.fileno()).st_size
        self.pages, self.dictionary = defaultdict(list), None  # pages: (offset, length), by the tree they were walked in
        self.read_footer()
        self.page, self.block = functools.cache(self.read_page), functools.cache(functools.partial(Block, self))

    def read(self, offset, length, rule, place):
        need(offset + length <= self.size, rule, f"{place}: ends at {offset + length}, the file at {self.size}")
        self.source.seek(offset)
        return self.source.read(length)

    def read_footer(self):
        """§3.4"""
        tail = self.read(max(self.size - 288, 0), min(self.size, 288), "F2", "footer")
        if tail[280:] != FOOTER_MAGIC:
            need(self.read(0, min(self.size, 8), "F2", "header") == HEADER_MAGIC, "F2", "this is not an esdb file")
            raise Reject("F2", "the end of the file is missing: it is cut off or unfinished")
        (length, header_fields, self.header_checksum, zero, self.count, self.earliest, self.latest, roots, *facts,
         self.content_digest, self.file_digest, checksum, footer_length, version, zeros, _) = FOOTER.unpack(tail)
        need(version <= 1, "V1", f"the file has version {version}: it is newer than this program reads")
        need(footer_length == 288, "F2", f"footer: length 288 expected, found {footer_length}")
        need_checksum(tail[:264] + tail[268:], checksum, "F2", "footer")
        need(length == self.size, "F3", f"footer: a file of {length} bytes expected, found {self.size}")
        need(zero == 0 and not any(zeros), "F4", "footer: bytes 36 to 39 or 274 to 279 are not zero")
        need(self.count < 1 << 63, "L1", f"footer: {self.count} events")
        self.read_header_fields(header_fields)
        self.header_fields = header_fields
        self.roots = {tree: (Handle(*root[:3]), root[3]) for tree, root in zip(TREES, ROOT.iter_unpack(roots))}
        self.facts = Handle(*facts)

    def read_header_fields(self, header_fields):
        """§3.2, from the footer's copy of them"""
        (version, self.unit, self.codec, required, _, frame_size, self.dictionary_length,
         self.dictionary_checksum) = HEADER_FIELDS.unpack(header_fields)
        need(version <= 1, "V1", f"the file has version {version}: it is newer than this program reads")
        need(version == 1, "H1", "header: version 0")
        need(required == 0, "V2", f"the file needs features that this program does not know: flags {required:#x}")
        need(self.unit < 4 and self.codec < 4 and 256 <= frame_size <= MIB, "H2", "header: unit, codec or frame size")
        need(self.dictionary_length <= 128 * KIB, "L1", f"header: dictionary of {self.dictionary_length} bytes")
        good = CODECS[self.codec] == "zstd" if self.dictionary_length else self.dictionary_checksum == 0
        need(good, "D1", "header: a dictionary without codec zstd, or a checksum without a dictionary")

    def read_header(self):
        data = self.read(0, 64, "H1", "header")
        magic, header_fields, zeros, checksum = HEADER.unpack(data)
        need(magic == HEADER_MAGIC and not any(zeros), "H1", "header: no magic, or bytes 32 to 59 are not zero")
        need_checksum(data[:60], checksum, "H1", "header")
        need((header_fields, checksum) == (self.header_fields, self.header_checksum), "F4", "header: the footer has another one")

    def read_dictionary(self, at):
        """§3.3: where the section ends"""
        if self.dictionary_length == 0:
            return at
        head = self.read(at, 32, "D1", "dictionary")
        marker, offset, length, stored, checksum, section_checksum = DICTIONARY_HEAD.unpack(head)
        need(marker == DICTIONARY_MARKER, "D1", f"dictionary: none at {at}")
        data = self.read(at + 32, stored, "D2", "dictionary")
        need_checksum(head[:28] + data, section_checksum, "D2", "dictionary")
        found, expected = (offset, length, checksum), (at, self.dictionary_length, self.dictionary_checksum)
        need(found == expected, "D2", f"dictionary: offset, length, checksum {expected} expected, found {found}")
        dictionary = undo_piece(CODECS.index("zstd"), data, length, "dictionary")
        need_checksum(dictionary, checksum, "D2", "dictionary, decompressed")
        self.dictionary = zstandard.ZstdCompressionDict(dictionary, dict_type=zstandard.DICT_TYPE_FULLDICT)
        return at + 32 + stored

    def blocks(self):
        """§5: every block, in file order"""
        self.read_header()
        self.end_of_dictionary, count, last = self.read_dictionary(64), 0, ()
        for key, value in self.tree("blocks"):
            block = Block(self, key, value)
            need(block.ordinal == count, "B2", f"{block.place}: first ordinal {count} expected, found {block.ordinal}")
            need(last <= block.events[0][:3], "B5", f"{block.place}: space, grouping or timestamp descend to it")
            count, last = count + block.count, block.events[-1][:3]
            yield block
        need(count == self.count, "F5", f"footer: {self.count} events expected, found {count}")

    def read_page(self, handle):
        """§4.4: compare, copy, compare, decode"""
        place = f"page at {handle.offset}"
        need(handle.length <= 256 * KIB, "L1", f"{place}: {handle.length} bytes")
        data = self.read(*handle[:2], "P1", place)
        need_checksum(data, handle.checksum, "P1", place)
        cursor, keys, values = Cursor(data, "P4", place), [], []
        level, count = cursor.uint(1), cursor.uint(2)
        need(level < 32, "L1", f"{place}: level {level}")
        need(count or level == 0, "P4", f"{place}: no entries at level {level}")
        restarts = [cursor.uint(2) for _ in range(0, count, 16)]
        start = cursor.at
        for i in range(count):
            need(i % 16 or cursor.at - start == restarts[i // 16], "P4", f"{place}: entry {i} is at {cursor.at - start}")
            shared, suffix, length = cursor.varint(), cursor.varint(), cursor.varint()
            key = cursor.front_coded(keys[-1] if i % 16 else b"", shared, suffix)
            need(not keys or keys[-1] < key, "P2", f"{place}: key {key!r} does not ascend")
            keys.append(key)
            values.append(fields(cursor.take(length), "hv" if level else "r", place))
        cursor.end()
        return Page(level, keys, values)

    def child(self, page, i):
        handle = page.values[i][0]
        child, place = self.page(handle), f"page at {handle.offset}"
        need(child.level == page.level - 1, "P3", f"{place}: level {child.level} below level {page.level}")
        need(child.keys, "P4", f"{place}: no entries")
        need(child.keys[0] == page.keys[i], "P2", f"{place}: first key {page.keys[i]!r} expected, found {child.keys[0]!r}")
        return child

    def floor(self, root, key):
        """§9: the last entry of a tree whose key is not greater; (None, None) if there is none"""
        page = self.page(root)
        while page.level and page.keys[0] <= key:
            page = self.child(page, bisect_right(page.keys, key) - 1)
        i = bisect_right(page.keys, key) - 1
        return (page.keys[i], page.values[i][0]) if i >= 0 else (None, None)

    def get(self, root, key, kinds):
        """The fields of the entry with this key, or None"""
        found, value = self.floor(root, key)
        return fields(value, kinds, f"tree at {root.offset}") if found == key else None

    def row(self, ordinal):
        """The block of an event, and its row there"""
        key, value = self.floor(self.roots["blocks"][0], key64(ordinal))
        block = key and self.block(key, value)
        need(block and ordinal < block.ordinal + block.count, "B2", f"blocks: no event {ordinal}")
        return block, ordinal - block.ordinal

    def row_of_number(self, number):
        """The same by time number; one without a frame is the ordinal, and its space must have one grouping"""
        key, value = self.floor(self.roots["time order"][0], key64(number))
        ordinals = time_frame(value)[1][number - number_of(key):] if key else []
        block, row = self.row(ordinals[0] if ordinals else number)
        space = ordinals or self.get(self.roots["spaces"][0], block.keys[row][0], "vvsvvr")
        need(ordinals or space and space[4] == 1, "T6", f"time order: no frame for time number {number}")
        return block, row

    def numbers(self, name, value):
        """The time numbers of the events that have a pair"""
        of_name = self.get(self.roots["index names"][0], name, "vvsvh")
        of_value = of_name and self.get(of_name[-1], value, "vsvr")
        return self.posting_list(of_value[0], of_value[-1]) if of_value else []

    def tree(self, name):
        """The leaf entries of one of the five trees"""
        self.pages[name] = []
        return self.entries(*self.roots[name], self.pages[name])

    def entries(self, root, count, pages):
        """The leaf entries of a tree of `count`, keys ascending; (offset, length) of its pages go to `pages` in post-order"""
        before, last = 0, None

        def below(handle, page):  # every call is one level down
            nonlocal before, last
            for i, (key, (value, *said)) in enumerate(zip(page.keys, page.values)):
                if page.level:
                    need(said == [before], "P3", f"page at {value.offset}: entries before it {before} expected, found {said}")
                    yield from below(value, self.child(page, i))
                else:
                    need(last is None or last < key, "P2", f"page at {handle.offset}: key {key!r} does not ascend")
                    before, last = before + 1, key
                    yield key, value
            pages.append(handle[:2])

        yield from below(root, self.page(root))
        need(before == count, "P3", f"tree at {root.offset}: {count} entries expected, found {before}")

    def table(self, name, kinds):
        """A tree as a dict; of spaces (§6.2): first ordinal, number of events, times, number of groupings, the only grouping"""
        return {key: tuple(fields(value, kinds, name)) for key, value in self.tree(name)}

    def indexes(self):
        """§6.4: what is said of each name and of each pair, and the time numbers of each pair"""
        names, pairs, lists = {}, {}, {}
        for name, entry in self.tree("index names"):
            *names[name], root = fields(entry, "vvsvh", "index names")
            for value, entry in self.entries(root, names[name][0], self.pages["index names"]):
                *pairs[name, value], stored = fields(entry, "vsvr", "values")
                lists[name, value] = self.posting_list(pairs[name, value][0], stored)
        return names, pairs, lists

    def posting_list(self, count, stored):
        cursor, found = Cursor(stored, "P4", "posting list"), []
        if count <= 128:
            found = cursor.numbers(cursor.varint(), count)
        else:
            for key, value in self.entries(cursor.handle(), (count + 127) // 128, self.pages["index names"]):
                frame, length = Cursor(value[1:], "P4", "posting list"), value[0]
                need(length == min(128, count - len(found)), "T5", f"posting list: a frame of {length} time numbers")
                found += frame.numbers(number_of(key), length)
                frame.end()
        cursor.end()
        return found

    def time_order(self):
        """Timestamp of the first event and ordinals of each frame, by its first time number"""
        return {number_of(key): time_frame(value) for key, value in self.tree("time order")}


@functools.cache
def time_frame(value):
    """§6.5"""
    cursor = Cursor(value, "P4", "time order")
    count, timestamp, different = cursor.uint(1), cursor.svarint(), cursor.uint(1)
    need(1 <= different <= count <= 128, "T7", f"time order: {different} groupings among {count} events")
    bases = cursor.numbers(cursor.varint(), different)
    codes = cursor.packed(count, (different - 1).bit_length())
    cursor.end()
    need(set(codes) == set(range(different)), "T7", "time order: a code is too large or does not occur")
    return timestamp, [bases[code] + codes[:i].count(code) for i, code in enumerate(codes)]


# §9: scan


def scan(file, space=None, grouping=None, pairs=(), since=-math.inf, until=math.inf, reverse=False):
    """Any value of a name, every name; `until` is the first time not wanted"""
    file.read_dictionary(64)
    numbers, row_of = range(file.count), file.row if space is None and not pairs else file.row_of_number
    if space is not None:
        first, count, *_, groupings, only = file.get(file.roots["spaces"][0], space, "vvsvvr") or (0, 0, 0, b"")
        need(first + count <= file.count, "T2", f"spaces: {count} events from {first}")
        numbers = range(first, first + count)
        if grouping is not None and not pairs:  # inside a grouping time order is file order
            found = file.get(file.roots["groupings"][0], key64(first) + grouping, "vvsv")
            before, count, *_ = found or (0, count if groupings == 1 and grouping == only else 0)
            need(before + count <= len(numbers), "T3", f"groupings: {count} events from {first + before}")
            numbers, row_of = numbers[before:before + count], file.row
    names = [{pair for pair in pairs if pair[0] == name} for name in {name for name, _ in pairs}]
    if pairs:
        found = set.intersection(*(set().union(*itertools.starmap(file.numbers, some)) for some in names))
        need(max(found, default=-1) < file.count, "T5", "posting lists: a time number too large")
        numbers = sorted(number for number in found if number in numbers)

    def time(number):
        block, row = row_of(number)
        return block.times[row]

    if space is not None and (since, until) != (-math.inf, math.inf):  # times ascend
        numbers = numbers[bisect_left(numbers, since, key=time):bisect_left(numbers, until, key=time)]
    for number in reversed(numbers) if reverse else numbers:
        block, row = row_of(number)
        key = block.keys[row]
        need(space in (None, key[0]), "T2", f"event {block.ordinal + row} is of space {key[0]!r}, {space!r} expected")
        if grouping in (None, key[1]) and since <= block.times[row] < until:
            good = not any(some.isdisjoint(block.pairs[row]) for some in names)
            need(good, "T5", f"event {block.ordinal + row} has not the values of a posting list")
            yield block.event(row)


# verify: what follows from the events, and whether the file says the same


def summary(rows):
    """Number of rows, smallest timestamp, and largest minus smallest"""
    times = [row[0] for row in rows]
    return len(times), min(times), max(times) - min(times)


def derive(events):
    """§6: what the trees must hold"""
    spaces, groupings, names, pairs, order, values = {}, {}, defaultdict(list), defaultdict(list), {}, defaultdict(set)
    for space, rows in itertools.groupby(enumerate(events), key=lambda row: row[1].space):
        rows = [(event.timestamp, ordinal, event) for ordinal, event in rows]
        first, parts = rows[0][1], [list(part) for _, part in itertools.groupby(rows, key=lambda row: row[2].grouping)]
        spaces[space] = first, *summary(rows), len(parts), rows[0][2].grouping if len(parts) == 1 else b""
        rows.sort()  # by timestamp, then by ordinal: time order
        if len(parts) > 1:
            groupings |= {key64(first) + part[0][2].grouping: (part[0][1] - first, *summary(part)) for part in parts}
            starts = range(0, len(rows), 128)
            order |= {first + i: (rows[i][0], [ordinal for _, ordinal, _ in rows[i:i + 128]]) for i in starts}
        for number, (timestamp, _, event) in enumerate(rows, first):
            for name, value in event.pairs:
                values[name].add(value)
                names[name].append((timestamp,))
                pairs[name, value].append((timestamp, number))
    names = {name: [len(values[name]), *summary(rows)] for name, rows in names.items()}
    lists = {pair: [number for _, number in rows] for pair, rows in pairs.items()}
    return spaces, groupings, names, {pair: [*summary(rows)] for pair, rows in pairs.items()}, lists, order


def same(rule, what, found, expected):
    for key in sorted(found.keys() | expected.keys()):
        a, b = expected.get(key), found.get(key)
        need(a == b, rule, f"{what}: {key!r}: {str(a)[:200]} expected, found {str(b)[:200]}")


def verify(file):
    statistics, extra_sections = read_facts(file)
    blocks = list(file.blocks())
    dictionary, end = (64, file.end_of_dictionary - 64), sum(blocks[-1].handle[:2]) if blocks else 64
    second_dictionary = end, file.read_dictionary(end) - end
    events = [event for block in blocks for event in block.events]
    times = [event.timestamp for event in events] or [0]
    need((min(times), max(times)) == (file.earliest, file.latest), "F5", f"footer: times {min(times)} to {max(times)} expected")
    spaces, groupings, names, pairs, lists, order = derive(events)
    same("T2", "spaces", file.table("spaces", "vvsvvr"), spaces)
    same("T3", "groupings", file.table("groupings", "vvsv"), groupings)
    for rule, what, *both in zip(("T4", "T4", "T5"), ("names", "values", "lists"), file.indexes(), (names, pairs, lists)):
        same(rule, what, *both)
    found = file.time_order()
    good = all(len(frame) == len(order[first][1]) for first, (_, frame) in found.items() if first in order)
    need(good, "T7", "time order: a frame has not 128 events and is not the last of its space")
    same("T6", "time order", found, order)
    expected = [len(spaces), sum(groupings for *_, groupings, _ in spaces.values()), len(names), len(pairs),
                sum(map(len, lists.values())), len(blocks), sum(len(block.frames) for block in blocks),
                sum(len(event.data) for event in events), sum(len(block.payload) for block in blocks),
                sum(56 + block.columns_length for block in blocks), *(sum(size for _, size in file.pages[tree]) for tree in TREES)]
    need(statistics == expected, "X1", f"facts: statistics {expected} expected, found {statistics}")
    pages = [page for tree in TREES for page in file.pages[tree][:-1]] + [file.pages[tree][-1] for tree in TREES]
    parts = [(0, 64), dictionary, *(block.handle[:2] for block in blocks), second_dictionary, *pages, *extra_sections,
             file.facts[:2], (file.size - 288, 288)]
    for (offset, length), (after, _) in itertools.pairwise(parts):
        need(offset + length == after, "F1", f"{offset + length} expected, where a part begins at {after}")
    found = blake3.blake3(file.read(0, file.size - 56, "F3", "file")).digest(), content_digest(file.unit, events)
    need(found == (file.file_digest, file.content_digest), "G1", f"file digest, content digest: found {found}")


def read_facts(file):
    """§7: the statistics, and where extra sections are"""
    data = file.read(*file.facts[:2], "X3", "facts")
    need_checksum(data, file.facts.checksum, "X3", "facts")
    cursor = Cursor(data, "X3", "facts")
    statistics, _ = [cursor.varint() for _ in range(15)], cursor.svarint()
    metadata = [(cursor.take(cursor.varint()), cursor.take(cursor.varint())) for _ in range(cursor.varint())]
    extra = [(cursor.varint(), cursor.handle()) for _ in range(cursor.varint())]
    cursor.end()
    need(sum(map(len, itertools.chain(*metadata))) <= 16 * MIB, "L1", "facts: too much user metadata")
    need(ascending([key for key, _ in metadata]), "X2", "facts: keys of user metadata do not ascend")
    for kind, handle in extra:
        section = file.read(*handle[:2], "X4", "extra section")
        need_checksum(section, handle.checksum, "X4", f"extra section at {handle.offset}")
    return statistics, [handle[:2] for _, handle in extra]


def content_digest(unit, events):
    """§8"""
    digest = blake3.blake3(bytes([unit]))
    for event in events:
        texts = [event.space, event.grouping, *itertools.chain(*event.pairs), event.data]
        texts = [len(text).to_bytes(4, "little") + text for text in texts]
        texts[2:2] = event.timestamp.to_bytes(8, "little", signed=True), len(event.pairs).to_bytes(4, "little")
        digest.update(b"".join(texts))
    return digest.digest()


# The command


def main():
    parser = argparse.ArgumentParser(description="A second reader of esdb files.")
    option, decode = parser.add_argument, base64.b64decode
    option("verb", choices=["scan", "verify"])
    option("file")
    for name in "space", "grouping":
        option("-" + name[0], "--" + name, type=os.fsencode)
        option(f"--{name}-base64", dest=name, type=decode)
    pairs = {"dest": "pairs", "action": "append", "default": []}
    option("-i", "--index", metavar="NAME=VALUE", type=lambda text: os.fsencode(text).partition(b"=")[::2], **pairs)
    option("--index-base64", metavar="NAME:VALUE", type=lambda text: tuple(map(decode, text.split(":"))), **pairs)
    option("-S", "--since", type=int, default=-math.inf, help="in the file's unit")
    option("-U", "--until", type=int, default=math.inf, help="in the file's unit; the first timestamp not wanted")
    option("-r", "--reverse", action="store_true")
    options = vars(parser.parse_args())
    verb, path = options.pop("verb"), options.pop("file")
    try:
        if verb == "scan":
            return sys.stdout.buffer.writelines(map(native_line, scan(File(path), **options)))
        verify(File(path))
        print("ok")
    except Reject as error:
        return str(error)


if __name__ == "__main__":
    sys.exit(main())
