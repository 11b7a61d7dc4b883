"""Which objects of a scene use an object, and as what."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from invopt.rendering.values import renderer

__all__ = ["uses_of"]


def uses_of(scene: Any) -> dict[Any, list[tuple[Any, str]]]:
    """Return the users of each object of a scene, with the name that each has for it.

    Mitsuba's own list of parameters names one user only.
    """
    mi = renderer()
    found: dict[Any, list[tuple[Any, str]]] = defaultdict(list)

    class Callback(mi.TraversalCallback):  # type: ignore[misc, name-defined]
        def __init__(self, node: Any) -> None:
            super().__init__()
            self.node = node

        def put(self, name: str, value: Any, flags: Any, cpptype: Any = None) -> None:
            if isinstance(value, mi.Object):
                self.put_object(name, value, flags)

        def put_value(self, name: str, value: Any, flags: Any, cpptype: Any = None) -> None:
            return

        def put_object(self, name: str, value: Any, flags: Any) -> None:
            if value is None:
                return
            known = value in found
            found[value].append((self.node, name))
            if not known:
                value.traverse(Callback(value))

    scene.traverse(Callback(scene))
    return found
