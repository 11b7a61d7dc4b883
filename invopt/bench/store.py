"""Store: a folder with a description of the matrix and a file for each cell."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

from invopt.exceptions import InvoptError

from .cell import Cell, Outcome

__all__ = ["MATRIX_VERSION", "ResultsError", "Store", "write_atomically"]

# Version of the format of run.json.
MATRIX_VERSION = 1
# Bytes of a cell above which it is compressed on disk instead of in memory.
_MAX_BYTES_IN_MEMORY = 2**26
# Characters of a value that a message shows.
_MAX_SHOWN = 100


class ResultsError(InvoptError, ValueError):
    """A folder does not hold the results that it should."""


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file under a temporary name and rename it.

    An error leaves no file behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


@frozen
class Store:
    """Results in a folder.

    Parameters
    ----------
    folder : Path
        ``run.json`` describes the matrix and the machine, ``cells/TASK/METHOD/SEED.npz`` is a finished cell.
    """

    folder: Path

    def path(self, cell: Cell) -> Path:
        """File of a cell."""
        return self.folder / "cells" / cell.task / cell.method / f"{cell.seed}.npz"

    def begin(self, run: dict[str, Any]) -> None:
        """Write the description of a matrix.

        An error says what differs if the folder holds another.

        Tasks, methods and seeds may be added. Settings, versions and the commit must be the same.
        """
        path = self.folder / "run.json"
        if path.exists():
            old = self.describe()
            differing = [
                f"{key}: {_brief(old['fixed'].get(key))} there, {_brief(run['fixed'].get(key))} now"
                for key in sorted(old["fixed"] | run["fixed"])
                if old["fixed"].get(key) != run["fixed"].get(key)
            ]
            if differing:
                raise ResultsError(
                    f"'out' {str(self.folder)!r} holds another run ({'; '.join(differing)}): choose another folder"
                )
            run = _joined(old, run)
        elif self.folder.exists() and any(self.folder.iterdir()):
            raise ResultsError(
                f"'out' {str(self.folder)!r} is neither empty nor a folder of `invopt bench`: choose another folder"
            )
        write_atomically(path, (json.dumps(run, indent=1) + "\n").encode())

    def describe(self) -> dict[str, Any]:
        """Description that `begin` wrote."""
        path = self.folder / "run.json"
        try:
            run: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError:
            raise ResultsError(f"{str(self.folder)!r} is not a folder of `invopt bench`: no run.json there") from None
        except (OSError, ValueError) as error:
            raise ResultsError(f"{str(path)!r} cannot be read: {error}") from None
        if run.get("version") != MATRIX_VERSION:
            raise ResultsError(
                f"{str(path)!r} has version {run.get('version')!r}, not {MATRIX_VERSION}: choose another folder"
            )
        return run

    def write(self, cell: Cell, outcome: Outcome) -> None:
        """Write the file of a finished cell."""
        text = np.frombuffer(json.dumps(outcome.record).encode(), dtype=np.uint8)
        with tempfile.SpooledTemporaryFile(max_size=_MAX_BYTES_IN_MEMORY) as file:
            np.savez_compressed(file, record=text, **outcome.arrays)  # type: ignore[arg-type]
            file.seek(0)
            write_atomically(self.path(cell), file.read())

    def read(self, path: Path) -> Outcome:
        """Read the file of a finished cell."""
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            return Outcome(json.loads(arrays.pop("record").tobytes()), arrays)
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ResultsError(
                f"{str(path)!r} cannot be read ({error}): delete it, and run the command again"
            ) from None

    def outcomes(self) -> Iterator[Outcome]:
        """All finished cells, in the order of their paths and seeds."""
        for path in sorted(self.folder.glob("cells/*/*/*.npz"), key=lambda p: (p.parent, int(p.stem))):
            yield self.read(path)


def _joined(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Description of a matrix to which tasks, methods or seeds were added."""
    known = {tuple(key) for key in new["cells"]}
    cells = new["cells"] + [key for key in old["cells"] if tuple(key) not in known]
    commands = list(dict.fromkeys([*old["commands"], *new["commands"]]))
    return new | {"cells": sorted(cells), "refused": old["refused"] | new["refused"], "commands": commands}


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) < _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."
