"""Digest of any value by its content, or an error: nothing is guessed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NamedTuple

from invopt.core.identity.kinds import Described, described, leaf
from invopt.core.identity.uses import is_dynamic
from invopt.exceptions import IdentityError

__all__ = ["Digests", "digest", "digests", "digests_with_surroundings"]


class Digests(NamedTuple):
    """Digests of parts by name, and one of what they reach that others may change: globals, modules, classes."""

    parts: dict[str, str]
    surroundings: str


def digests(parts: Mapping[str, Any]) -> dict[str, str]:
    """Digest of each part, by name."""
    return digests_with_surroundings(parts).parts


def digests_with_surroundings(parts: Mapping[str, Any]) -> Digests:
    """Digest of each part, by name, and of what is around them."""
    found, around = {}, set()
    for name, value in parts.items():
        digester = _Digester(name)
        found[name] = digester.of(value).hex()[:32]
        around |= digester.outside
    return Digests(found, hashlib.sha256(b"".join(sorted(around))).hexdigest()[:32])


def digest(value: Any, name: str = "value") -> str:
    """Hexadecimal digest of a value, the same in every process that holds the same content.

    Parameters
    ----------
    value : object
        Numbers, texts, containers, arrays and tensors whole and exact; functions by their code, defaults, closures and
        the globals that they name; objects by their class and state, as pickle sees it, and by all attributes where
        the class is the user's. Functions and classes of installed packages are told by name, those of the user by
        content; of a module of the user's what the code takes of it, or all of it where it is passed on.
    name : str, default "value"
        What a message calls it.

    Returns
    -------
    str
        32 hexadecimal digits.

    Raises
    ------
    IdentityError
        If it holds something whose content cannot be told: a socket, an open file, a lock, a generator, code that
        reaches what texts name, as `eval` and `globals` do.
    """
    return _Digester(name).of(value).hex()[:32]


class _Digester:
    """Digests of a value and of all that it refers to, each computed once."""

    def __init__(self, name: str) -> None:
        self._path = [name]
        self._known: dict[int, bytes] = {}
        # Objects whose addresses are keys of `_known`: a freed one's address could be another's.
        self._kept: list[Any] = []
        self._open: dict[int, int] = {}
        # Digests of what others hold too, and may change.
        self.outside: set[bytes] = set()

    def of(self, value: Any) -> bytes:
        """Digest of a value; of one that contains itself, by how far up it began."""
        if is_dynamic(value):
            raise self._unknown(value)
        content = leaf(value)
        if content is not None:
            return hashlib.sha256(content).digest()
        key = id(value)
        if key in self._known:
            return self._known[key]
        if key in self._open:
            return hashlib.sha256(f"cycle {len(self._open) - self._open[key]}".encode()).digest()
        self._open[key] = len(self._open)
        try:
            found = self._composite(value)
        finally:
            del self._open[key]
        self._known[key] = found
        self._kept.append(value)
        if isinstance(value, type | ModuleType):
            self.outside.add(found)
        return found

    def _composite(self, value: Any) -> bytes:
        found = described(value)
        if found is None:
            raise self._unknown(value)
        whole = hashlib.sha256(found.kind.encode())
        children = list(self._children(found))
        if found.unordered:
            children.sort()
        whole.update(f" {len(children)} ".encode())
        for child in children:
            whole.update(child)
        return whole.digest()

    def _children(self, found: Described) -> Iterator[bytes]:
        for part in found.parts:
            try:
                with self._inside(part.name):
                    child = self.of(part.value)
            except IdentityError:
                if not part.droppable:
                    raise
                continue
            if part.outside:
                self.outside.add(child)
            yield child

    @contextmanager
    def _inside(self, name: str) -> Iterator[None]:
        self._path.append(name)
        try:
            yield
        finally:
            self._path.pop()

    def _unknown(self, value: Any) -> IdentityError:
        where = self._path[0] + "".join(f", {name}" for name in self._path[1:])
        if is_dynamic(value):
            name = getattr(value, "__name__", "sys.modules")
            what = f"what {name!r} reaches cannot be told from its text: name it in the code"
        else:
            what = f"a {type(value).__module__}.{type(value).__qualname__} cannot be told from others by its content"
        return IdentityError(
            f"{what} ({where}): keep it out of what is optimised, or give identity='...', a name that you change "
            f"whenever the problem changes"
        )
