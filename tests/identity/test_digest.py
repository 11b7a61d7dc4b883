"""Digests of values depend on content only, and are equal in every process."""

import collections
import functools
import threading
import types

import numpy as np
import pytest
import scipy.interpolate
import torch

import invopt
from invopt import IdentityError
from invopt.core.identity import digest

SCALE = 3.0


def misfit(target, x):
    return float(((x - np.asarray(target)) ** 2).sum())


def closure(target):
    return lambda x: misfit(target, x)


class Simulator:
    def __init__(self, target):
        self.target = target

    def __call__(self, x):
        return misfit(self.target, x)

    def run(self, x):
        return self(x)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(2, 2)

    def forward(self, x):
        return self.layer(x)


class ShiftedNet(Net):
    def forward(self, x):
        return self.layer(x) + 1


class SlottedBase:
    __slots__ = ("a",)

    def __init__(self, a):
        self.a = a


def changed(array, index=2500):
    other = array.copy()
    other[index] = 1e-300
    return other


LONG = np.zeros(5000)
PAIRS = {
    "partial": (functools.partial(misfit, [1, 1]), functools.partial(misfit, [-4, 4])),
    "closure": (closure([1, 1]), closure([-4, 4])),
    "callable object": (Simulator([1, 1]), Simulator([-4, 4])),
    "bound method": (Simulator([1, 1]).run, Simulator([-4, 4]).run),
    "lambda": (lambda x: x[0], lambda x: x[1]),
    "default argument": (lambda x, k=1: x * k, lambda x, k=2: x * k),
    "constant": (lambda x: x + 1, lambda x: x + 2),
    "inner function": (lambda x: [y for y in x if y > 1], lambda x: [y for y in x if y > 2]),
    "array over numpy's print threshold": (LONG, changed(LONG)),
    "array in a closure": (closure(LONG), closure(changed(LONG))),
    "dtype": (np.zeros(2), np.zeros(2, dtype=np.float32)),
    "shape": (np.zeros((2, 3)), np.zeros((3, 2))),
    "mask": (np.ma.array([1.0, 2.0], mask=[0, 1]), np.ma.array([1.0, 2.0], mask=[1, 0])),
    "tensor": (torch.zeros(3), torch.tensor([0.0, 0.0, 1e-30])),
    "module with another forward": (Net(), ShiftedNet()),
    "module with another buffer": (torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2, eps=1e-3)),
    "kind of number": (1, 1.0),
    "kind of truth": (1, True),
    "kind of text": ("a", b"a"),
    "kind of sequence": ([1, 2], (1, 2)),
    "nesting": ([[1], 2], [[1, 2]]),
    "order of a dictionary": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "sign of zero": (0.0, -0.0),
    "last bit": (0.1, 0.1 + 2**-56),
    "slots": (SlottedBase(1), SlottedBase(2)),
    "configuration": (invopt.optimizers.Adam(), invopt.optimizers.Adam(lr=0.5)),
    "problem": (invopt.problems.Quadratic(), invopt.problems.Quadratic(a=6.0)),
    "cached function": (functools.lru_cache(misfit), functools.lru_cache(closure)),
    "builtin": (np.sin, np.cos),
    "method of an object": ([1].append, [2].append),
    "spline": (
        scipy.interpolate.CubicSpline([0, 1, 2], [0, 1, 0]),
        scipy.interpolate.CubicSpline([0, 1, 2], [0, 1, 2]),
    ),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_different_contents_have_different_digests(pair):
    first, second = pair
    assert digest(first) == digest(first)
    assert digest(first) != digest(second)


@pytest.mark.parametrize(
    "make",
    [
        lambda: functools.partial(misfit, [1, 1]),
        lambda: closure(np.arange(4000.0)),
        lambda: Simulator([1, 1]).run,
        Net,
        lambda: {1, 2, "c"},
        lambda: collections.OrderedDict(a=np.ones(2)),
        lambda: collections.deque([1, None], maxlen=3),
        lambda: np.array([1, "a", None], dtype=object),
        lambda: np.random.default_rng(5),
        lambda: types.SimpleNamespace(a=SlottedBase([1])),
    ],
)
def test_equal_contents_have_equal_digests(make):
    assert digest(make()) == digest(make())


def test_globals_that_a_function_names_count_and_others_do_not(monkeypatch):
    def scaled(x):
        return SCALE * misfit([0], x)

    before = digest(scaled)
    monkeypatch.setitem(globals(), "LONG", LONG + 1)
    assert digest(scaled) == before
    monkeypatch.setitem(globals(), "SCALE", 4.0)
    other = digest(scaled)
    monkeypatch.setitem(globals(), "misfit", lambda target, x: 0.0)
    assert len({before, other, digest(scaled)}) == 3


def test_modules_of_the_users_count_as_far_as_they_are_used(tmp_path, monkeypatch):
    (tmp_path / "mine_abc.py").write_text("K = 1\nL = 1\ndef helper(x): return x * K\n")
    monkeypatch.syspath_prepend(tmp_path)
    import mine_abc

    def fun(x):
        return mine_abc.helper(x)

    def importing(x):
        from mine_abc import helper

        return helper(x)

    before = digest(fun), digest(importing)
    monkeypatch.setattr(mine_abc, "L", 2)
    assert (digest(fun), digest(importing)) == before
    monkeypatch.setattr(mine_abc, "K", 2)
    assert digest(fun) != before[0]
    assert digest(importing) != before[1]


def test_a_function_that_calls_itself_or_holds_itself():
    def fact(n):
        return 1 if n == 0 else n * fact(n - 1)

    loop = [fact]
    loop.append(loop)
    assert digest(fact) == digest(fact)
    assert digest(loop) == digest(loop)


def test_where_it_was_written_does_not_count():
    spaces = {}
    for name, text in (("a", "def f(x):\n    return x + 1\n"), ("b", "\n\n# moved\ndef f(x):\n    return x + 1\n")):
        spaces[name] = {}
        exec(compile(text, f"{name}.py", "exec"), spaces[name])
    assert digest(spaces["a"]["f"]) == digest(spaces["b"]["f"])


def test_the_same_in_every_process(program):
    script = (
        "import numpy as np, torch, functools\n"
        "from invopt.core.identity import digest\n"
        "def f(t, x): return {'a', 'b', 'c'} and float(x @ t)\n"
        "class C:\n"
        "    def __init__(self): self.net = torch.nn.Linear(2, 2, bias=False)\n"
        "    def __call__(self, x): return self.net.weight.numel()\n"
        "torch.manual_seed(0)\n"
        "print(digest([functools.partial(f, np.arange(3.0)), C(), {'x': {'p', 'q', 'r'}}]))\n"
    )
    # Without a seed, that of the process is random.
    found = {program(script, env=env, check=True).stdout for env in ({}, {"PYTHONHASHSEED": "77"})}
    assert len(found) == 1


def _open_file():
    return open(__file__)


@pytest.mark.parametrize(
    "make",
    [threading.Lock, _open_file, lambda: (i for i in [1]), lambda: np.frompyfunc(lambda x: x, 1, 1), threading.local],
    ids=["lock", "file", "generator", "unnamed ufunc", "thread-local"],
)
def test_what_has_no_content_is_refused_with_the_way_out(make):
    held = make()
    try:
        with pytest.raises(IdentityError, match=r"closure's 'held'.*identity='\.\.\.'"):
            digest(lambda x: held, "fun")
    finally:
        getattr(held, "close", lambda: None)()
