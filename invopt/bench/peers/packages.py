"""What DFO-LS and Py-BOBYQA have in common; their packages are not imported here."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from invopt.optimizers.external.point_search import Array

__all__ = ["answer_of", "require_package"]

# Evaluations: the budget of the run ends it first.
_UNLIMITED = 1_000_000
# Largest share of the narrowest box that a first trust radius may have: both packages need a box two radii wide.
_LARGEST_SHARE_OF_BOX = 0.49
# Bound that both packages take for none.
_NO_BOUND = 1e20


def require_package(name: str, module: str) -> None:
    """Raise a `ModuleNotFoundError` that says how to install a package.

    Nothing is imported.

    Parameters
    ----------
    name, module : str
        Its name in the package index, and that of its module.
    """
    if importlib.util.find_spec(module) is None:
        raise ModuleNotFoundError(
            f"this method needs the package {name!r}, which is under the GNU General Public License and therefore no "
            f"dependency of invopt: pip install 'invopt[bench-gpl]'"
        )


def answer_of(
    name: str,
    solve: Callable[..., Any],
    fun: Callable[[Array], Any],
    x0: Array,
    box: tuple[Array, Array],
    *,
    seed: int,
    rhobeg: float,
    noisy: bool,
) -> Array:
    """Run the solver of a package until its own criteria are met.

    Parameters
    ----------
    name : str
        Name of the package.
    solve : callable
        Its solver.
    fun : callable
        What it evaluates.
    x0 : ndarray, shape (n,)
        Start.
    box : tuple of ndarray
        Lower and upper bounds; infinite where there is none.
    seed : int
        Seed of numpy's global generator.
    rhobeg, noisy
        As of both classes.
    """
    with _seeded(seed):
        found = solve(
            fun,
            x0,
            bounds=_bounds(*box),
            rhobeg=_first_radius(rhobeg, *box),
            maxfun=_UNLIMITED,
            objfun_has_noise=noisy,
            do_logging=False,
        )
    if found.flag == found.EXIT_INPUT_ERROR:
        raise ValueError(f"{name} refused its input: {found.msg}")
    # All other exits are answers.
    return np.asarray(found.x, dtype=np.float64)


def _bounds(low: Array, high: Array) -> tuple[Array, Array] | None:
    """Bounds in the format of both packages; None where there are none."""
    if not np.isfinite(low).any() and not np.isfinite(high).any():
        return None
    return np.maximum(low, -_NO_BOUND), np.minimum(high, _NO_BOUND)


def _first_radius(wanted: float, low: Array, high: Array) -> float:
    """First trust radius: as wanted, or less where the bounds are close together."""
    return min(wanted, _LARGEST_SHARE_OF_BOX * float(np.min(high - low, initial=np.inf)))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed numpy's global generator, which both packages draw from.

    It is set back afterwards.
    """
    before = np.random.get_state()  # noqa: NPY002 - the packages have no other generator
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
