"""Helpers for tests of the matrix: the command, and comparison of two results."""

import re
import subprocess

import numpy as np

from invopt.bench.store import Store

TIMED = re.compile("seconds")


def untimed(results):
    """Rows of the tidy table without columns of seconds."""
    return [{k: v for k, v in row.items() if not TIMED.search(k)} for row in results.rows]


def same(first, second):
    np.testing.assert_equal(untimed(first), untimed(second))
    for a, b in zip(first.outcomes, second.outcomes, strict=True):
        for name in a.arrays:
            if not TIMED.search(name):
                np.testing.assert_array_equal(a.arrays[name], b.arrays[name])


# The command line, as a program.
COMMAND = "from invopt.cli import main; main()"


def copied(finished, tmp_path):
    subprocess.run(["cp", "-r", finished, tmp_path / "copy"], check=True)
    return Store(tmp_path / "copy")
