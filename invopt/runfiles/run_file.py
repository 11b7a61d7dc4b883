"""Read run files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from attrs import frozen

from invopt import rendering
from invopt.core.formatting import shown
from invopt.core.problem import Problem
from invopt.core.registry import find
from invopt.core.validators import by_name
from invopt.exceptions import suggest

__all__ = ["RunFile", "read_run_file"]

# Bindings of a run file: all but those that a function or an array defines.
_BINDINGS: dict[str, Any] = {
    cls.__name__.lower(): cls
    for cls in (
        rendering.CameraPose,
        rendering.Color,
        rendering.FieldOfView,
        rendering.Numbers,
        rendering.Pose,
        rendering.Rotation,
        rendering.Scale,
        rendering.Texels,
        rendering.Translation,
        rendering.Value,
    )
}
# Keys at the top: of the scene, and of the run as the options of `invopt run`.
_SCENE = ("scene", "loss", "spp", "backend", "variables", "sigma")
_RUN = ("estimator", "method", "maxfev", "seed", "workers", "journal", "out")
_TABLES = ("parameter", "photograph", "start")
# Keys of a photograph that belong to the scene.
_VIEW = ("sensor", "changes")
# Keys whose values are files, relative to the folder of the run file.
_FILES = ("source", "mask")


@frozen
class RunFile:
    """A problem and the options of its run.

    Attributes
    ----------
    problem : Problem
        The scene.
    options : mapping of str
        Options that the file gives, named as those of `invopt run`.
    """

    problem: Problem
    options: Mapping[str, Any]


def read_run_file(path: Path) -> RunFile:
    """Read a run file; unknown keys are errors that name the nearest known ones.

    Parameters
    ----------
    path : Path
        A TOML file. Files that it names are relative to its folder, but `journal` and `out` to the current one.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{str(path)!r} could not be read as TOML: {error}") from None
    _check(content, (*_SCENE, *_RUN, *_TABLES), f"{str(path)!r}")
    if "scene" not in content:
        raise ValueError(f"{str(path)!r} must have the key 'scene', an XML file")
    photographs, folder = _tables(content, "photograph"), path.parent
    facts: dict[str, Any] = {key: content[key] for key in _SCENE if key in content}
    facts["scene"] = folder / _text("scene", content["scene"])
    facts["parameters"] = [_binding(table) for table in _tables(content, "parameter")]
    facts["target"] = [_photograph(table, folder) for table in photographs]
    if any("sensor" in table for table in photographs):
        facts["sensors"] = [table.get("sensor", 0) for table in photographs]
    if any("changes" in table for table in photographs):
        facts["variants"] = [table.get("changes", {}) for table in photographs]
    if "start" in content:
        facts["x0"] = content["start"]
    return RunFile(find("problems", "scene")(**facts), {key: content[key] for key in _RUN if key in content})


def _tables(content: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = content.get(name, [])
    if not isinstance(found, list) or not found or not all(isinstance(table, dict) for table in found):
        raise ValueError(f"'{name}' must be one or several tables [[{name}]]: {shown(found)}")
    return found


def _binding(table: Mapping[str, Any]) -> Any:
    cls = by_name(_BINDINGS, str(table.get("kind", "")).lower(), "kind of a [[parameter]]")
    known = [str(item.alias) for item in attrs.fields(cls) if item.init]
    _check(table, ("kind", *known), f"[[parameter]] {table.get('target', '')!r}")
    return cls(**{key: value for key, value in table.items() if key != "kind"})


def _photograph(table: Mapping[str, Any], folder: Path) -> Any:
    known = [str(item.alias) for item in attrs.fields(rendering.Photograph)]
    _check(table, (*known, *_VIEW), "[[photograph]]")
    if "source" not in table:
        raise ValueError("[[photograph]] must have the key 'source', a file")
    facts = {key: value for key, value in table.items() if key not in _VIEW}
    facts |= {key: folder / _text(key, facts[key]) for key in _FILES if key in facts}
    return rendering.Photograph(**facts)


def _check(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            raise ValueError(f"unknown key {key!r} in {where}; {suggest(key, known)}")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"'{name}' must be the name of a file: {shown(value)}")
    return value
