"""Checkpoint files that are damaged, edited, foreign or not writable."""

import os
import sys
from enum import Enum

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import invopt
from invopt import JournalWarning
from invopt.exceptions import CheckpointError

from .trainings import rewrite, train, training


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_refused(kind, tmp_path):
    path = tmp_path / "run"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    with pytest.raises(CheckpointError, match=kind):
        train(path, 3)


def test_foreign_files_and_other_versions_are_refused(tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / "foreign")
    train(tmp_path / "old", 3)
    rewrite(tmp_path / "old", lambda header: header | {"version": 2})
    for name, message in (("foreign", "not written by invopt"), ("old", "has version 2")):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(CheckpointError, match=message):
            train(tmp_path / name, 5)
        assert (tmp_path / name).read_bytes() == before


EDITS = {
    "x": lambda body: body["x"].update(value="t1"),
    "rng": lambda body: body["rng"]["value"][1].__setitem__(1, {"kind": "dict", "value": []}),
    "rng a number": lambda body: body.update(rng=7),
    "record": lambda body: body.update(record=[]),
    "unhashable tensor": lambda body: body["x"].update(value=[]),
    "unhashable class": lambda body: body.update(state={"kind": "attrs", "class": {}, "value": []}),
    "unhashable kind": lambda body: body.update(state={"kind": []}),
    "step": lambda body: entry(body, "step").__setitem__(1, "far"),
    "counts": lambda body: entry(entry(body, "counts")[1], "nfev").__setitem__(1, -1),
    "history": lambda body: entry(body, "history")[1]["value"].pop(),
    "last": lambda body: entry(body, "last").__setitem__(1, 2**70),
    "seconds": lambda body: entry(body, "seconds").__setitem__(1, None),
    "state": lambda body: body.update(state=1.5),
}


def entry(value, name):
    """The pair of a name and its value in an encoded dictionary."""
    holder = value.get("record", value)
    return next(item for item in holder["value"] if item[0] == name)


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_edited_files_whose_checksum_fits_are_refused(edit, tmp_path):
    """Such files must not end a run by TypeError, KeyError or IndexError."""
    train(tmp_path / "run", 3)

    def change(header):
        edit(header["body"])
        return header

    rewrite(tmp_path / "run", change)
    with pytest.raises(CheckpointError, match="damaged|checkpoint"):
        train(tmp_path / "run", 5)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    path = tmp_path_factory.mktemp("kept") / "run"
    train(path, 4)
    return path.read_bytes()


@pytest.mark.parametrize("seed", range(100))
def test_damaged_files_are_refused(seed, kept, tmp_path):
    rng, content = np.random.default_rng(seed), bytearray(kept)
    if seed % 2:
        del content[int(rng.integers(0, len(content))) :]
    else:
        for i in rng.integers(0, len(content), int(rng.integers(1, 4))):
            content[i] ^= 1 << int(rng.integers(0, 8))
    (tmp_path / "run").write_bytes(content)
    with pytest.raises(CheckpointError):
        train(tmp_path / "run", 5)


class Evil(Enum):
    """Not a state of any part."""

    YES = "yes"


@pytest.mark.parametrize(
    "name", ["antigravity:fly", "os:system", "builtins:list", f"{__name__}:Evil", "invopt._result:OptimizeResult"]
)
def test_a_file_makes_nothing_but_states_of_the_parts_at_hand(name, tmp_path):
    """A file must not import any named module; importing antigravity opens a browser."""
    train(tmp_path / "run", 3)

    def change(header):
        header["body"]["memory"]["class"] = name
        return header

    rewrite(tmp_path / "run", change)
    with pytest.raises(CheckpointError, match="no state of this run"):
        train(tmp_path / "run", 5)
    assert "antigravity" not in sys.modules


def test_orphans_of_dead_processes_are_removed_and_others_stay(tmp_path, program):
    dead = program("import os; print(os.getpid())").stdout
    orphan, other = tmp_path / f".run.{dead.strip()}.0a1b2c3d.tmp", tmp_path / f".run.{os.getpid()}.0a1b2c3d.tmp"
    orphan.touch(), other.touch()
    train(tmp_path / "run", 2)
    assert not orphan.exists()
    assert other.exists()


def test_a_file_that_cannot_be_written_costs_a_warning():
    with pytest.warns(JournalWarning, match="the checkpoint cannot be written"):
        result = train("/proc/nowhere/run", 3)
    assert np.array_equal(result.x, train(None, 3).x)


@pytest.mark.parametrize("edit", ["visit", "pairs"])
def test_what_a_line_of_visits_lacks_is_seen_before_the_first_step(edit, tmp_path):
    def run(maxiter):
        return invopt.minimize(
            training(), "finite-difference", "lbfgs", rng=0, maxiter=maxiter, checkpoint=tmp_path / "run"
        )

    def change(header):
        last, pairs, _ = header["body"]["state"]["value"]
        if edit == "visit":
            last["value"][0] = None
        else:
            pairs["value"] = [{"kind": "tuple", "value": [last["value"][0]]}]
        return header

    run(4)
    rewrite(tmp_path / "run", change)
    with pytest.raises(CheckpointError, match="'state' does not belong to this run"):
        run(6)
