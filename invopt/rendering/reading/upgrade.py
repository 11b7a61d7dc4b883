"""Scene files of Mitsuba 0.6 as files of Mitsuba 3."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat

from attrs import field, frozen

from invopt.core.validators import as_path
from invopt.exceptions import SceneError
from invopt.rendering.reading.old_plugins import DROPPED, KEPT, KNOWN, REPLACED, TAGS

__all__ = ["Note", "Upgrade", "upgrade"]

# Written into the new file.
_VERSION = "3.0.0"
# First version whose names have underscores.
_FIRST_NEW = 2
# Texture coordinates: parameters of 0.6, and their place in the transform that replaces them.
_TO_UV = {
    "uscale": ("scale", "x"),
    "vscale": ("scale", "y"),
    "uoffset": ("translate", "x"),
    "voffset": ("translate", "y"),
}
# Text of an index of refraction that is that of air.
_AIR = ("air", "1", "1.0", "1.00", "vacuum")


class Note(NamedTuple):
    """Line of the old file, and what was changed or is left there."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


@frozen
class Upgrade:
    """What was changed in a file, and what has no counterpart and is left as it was."""

    changes: list[Note] = field(factory=list)
    left: list[Note] = field(factory=list)

    def __str__(self) -> str:
        parts = [f"changed, {len(self.changes)}:", *map(str, self.changes)]
        parts += [f"left for you, {len(self.left)}:" if self.left else "nothing is left for you", *map(str, self.left)]
        return "\n".join(parts)


def upgrade(old: str | Path, new: str | Path) -> Upgrade:
    """Write a scene file of Mitsuba 0.6 as one of Mitsuba 3.

    As far as that is mechanical: names get underscores; colours become linear numbers; integrators, samplers, films and
    materials that Mitsuba 3 has not are replaced by the nearest ones it has; what it has no name for is left out. Each
    change is listed with its line, and so is what is left: such elements are copied as they are, and the new file
    cannot be loaded until they are changed by hand.

    Parameters
    ----------
    old, new : str or Path
        The file, and the one to write; they must differ.

    Returns
    -------
    Upgrade

    Raises
    ------
    SceneError
        If the file cannot be read or is not of Mitsuba 0.6 or earlier.
    """
    source, target = as_path("old", old), as_path("new", new)
    if source.absolute() == target.absolute():
        raise SceneError(f"the new file must be another one than the old: {str(new)!r}")
    root, lines = _parsed(source)
    if root.tag != "scene":
        raise SceneError(f"{str(old)!r} is not a scene of Mitsuba: its root is <{root.tag}>")
    version = root.get("version", "0.6.0")
    if int(version.partition(".")[0]) >= _FIRST_NEW:
        raise SceneError(f"{str(old)!r} is of version {version} already, which Mitsuba 3 reads")
    found = Upgrade()
    root.set("version", _VERSION)
    _Upgrader(lines, found).inside(root)
    ET.ElementTree(root).write(target, encoding="utf-8", xml_declaration=True)
    return Upgrade(sorted(found.changes), sorted(found.left))


def _parsed(path: Path) -> tuple[ET.Element, dict[ET.Element, int]]:
    """Root of a file, and the line of each element."""
    builder, parser = ET.TreeBuilder(insert_comments=True), expat.ParserCreate()
    lines: dict[ET.Element, int] = {}

    def start(tag: str, attributes: dict[str, str]) -> None:
        lines[builder.start(tag, attributes)] = parser.CurrentLineNumber

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda tag: builder.end(tag)
    parser.CharacterDataHandler = lambda data: builder.data(data)
    parser.CommentHandler = lambda text: builder.comment(text)
    try:
        parser.Parse(path.read_bytes(), True)
        return builder.close(), lines
    except (OSError, expat.ExpatError, AssertionError) as error:
        raise SceneError(f"{str(path)!r} cannot be read: {error}") from None


class _Upgrader:
    """Changes elements in place, and notes what it does."""

    def __init__(self, lines: dict[ET.Element, int], found: Upgrade) -> None:
        self._lines = lines
        self._found = found

    def inside(self, parent: ET.Element) -> None:
        """Change the elements in a parent, and what is in them."""
        for element in [item for item in parent if isinstance(item.tag, str)]:
            self._colour(element)
            self._tag(element)
            kind, plugin = element.tag, element.get("type")
            if plugin is not None and kind in KNOWN:
                self._plugin(element, kind, plugin)
            name = element.get("name")
            if name is not None and (changed := _with_underscores(name)) != name:
                element.set("name", changed)
                self._changed(element, f"{name} is {changed}")
            self.inside(element)
            if kind == "texture":
                self._coordinates(element)

    def _tag(self, element: ET.Element) -> None:
        if element.tag in TAGS:
            self._changed(element, f"<{element.tag}> is <{TAGS[element.tag]}>")
            element.tag = TAGS[element.tag]

    def _colour(self, element: ET.Element) -> None:
        """Make a colour linear, and one of hexadecimal digits three numbers."""
        value = element.get("value", "").strip()
        if element.tag not in ("rgb", "srgb") or not (value.startswith("#") or element.tag == "srgb"):
            return
        try:
            if value.startswith("#"):
                parts = [int(value[i : i + 2], 16) / 255 for i in (1, 3, 5)]
            else:
                parts = [float(part) for part in value.replace(",", " ").split()]
        except ValueError:
            self._found.left.append(Note(self._lines[element], f"colour {value!r} has no three numbers"))
            return
        if element.tag == "srgb":
            parts = [_linear(part) for part in parts]
        element.set("value", " ".join(f"{part:.6g}" for part in parts))
        self._changed(element, f"colour {value} is {element.get('value')}")

    def _plugin(self, element: ET.Element, kind: str, plugin: str) -> None:
        """Replace a plugin, and leave out parameters that the new one has not."""
        new = REPLACED.get(kind, {}).get(plugin, plugin)
        if new not in KNOWN[kind]:
            self._found.left.append(Note(self._lines[element], f"Mitsuba 3 has no {kind} {plugin!r}"))
            return
        if new != plugin:
            element.set("type", new)
            self._changed(element, f"{kind} {plugin!r} is {new!r}")
        for item in list(self._without(element, kind, plugin, new)):
            element.remove(item)
            self._changed(item, f"{item.get('name')} of {kind} {new!r} is left out")

    def _without(self, element: ET.Element, kind: str, plugin: str, new: str) -> Iterator[ET.Element]:
        """Parameters to leave out."""
        dropped, kept = DROPPED.get((kind, plugin), DROPPED.get((kind, new), ())), KEPT.get(kind)
        for item in element:
            name = item.get("name")
            if not isinstance(item.tag, str) or name is None or item.get("type") is not None:
                continue
            if name == "extEta":
                if item.get("value", "").strip().lower() in _AIR:
                    yield item
                else:
                    self._found.left.append(Note(self._lines[item], "extEta other than air: divide eta and k by it"))
            elif name in dropped or (kept is not None and new != plugin and name not in kept):
                yield item

    def _coordinates(self, texture: ET.Element) -> None:
        """Put scales and offsets of texture coordinates into a transform."""
        given = {name: item for item in texture if isinstance(item.tag, str) and (name := item.get("name")) in _TO_UV}
        if not given:
            return
        transform = ET.Element("transform", {"name": "to_uv"})
        for operation, neutral in (("scale", "1"), ("translate", "0")):
            values = {"x": neutral, "y": neutral}
            values |= {_TO_UV[n][1]: i.get("value", neutral) for n, i in given.items() if _TO_UV[n][0] == operation}
            ET.SubElement(transform, operation, values)
        self._changed(next(iter(given.values())), f"{', '.join(map(str, given))} are a transform, to_uv")
        for item in given.values():
            texture.remove(item)
        texture.append(transform)

    def _changed(self, element: ET.Element, text: str) -> None:
        self._found.changes.append(Note(self._lines[element], text))


def _linear(value: float) -> float:
    """Linear value of one of sRGB (IEC 61966-2-1)."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _with_underscores(name: str) -> str:
    """Name with underscores: ``toWorld`` as ``to_world``, ``intIOR`` as ``int_ior``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower() if re.search(r"[a-z]", name) else name
