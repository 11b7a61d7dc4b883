"""Pools of odd values; every call of a maker gives a fresh one."""

import datetime
import decimal
import fractions
import itertools
import math
import random
from pathlib import Path

import numpy as np
import scipy.sparse
import torch

import invopt


class Own(Exception):  # noqa: N818 - the user's, who names as he likes
    """An exception of the user's: what raises it may be answered by it."""


class _Hostile:
    """Raises when it is looked at in one way."""

    def __init__(self, *ways):
        for way in ways:
            assert way in _WAYS
        self.__class__ = type("Hostile", (_Hostile,), dict.fromkeys(ways, _refuses))


_WAYS = ("__repr__", "__bool__", "__eq__", "__array__", "__float__", "__len__", "__iter__", "__getattr__", "__hash__")


def _refuses(self, *_, **__):
    raise Own("a value that does not want to be looked at")


NUMBERS = [
    *(lambda v=v: v for v in (True, False, 0, -1, 1, 2, 3, 7, 0.5, 1.5, -0.0, -2.5, 1e4, 100.0)),
    *(lambda v=v: v for v in (math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, 1e-300, 1e150)),
    *(lambda v=v: v for v in (10**400, -(10**400), 2**31, 2**32, 2**63, 2**64, -(2**63) - 1, 10**5000)),
    lambda: np.float64(0.3),
    lambda: np.float32(math.inf),
    lambda: np.float16(2.0),
    lambda: np.int8(3),
    lambda: np.uint64(2**63),
    lambda: np.bool_(True),
    lambda: np.longdouble("1e4000"),
    lambda: 1j,
    lambda: np.complex64(1.0),
    lambda: decimal.Decimal("0.5"),
    lambda: fractions.Fraction(1, 3),
    lambda: np.array(2.0),
    lambda: np.array([3]),
    lambda: torch.tensor(2.0),
    lambda: torch.tensor(1.0, requires_grad=True),
]
TEXTS = [
    *(lambda v=v: v for v in ("", " ", "a", "nan", "1", "auto", "\x00", "\ud800", "%s{}", "ä" * 300, "a/b", "[red]")),
    *(lambda v=v: v for v in ("quad", "newton", "scipy:", "scipy:powell", "Adam", "cma", "gauss_newton", "tnc", "mug")),
    lambda: b"bytes",
    lambda: Path("x"),
    lambda: Path(),
    lambda: np.str_("text"),
]
ARRAYS = [
    *(lambda v=v: list(v) for v in ((), (1,), (0.5, 0.5), (1, 2, 3), (1.0, math.nan), (math.inf, 1), (None, 1))),
    *(lambda v=v: v for v in ((), (1,), (1.0, 2.0), ((0, 1), (0, 1)), ((1, 0), (0, 1)), ((None, None),) * 2)),
    lambda: [[]],
    lambda: [[1.0], [1.0, 2.0]],
    lambda: ["a", "b"],
    lambda: [10**400, 1],
    lambda: [[[[0.5]]]],
    lambda: np.array([]),
    lambda: np.ones(2),
    lambda: np.ones((2, 2)),
    lambda: np.ones((0, 3)),
    lambda: np.ones(2)[::-1],
    lambda: np.full(2, 1e300),
    lambda: np.full(2, 5e-324),
    lambda: np.array([1.0, 2.0], dtype=">f8"),
    lambda: np.array([1, 2], dtype=np.uint8),
    lambda: np.array([True, False]),
    lambda: np.array([1j, 2]),
    lambda: np.array(["a", "b"]),
    lambda: np.array([1.0, None], dtype=object),
    lambda: np.array([10**400, 1], dtype=object),
    lambda: np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]),
    lambda: np.array(["2020-01-01", "NaT"], dtype="datetime64[D]"),
    lambda: np.ma.masked_less([0.1, 0.9], 0.5),
    lambda: np.ma.masked,
    lambda: np.broadcast_to(0.5, (2,)),
    lambda: scipy.sparse.eye(2, format="csr"),
    lambda: scipy.sparse.coo_array(np.eye(2)),
    lambda: torch.ones(2),
    lambda: torch.ones(2, requires_grad=True),
    lambda: torch.ones(2, dtype=torch.bfloat16),
    lambda: torch.ones(2, dtype=torch.complex64),
    lambda: torch.ones(2).to_sparse(),
    lambda: torch.ones(2, device="meta"),
    lambda: torch.nn.Parameter(torch.ones(2)),
]
OBJECTS = [
    *(lambda v=v: v for v in (None, Ellipsis, NotImplemented, int, object, len, print, math, invopt, invopt.minimize)),
    lambda: {},
    lambda: {"a": 1},
    lambda: {1: 2, None: 3},
    lambda: {"maxiter": 2},
    set,
    lambda: {1, 2},
    lambda: range(2),
    lambda: (v for v in (0.5, 0.5)),
    lambda: iter([]),
    lambda: itertools.count(),
    lambda: itertools.repeat((0.0, 1.0)),
    lambda: zip([0, 0], [1, 1], strict=True),
    object,
    lambda: lambda: None,
    lambda: lambda x: float(np.sum(np.square(x))),
    lambda: ValueError("as a value"),
    lambda: datetime.timedelta(seconds=1),
    lambda: np.random.default_rng(0),
    lambda: np.random.RandomState(0),
    lambda: random.Random(0),
    lambda: torch.nn.Linear(2, 2),
    lambda: torch.float64,
    lambda: torch.device("cpu"),
    lambda: invopt.problems.Quadratic(),
    lambda: invopt.estimators.FR22(),
    lambda: invopt.estimators.FR22,
    lambda: invopt.optimizers.Adam(),
    lambda: invopt.optimizers.Newton,
    lambda: invopt.Exponential(0.5),
    lambda: invopt.Capability.FUN,
    lambda: invopt.Status.RUNNING,
    lambda: _nested(3000),
    *(lambda way=way: _Hostile(way) for way in _WAYS),
    lambda: _Hostile(*_WAYS),
]
_POOLS = (NUMBERS, TEXTS, ARRAYS, OBJECTS)


def _nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def odd(rng):
    """Any odd value."""
    return rng.choice(rng.choice(_POOLS))()


def odd_like(rng, value):
    """An odd value that is more often than not of a kind with an ordinary one."""
    if rng.random() < 0.4:
        return odd(rng)
    if isinstance(value, bool | int | float):
        return rng.choice(NUMBERS)()
    if isinstance(value, str | Path):
        return rng.choice(TEXTS)()
    if isinstance(value, list | tuple | np.ndarray):
        return rng.choice(ARRAYS)()
    return odd(rng)


def told(value):
    """A value in a few words, whatever it says of itself."""
    if isinstance(value, int) and abs(value) > 10**30:
        return "a huge int"
    try:
        text = repr(value)
    except Own:
        text = "hostile"
    except Exception as error:  # noqa: BLE001 - a value may be deeper than can be printed
        text = f"unprintable: {type(error).__name__}"
    return f"{type(value).__name__} {text[:60]}"
