"""Run files: a problem and the options of its run."""

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
from invopt.core.registry import find, resolve
from invopt.core.validators import by_name
from invopt.exceptions import suggest
from invopt.runfiles.settings import PARTS

__all__ = ["FILES", "RUN", "RunFile", "as_run_file", "content_of", "read_run_file"]

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
# Keys at the top: of a scene, of a registered problem, and of the run as the options of `invopt run`.
_SCENE = ("scene", "loss", "spp", "backend", "variables", "sigma")
_NAMED = ("problem", "set", "sigma")
RUN = ("estimator", "method", "maxfev", "maxtime", "seed", "workers", "journal", "checkpoint", "every", "out")
# Options that are names of files.
_PATHS = ("journal", "checkpoint", "out")
_TABLES = ("parameter", "photograph", "start")
# Keys of a photograph that belong to the scene.
_VIEW = ("sensor", "changes")
# Keys whose values are files, relative to the folder of the run file.
FILES = ("source", "mask")


@frozen
class RunFile:
    """A problem and the options of its run.

    Attributes
    ----------
    content : mapping of str
        What the file holds.
    folder : Path
        Folder that its files are relative to.
    problem : Problem
        A scene, or a registered problem.
    options : mapping of str
        Options that the file gives, named as those of `invopt run`.
    """

    content: Mapping[str, Any]
    folder: Path
    problem: Problem
    options: Mapping[str, Any]

    @property
    def has_scene(self) -> bool:
        """Whether it is of a scene, and not of a registered problem."""
        return "scene" in self.content


def read_run_file(path: Path) -> RunFile:
    """Read a run file; unknown keys are errors that name the nearest known ones.

    Parameters
    ----------
    path : Path
        A TOML file. Files of a scene are relative to its folder, all others to the current one.
    """
    return as_run_file(content_of(path), path.parent, repr(str(path)))


def content_of(path: Path) -> dict[str, Any]:
    """Return what a TOML file holds."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{str(path)!r} could not be read as TOML: {error}") from None


def as_run_file(content: Mapping[str, Any], folder: Path, where: str) -> RunFile:
    """Make the problem and the options of a run file.

    Parameters
    ----------
    content : mapping of str
        What the file holds.
    folder : Path
        Folder that files are relative to.
    where : str
        What messages call it.
    """
    names: tuple[str, ...] = RUN
    if "problem" in content:
        _check(content, (*_NAMED, *RUN), f"{where}, which is of a problem by name")
        problem, names = _named(content), (*RUN, "sigma")
    else:
        _check(content, (*_SCENE, *RUN, *_TABLES), where)
        if "scene" not in content:
            raise ValueError(f"{where} must have the key 'scene', an XML file, or 'problem', a name")
        problem = _scene(content, folder)
    for name in _PATHS:
        _text(name, content.get(name, ""))
    return RunFile(content, folder, problem, {key: content[key] for key in names if key in content})


def _named(content: Mapping[str, Any]) -> Problem:
    """Return a registered problem, with some of its fields set."""
    name, given = content["problem"], content.get("set", {})
    if not isinstance(name, str):
        raise TypeError(f"'problem' must be a name: {shown(name)}")
    if not isinstance(given, dict):
        raise TypeError(f"'set' must be a table [set]: {shown(given)}")
    own = {key: value for key, value in given.items() if key not in PARTS}
    if not own:
        resolved: Problem = resolve("problems", name, "name")
        return resolved
    cls = find("problems", name)
    known = tuple(str(item.alias) for item in attrs.fields(cls) if item.init)
    _check(own, known, f"[set] of {cls.__name__}")
    made: Problem = cls(**own)
    return made


def _scene(content: Mapping[str, Any], folder: Path) -> Problem:
    photographs = _tables(content, "photograph")
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
    made: Problem = find("problems", "scene")(**facts)
    return made


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
    facts |= {key: folder / _text(key, facts[key]) for key in FILES if key in facts}
    return rendering.Photograph(**facts)


def _check(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            raise ValueError(f"unknown key {key!r} in {where}; {suggest(key, known)}")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"'{name}' must be the name of a file: {shown(value)}")
    return value
