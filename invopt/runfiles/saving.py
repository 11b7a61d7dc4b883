"""Run files that are written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from invopt.core.identity import digest
from invopt.core.validators import require
from invopt.exceptions import InvoptError
from invopt.runfiles.run_file import FILES, RunFile, read_run_file
from invopt.runfiles.toml_text import as_toml

__all__ = ["save_run_file"]


def save_run_file(file: RunFile, path: Path) -> None:
    """Write a run file, and read it back: it must be the same run.

    Names of a scene's files become relative to the new folder.

    Raises
    ------
    InvoptError
        If what is read back is another problem or has other options; the file is then removed.
    ValueError
        If a setting cannot be written in TOML, or the sigma of a command is not that of its scene.
    """
    rule = "left out with a run file of a scene: give 'sigma' in the file"
    require("--sigma", not (file.has_scene and "sigma" in file.options), rule, file.options.get("sigma"))
    text = as_toml(_moved(file.content, file.folder, path.parent))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    found = read_run_file(path)
    if dict(found.options) != dict(file.options) or _content(found) != _content(file):
        path.unlink()
        raise InvoptError(f"the run file {str(path)!r} would be another run than this command: it is removed")


def _content(file: RunFile) -> str:
    problem = file.problem
    start = problem.x0.tolist() if file.has_scene else []
    return digest({"content": problem.identity_content(), "start": start})


def _moved(content: Mapping[str, Any], old: Path, new: Path) -> dict[str, Any]:
    """Content with the names of its files relative to another folder."""

    def moved(name: str) -> str:
        return name if Path(name).is_absolute() else Path(os.path.relpath(old / name, new)).as_posix()

    def held(table: Mapping[str, Any]) -> dict[str, Any]:
        return {key: moved(value) if key in FILES else value for key, value in table.items()}

    found = dict(content)
    if "scene" in found:
        found["scene"] = moved(found["scene"])
        found["photograph"] = [held(table) for table in found["photograph"]]
    return found
