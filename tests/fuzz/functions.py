"""Functions as users may write them: what they return, raise, and do to what they are given."""

import math

import numpy as np
import scipy.sparse
import torch
from values import Own, odd

RETURNS = {
    "nothing": lambda x: None,
    "text": lambda x: "1.0",
    "a bool": lambda x: True,
    "complex": lambda x: 1j + float(np.sum(x)),
    "nan": lambda x: math.nan,
    "inf": lambda x: math.inf,
    "-inf": lambda x: -math.inf,
    "huge": lambda x: 1e308 * float(np.sum(np.square(x))),
    "tiny": lambda x: 5e-324,
    "a huge int": lambda x: 10**400,
    "an int past int64": lambda x: 2**70,
    "a constant": lambda x: 3.0,
    "an int": lambda x: int(np.sum(np.abs(x))),
    "x itself": lambda x: x,
    "a view of x": lambda x: x[..., :1],
    "no element": lambda x: np.empty(0),
    "a matrix": lambda x: np.eye(2),
    "a matrix of x": lambda x: np.outer(x, x),
    "a longer vector each time": lambda x, sizes=[0]: np.ones(sizes.append(0) or len(sizes)),
    "ragged": lambda x: [[1.0], [1.0, 2.0]],
    "an object array": lambda x: np.array([None, 1.0], dtype=object),
    "objects that are numbers": lambda x: np.array([1.0, 2.0], dtype=object),
    "masked": lambda x: np.ma.masked_less([0.1, 0.9], 0.5),
    "the mask": lambda x: np.ma.masked,
    "sparse": lambda x: scipy.sparse.csr_matrix(np.eye(2)),
    "a generator": lambda x: (v for v in x),
    "a dict": lambda x: {"fun": 1.0},
    "a pair": lambda x: (float(np.sum(x)), 2 * x),
    "a pair of junk": lambda x: (None, "jac"),
    "a triple": lambda x: (1.0, x, x),
    "a coroutine": lambda x: _coroutine,
    "a tensor": lambda x: torch.as_tensor(np.array(x)).square().sum(),
    "a tensor with grad": lambda x: torch.tensor(1.0, requires_grad=True) * 2,
    "a tensor of bfloat16": lambda x: torch.tensor(1.0, dtype=torch.bfloat16),
    "a complex tensor": lambda x: torch.tensor(1.0j),
    "a sparse tensor": lambda x: torch.eye(2).to_sparse(),
    "a meta tensor": lambda x: torch.ones((), device="meta"),
    "float16": lambda x: np.float16(6e4),
    "longdouble": lambda x: np.longdouble("1e4000"),
    "a date": lambda x: np.datetime64("2020-01-01"),
    "random": lambda x: float(np.random.default_rng().standard_normal()),
    "an infinite residual": lambda x: np.array([math.inf, 1.0]),
    "huge residuals": lambda x: np.full(2, 1e200),
    "steps": lambda x: float(np.floor(np.sum(np.abs(x)))),
    "singular": lambda x: float(np.sum(np.abs(x))) ** -200 if np.any(x) else math.inf,
}
RAISES = [
    *(ValueError("bad"), TypeError("bad"), Own("bad"), Own(), StopIteration("bad"), StopAsyncIteration("bad")),
    *(GeneratorExit("bad"), KeyboardInterrupt("bad"), SystemExit(3), SystemExit(None), MemoryError("bad")),
    *(RecursionError("bad"), OSError(5, "bad"), BrokenPipeError("bad"), EOFError("bad"), KeyError("bad")),
    *(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), Warning("bad"), ExceptionGroup("bad", [ValueError("in")])),
    *(AssertionError("bad"), ArithmeticError("bad"), ImportError("bad"), TimeoutError("bad"), ConnectionError("bad")),
]


async def _coroutine():
    """Never awaited."""


def sphere(x):
    """What is well behaved."""
    return np.square(np.asarray(x)).sum(-1) if np.ndim(x) > 1 else float(np.square(x).sum())


def residuals(x):
    """Likewise, of residuals."""
    return np.asarray(x) - 0.25


def mutating(rng):
    """A function that changes what it is given."""
    how = rng.choice([lambda x: x.fill(math.nan), lambda x: x.setflags(write=False), lambda x: x.resize(7), _shuffle])

    def fun(x):
        value = sphere(x)
        how(x)
        return value

    return fun


def _shuffle(x):
    x[...] = x[..., ::-1] * 1e300


def junk(rng, good=sphere):
    """A function that is odd from some call on, now and then or always, and what is odd about it."""
    first, often = rng.choice([0, 0, 1, 3, 10]), rng.choice([1.0, 1.0, 0.5, 0.1])
    name, act = _act(rng)
    calls = []

    def fun(x, *rest, **named):
        calls.append(None)
        if len(calls) <= first or (often < 1 and (len(calls) * 0.37) % 1 > often):
            return good(x)
        return act(x)

    return fun, f"{name} from call {first}, share {often}"


def _act(rng):
    kind = rng.random()
    if kind < 0.5:
        name = rng.choice(sorted(RETURNS))
        return f"returns {name}", RETURNS[name]
    if kind < 0.75:
        error = rng.choice(RAISES)
        return f"raises {error!r}", lambda x: _raise(error)
    if kind < 0.85:
        return "mutates x", mutating(rng)
    value = odd(rng)
    return "returns an odd value", lambda x: value


def _raise(error):
    raise type(error)(*error.args)
