"""Identity of functions and classes made by common decorators."""

import contextvars
import dataclasses
import functools

import numpy as np
import pytest
import torch

from invopt.core.identity import digest

CONTEXT = contextvars.ContextVar("scale", default=1)


def plain(value):
    @dataclasses.dataclass
    class Part:
        t: list
        k: int = 1

        def __call__(self, x):
            return self.t[0] * x

    return Part([value])


def frozen(value):
    @dataclasses.dataclass(frozen=True, slots=True)
    class Part:
        t: int = dataclasses.field(metadata={"unit": "m"})

    return Part(value)


def metadata(value):
    @dataclasses.dataclass
    class Part:
        t: int = dataclasses.field(default=1, metadata={"unit": value})

    return Part()


def factory(value):
    @dataclasses.dataclass(order=True, unsafe_hash=True)
    class Part:
        t: list = dataclasses.field(default_factory=lambda: [value], compare=False)

    return Part


def default(value):
    @dataclasses.dataclass(kw_only=True)
    class Part:
        t: int = value

    return Part


def inherited(value):
    @dataclasses.dataclass
    class Base:
        t: int

    @dataclasses.dataclass
    class Part(Base):
        s: dataclasses.InitVar[int] = 0

        def __post_init__(self, s):
            self.u = s

    return Part(1, value)


def by_class(value):
    @functools.singledispatch
    def fun(x):
        return 0.0

    fun.register(np.ndarray, lambda x: x + value)
    return fun


def by_class_of_a_method(value):
    class Part:
        @functools.singledispatchmethod
        def fun(self, x):
            return 0.0

        @fun.register
        def _(self, x: int):
            return x + value

    return Part()


def base_of_a_dispatch(value):
    return functools.singledispatch(lambda x: x + value)


def quiet(value):
    return np.errstate(all="ignore")(lambda x: x + value)


def how_quiet(value):
    return np.errstate(divide=value)(lambda x: x)


def without_gradient(value):
    return torch.no_grad()(lambda x: x + value)


def wrapped(value):
    def base(x):
        return x + value

    @functools.wraps(base)
    def fun(x):
        return base(x)

    return fun


def cached(value):
    return functools.cache(lambda x: x + value)


def in_a_context(value):
    CONTEXT.set(value)
    return lambda x: CONTEXT.get() * x


MADE = [
    plain,
    frozen,
    metadata,
    factory,
    default,
    inherited,
    by_class,
    by_class_of_a_method,
    base_of_a_dispatch,
    quiet,
    without_gradient,
    wrapped,
    cached,
    in_a_context,
]


@pytest.mark.parametrize("make", MADE, ids=lambda make: make.__name__)
def test_what_common_decorators_make_is_told_by_content(make):
    assert digest(make(1)) == digest(make(1))
    assert digest(make(1)) != digest(make(2))


def test_how_a_decorator_was_set_counts():
    assert digest(how_quiet("ignore")) == digest(how_quiet("ignore"))
    assert digest(how_quiet("ignore")) != digest(how_quiet("raise"))


def test_a_dispatch_that_was_called_is_the_same():
    fun = by_class(1)
    before = digest(fun)
    fun(np.zeros(1))
    fun(3)
    assert digest(fun) == before


def test_the_same_in_every_process(program):
    script = (
        "import sys\n"
        "sys.path.insert(0, {folder!r})\n"
        "import test_decorators as made, test_objects\n"
        "from invopt.core.identity import digest\n"
        "print([digest(make(1)) for make in made.MADE], digest(made.how_quiet('warn')))\n"
        "print([digest(make(1)) for make in test_objects.UNITS.values()])\n"
    )
    text = script.format(folder=__file__.rpartition("/")[0])
    # Without a seed, that of the process is random.
    found = {program(text, env=env, check=True).stdout for env in ({}, {"PYTHONHASHSEED": "77"})}
    assert len(found) == 1
