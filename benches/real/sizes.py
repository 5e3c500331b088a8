"""Sizes of esdb files beside DuckDB's Parquet (zstd) of the same events: one line for each file.

    sizes.py --esdb PATH FILE.esdb...

The Parquet has a row for each event in the same order: space, grouping, ts, one column for each index name (a list where an event has
several values), data. It has no posting lists.
"""

import argparse
import base64
import json
import os
import subprocess
import tempfile

import duckdb
import pyarrow
import pyarrow.parquet


def data_of(line):
    fields = json.loads(line)
    if "data_text" in fields:
        return fields, fields["data_text"].encode()
    if "data_base64" in fields:
        return fields, base64.b64decode(fields["data_base64"])
    return fields, line[line.index(b'"data":') + len('"data":'):].rstrip(b"\n")[:-1]


def bytes_of(fields, name):
    return base64.b64decode(fields[name + "_base64"]) if name + "_base64" in fields else fields[name].encode()


def values_of(fields):
    values = {name: value if isinstance(value, list) else [value] for name, value in fields.get("index", {}).items()}
    for name, value in fields.get("index_base64", []):
        values.setdefault(name, []).append(value)
    return values


def table_of(esdb, file):
    rows, names = [], set()
    with subprocess.Popen([esdb, "scan", file], stdout=subprocess.PIPE) as scan:
        for line in scan.stdout:
            fields, data = data_of(line)
            values = values_of(fields)
            names.update(values)
            rows.append((bytes_of(fields, "space"), bytes_of(fields, "grouping"), fields["timestamp"], values, data))
    columns = {"space": [row[0] for row in rows], "grouping": [row[1] for row in rows], "ts": [row[2] for row in rows]}
    for name in sorted(names):
        lists = [row[3].get(name) for row in rows]
        several = any(some and len(some) > 1 for some in lists)
        columns["index " + name] = lists if several else [some and some[0] for some in lists]
    return pyarrow.table({**columns, "data": [row[4] for row in rows]})


def parquet_size(table, folder):
    source, target = os.path.join(folder, "source.parquet"), os.path.join(folder, "target.parquet")
    pyarrow.parquet.write_table(table, source)
    duckdb.execute(f"""COPY (SELECT * EXCLUDE file_row_number
        FROM read_parquet('{source}', binary_as_string = true, file_row_number = true)
        ORDER BY space, "grouping", ts, file_row_number) TO '{target}' (FORMAT parquet, COMPRESSION zstd)""")
    return os.path.getsize(target)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--esdb", required=True)
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    print(f"{'file':<24}{'events':>10}{'esdb B/event':>14}{'Parquet B/event':>17}{'ratio':>7}")
    for file in args.files:
        with tempfile.TemporaryDirectory() as folder:
            table = table_of(args.esdb, file)
            ours, theirs = os.path.getsize(file), parquet_size(table, folder)
        name, count = os.path.basename(file), table.num_rows
        print(f"{name:<24}{count:>10,}{ours / count:>14.2f}{theirs / count:>17.2f}{ours / theirs:>7.2f}")


if __name__ == "__main__":
    main()
