"""python3.11 -m unittest discover -s esdb-cli/tests/real_data"""

import unittest

import exact_time
import mapping
import native
from document import document, first_difference
from event import native_line, new_event, parse_native_line
from sets import Mapping, Set


def event(space=b"s", grouping=b"g", timestamp=1, pairs=(), data=b"{}"):
    return new_event(space, grouping, timestamp, pairs, data)


class ExactTime(unittest.TestCase):
    def test_offsets_and_fractions_are_exact(self):
        self.assertEqual(exact_time.from_text("1970-01-01T00:00:01.000001Z", "us"), 1_000_001)
        self.assertEqual(exact_time.from_text("1970-01-01 01:00:00.5+01:00", "ms"), 500)
        self.assertEqual(exact_time.from_text("1969-12-31T17:59:59-0600", "s"), -1)

    def test_zeros_are_not_finer_than_the_unit(self):
        self.assertEqual(exact_time.from_text("1970-01-01T00:00:02.000000Z", "s"), 2)

    def test_finer_times_and_zoneless_times_are_refused(self):
        for text in ("1970-01-01T00:00:00.001Z", "1970-01-01T00:00:00"):
            with self.assertRaises(ValueError):
                exact_time.from_text(text, "s")

    def test_numbers_change_unit_exactly(self):
        self.assertEqual(exact_time.from_number("1517966773840", "ms", "us"), 1517966773840000)
        self.assertEqual(exact_time.from_number("0.1", "s", "ms"), 100)
        with self.assertRaises(ValueError):
            exact_time.from_number("0.0001", "s", "ms")


class NativeLine(unittest.TestCase):
    def test_data_comes_back_byte_for_byte(self):
        for data in (b"", b"1.0", b'{ "a" :1}', b'{"a":\n1}', b" 1", b"text", b"\x00\xff"):
            with self.subTest(data=data):
                self.assertEqual(parse_native_line(native_line(event(data=data))).data, data)

    def test_keys_and_pairs_may_be_any_bytes(self):
        pairs = [(b"tag", b"a"), (b"tag", b"b"), (b"\xff", b""), (b"n", b"\x80"), (b"tag", b"a")]
        odd = event(b"\x0a\xeb", b"", -5, pairs)
        self.assertEqual(len(odd.pairs), 4)
        self.assertEqual(parse_native_line(native_line(odd)), odd)

    def test_an_index_may_be_called_data(self):
        pairs = [(b"data", b'x,"data":1'), (b"a", b"}")]
        odd = event(pairs=pairs, data=b'{"q":2,"data":{"data":3}}')
        self.assertEqual(parse_native_line(native_line(odd)), odd)


class Rules(unittest.TestCase):
    def read(self, content, **options):
        defaults = {"format": "ndjson", "space": "s", "timestamp": "t", "timestamp_unit": "s"}
        a_set = Set("test", [], "s", 0, Mapping(**{**defaults, **options}))
        return mapping.read(a_set, [content])

    def test_values_keep_their_text(self):
        line = b'{"s":7,"t":1,"n":-1.50E+2,"b":true,"a":["x",1.0,null,"x"],"z":null,"e":""}'
        indexes = {name: name for name in "nbaze"}
        ((found,), _) = self.read(line + b"\n\n", indexes=indexes)
        pairs = [(b"a", b"1.0"), (b"a", b"x"), (b"b", b"true"), (b"e", b""), (b"n", b"-1.50E+2")]
        self.assertEqual(found, event(b"7", b"", 1, pairs, line))

    def test_pointers_reach_down_and_names_are_whole(self):
        line = b'{"s":"s","t":1,"o":{"a/b":["x","y"]},"o.p":"z"}'
        indexes = {"down": "/o/a~1b/1", "dotted": "o.p", "gone": "/o.p/q"}
        ((found,), _) = self.read(line, indexes=indexes)
        self.assertEqual(found.pairs, [(b"dotted", b"z"), (b"down", b"y")])

    def test_a_record_without_space_is_skipped_or_gets_the_default(self):
        content = b's,t\n,1\n"a ""\xc3\xbc""",2\n'
        events, skipped = self.read(content, format="csv", skip_bad=True)
        self.assertEqual((len(events), skipped), (1, 1))
        self.assertEqual(events[0].data, b'{"s":"a \\"\xc3\xbc\\"","t":"2"}')
        events, _ = self.read(content, format="csv", default_space="none")
        self.assertEqual(events[0].space, b"none")


class Document(unittest.TestCase):
    def test_ties_stand_by_grouping_then_arrival(self):
        first, second, third = event(data=b"1"), event(data=b"2"), event(grouping=b"", data=b"3")
        arrived = document([first, second, third])
        self.assertEqual(arrived["spaces"], document([third, first, second])["spaces"])
        self.assertNotEqual(arrived["spaces"], document([second, first, third])["spaces"])

    def test_the_first_difference_names_its_path(self):
        expected, found = document([event(pairs=[(b"n", b"v")])]), document([event()])
        self.assertIn("'indexes' / 'n'", first_difference(expected, found))


class Scripts(unittest.TestCase):
    def test_features_keep_their_text(self):
        text = b'{"features":[{"a": 1},\n{"b":[]}],"bbox":[1]}'
        self.assertEqual(list(native.features([text])), [b'{"a": 1}', b'{"b":[]}'])


if __name__ == "__main__":
    unittest.main()
