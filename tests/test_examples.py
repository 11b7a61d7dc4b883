"""Every example of the gallery runs at a tiny size and draws its figures."""

import os
import re
from pathlib import Path

import pytest

from invopt.runfiles import read_run_file

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("plot_*.py"))

# Runs an example as a script, then draws its figures; an axis without data is an error.
RUN = """
import runpy, sys, warnings
import matplotlib.pyplot as plt
warnings.filterwarnings("ignore", message=".*is non-interactive")
runpy.run_path(sys.argv[1], run_name="__main__")
for number in plt.get_fignums():
    figure = plt.figure(number)
    figure.canvas.draw()
    assert figure.axes and all(ax.has_data() for ax in figure.axes), f"figure {number} has an empty axis"
print("figures drawn:", len(plt.get_fignums()))
"""


def test_examples_are_found():
    assert EXAMPLES


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples_have_a_run_file_or_say_why_not(example):
    text = " ".join(example.read_text().split())
    named = re.findall(r"``invopt run (\S+\.toml)``", text)
    assert named or "It has no run file: " in text
    for name in named:
        read_run_file(ROOT / "examples" / name)


@pytest.mark.render
@pytest.mark.timeout(300)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(example, tmp_path, program):
    environment = os.environ | {"INVOPT_EXAMPLES": "tiny", "MPLBACKEND": "Agg", "INVOPT_CACHE_DIR": str(tmp_path)}
    done = program(RUN, str(example), flags=("-W", "error"), cwd=tmp_path, env=environment, timeout=280)
    assert done.returncode == 0, done.stderr
    *printed, figures = done.stdout.splitlines()
    assert any(line.strip() for line in printed), "nothing was printed"
    assert int(figures.removeprefix("figures drawn: ")) >= 1
