"""Digests of values by their content; an error where content cannot be determined."""

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
    """Digests of parts by name, and one digest of all that the parts reach.

    What they reach are globals, modules and classes.
    """

    parts: dict[str, str]
    surroundings: str


def digests(parts: Mapping[str, Any]) -> dict[str, str]:
    """Return the digest of each part, by name."""
    return digests_with_surroundings(parts).parts


def digests_with_surroundings(parts: Mapping[str, Any]) -> Digests:
    """Return the digests of parts, by name, and of their surroundings.

    The surroundings are what the parts reach and others may change.
    """
    found, around = {}, set()
    for name, value in parts.items():
        digester = _Digester(name)
        found[name] = digester.of(value).hex()[:32]
        around |= digester.outside
    return Digests(found, hashlib.sha256(b"".join(sorted(around))).hexdigest()[:32])


def digest(value: Any, name: str = "value") -> str:
    """Return the hexadecimal digest of a value.

    It is the same in every process with the same content.

    Parameters
    ----------
    value : object
        Numbers, texts, containers, arrays and tensors count whole and exactly; functions by their code, defaults,
        closures and the globals that they name; objects by their class and state, as pickle has it, and by all
        attributes if the class is the user's. Functions and classes of installed packages count by name, the user's by
        content. Of a user's module the attributes that the code reads count, or all if the module is passed on.
    name : str, default "value"
        Its name in messages.

    Returns
    -------
    str
        32 hexadecimal digits.

    Raises
    ------
    IdentityError
        If it holds something whose content cannot be determined: a socket, an open file, a lock, a generator, or code
        that reaches objects by text, as `eval` and `globals` do.
    """
    return _Digester(name).of(value).hex()[:32]


class _Digester:
    """Digests of a value and of all that it refers to, each computed once."""

    def __init__(self, name: str) -> None:
        self._path = [name]
        self._known: dict[int, bytes] = {}
        # Objects whose addresses are keys of `_known`: a freed object's address could be reused.
        self._kept: list[Any] = []
        self._open: dict[int, int] = {}
        # Digests of objects that others hold too, and may change.
        self.outside: set[bytes] = set()

    def of(self, value: Any) -> bytes:
        """Return the digest of a value.

        A cycle counts by the number of levels up to its beginning.
        """
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
            what = f"objects that {name!r} reaches cannot be determined from the code: name them in it"
        else:
            what = f"a {type(value).__module__}.{type(value).__qualname__} cannot be identified by its content"
        return IdentityError(
            f"{what} ({where}): keep it out of the problem, or give identity='...', a name that you change whenever "
            f"the problem changes"
        )
