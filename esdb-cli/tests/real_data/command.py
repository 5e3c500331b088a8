"""Runs the command `esdb`."""

import subprocess

from event import is_utf8, to_base64


class Mismatch(Exception):
    """The command did something else than it must."""


class Esdb:
    def __init__(self, path):
        self.path = path

    def import_file(self, output, flags, inputs):
        """Imports files; returns the exit code."""
        return self.run_import(output, [*flags, *inputs])

    def import_from(self, process, output, flags):
        """Imports what another process prints; returns the exit code."""
        with process:
            exit_code = self.run_import(output, [*flags, "-"], stdin=process.stdout)
        if process.returncode != 0:
            raise Mismatch(f"{process.args} ended with {process.returncode}")
        return exit_code

    def run_import(self, output, arguments, stdin=subprocess.DEVNULL):
        output.unlink(missing_ok=True)
        command = [self.path, "import", "-q", "-o", output, *arguments]
        done = subprocess.run(command, stdin=stdin, stderr=subprocess.PIPE)
        if done.returncode not in (0, 3):
            raise Mismatch(f"import ended with {done.returncode}: {done.stderr.decode()}")
        return done.returncode

    def start_scan(self, file, selectors=()):
        return subprocess.Popen([self.path, "scan", file, *selectors], stdout=subprocess.PIPE)

    def scan(self, file, selectors=()):
        """Yields the lines of a scan without their line ends."""
        with self.start_scan(file, selectors) as process:
            for line in process.stdout:
                yield line.removesuffix(b"\n")
        if process.returncode != 0:
            raise Mismatch(f"scan {selectors} ended with {process.returncode}")

    def scan_both_ways(self, file, selectors):
        """The lines of a scan, after a look that the reverse scan is their mirror."""
        forward = list(self.scan(file, selectors))
        reverse = list(self.scan(file, [*selectors, "-r"]))
        if reverse != forward[::-1]:
            raise Mismatch(f"scan {selectors} -r is not the mirror of the scan without -r")
        return forward


def select_space(space):
    return ["-s", space] if is_argument(space) else ["--space-base64", to_base64(space)]


def select_grouping(space, grouping):
    if is_argument(grouping):
        return [*select_space(space), "-g", grouping]
    return [*select_space(space), "--grouping-base64", to_base64(grouping)]


def select_index(name, value):
    if is_argument(name) and is_argument(value) and b"=" not in name:
        return ["-i", name + b"=" + value]
    return ["--index-base64", f"{to_base64(name)}:{to_base64(value)}"]


def select_space_index(space, name, value):
    return [*select_space(space), *select_index(name, value)]


def is_argument(text):
    return is_utf8(text) and b"\0" not in text
