"""The command, and what is compared of two matrices."""

import re
import subprocess
import sys

import numpy as np

from invopt.bench.store import Store

TIMED = re.compile("seconds")


def untimed(results):
    """Everything of the tidy table but seconds."""
    return [{k: v for k, v in row.items() if not TIMED.search(k)} for row in results.rows]


def same(first, second):
    np.testing.assert_equal(untimed(first), untimed(second))
    for a, b in zip(first.outcomes, second.outcomes, strict=True):
        for name in a.arrays:
            if not TIMED.search(name):
                np.testing.assert_array_equal(a.arrays[name], b.arrays[name])


def command(*arguments):
    return [sys.executable, "-c", "from invopt.cli import main; main()", *map(str, arguments)]


def copied(finished, tmp_path):
    subprocess.run(["cp", "-r", finished, tmp_path / "copy"], check=True)
    return Store(tmp_path / "copy")
