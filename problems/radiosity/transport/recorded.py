"""Dr.Jit functions whose program is traced once. Import with a backend active."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import drjit
import numpy as np

from invopt.rendering.frozen import ctrl_c_as_such

__all__ = ["Recorded"]

# Untyped, for what its stubs say depends on the variant.
dr: Any = drjit

_logger = logging.getLogger("invopt.radiosity")
# Programs kept at most.
_RECORDINGS = 24
# Calls that are made both ways and compared.
_TRIALS = 3


class Recorded:
    """A function of Dr.Jit arrays, its program traced once and launched again; bit for bit the same results.

    Batches as small as those of a training on a CPU take longer to trace than to run. As with `FrozenRender`, trust is
    earned: the first calls are made both ways, and if any bit differs or recording fails, every call from then on is an
    ordinary one.

    Parameters
    ----------
    function : callable
        Returns a list of arrays. Whatever it reads of Dr.Jit's must be among its arguments, the scene too.
    """

    def __init__(self, function: Callable[..., list[Any]]) -> None:
        self._plain = function
        # A scene that is opened beside this one has the program recorded anew: as often as that, but no warning.
        self._frozen: Any = dr.freeze(function, limit=_RECORDINGS, warn_after=_RECORDINGS)
        self._calls = 0

    def __call__(self, *arguments: Any) -> list[Any]:
        """What the function returns, evaluated."""
        if self._frozen is None:
            return self._traced(*arguments)
        self._calls += 1
        try:
            with ctrl_c_as_such():
                found: list[Any] = self._frozen(*arguments)
        except Exception as error:  # noqa: BLE001 - plugins that cannot be recorded raise all kinds
            return self._give_up(str(error), *arguments)
        if self._calls <= _TRIALS and not _equal(found, self._traced(*arguments)):
            return self._give_up("a recorded result differs", *arguments)
        return found

    def _traced(self, *arguments: Any) -> list[Any]:
        found = self._plain(*arguments)
        dr.eval(found)
        return found

    def _give_up(self, why: str, *arguments: Any) -> list[Any]:
        _logger.debug("invopt: every batch is traced: %s", why, exc_info=True)
        self._frozen = None
        return self._traced(*arguments)


def _equal(one: list[Any], other: list[Any]) -> bool:
    return all(np.array_equal(np.array(a), np.array(b), equal_nan=True) for a, b in zip(one, other, strict=True))
