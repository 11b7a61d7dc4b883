"""The options of a run: the arguments of `minimize`, checked without a problem."""

import inspect
import math

import attrs
import numpy as np
import pytest

import invopt
from invopt.run.arguments.options import Options


def test_they_are_the_arguments_of_minimize_with_its_defaults():
    ours = {name: item.default for name, item in inspect.signature(invopt.minimize).parameters.items()}
    fields = {name: item.default for name, item in attrs.fields_dict(Options).items()}
    assert {name: ours[name] for name in ours if name not in {"problem", "parts"}} == fields


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"maxfev": 0}, ValueError, "'maxfev' must be >= 1: 0"),
        ({"maxiter": 2.5}, TypeError, "'maxiter' must be an integer: 2.5"),
        ({"maxtime": 0.0}, ValueError, "'maxtime' must be > 0: 0.0"),
        ({"gtol": -1.0}, ValueError, "'gtol' must be >= 0: -1.0"),
        ({"max_nonfinite": 1.0}, ValueError, "'max_nonfinite' must be < 1: 1.0"),
        ({"workers": 0}, ValueError, "'workers' must be >= 1: 0"),
        ({"timeout": 1.0}, invopt.IncompatibleError, "'timeout' needs 'workers' = 2 or more"),
        ({"progress": 1}, TypeError, "'progress' must be a bool: 1"),
        ({"identity": ""}, TypeError, "'identity' must be a text that is not empty: ''"),
        ({"journal": "a", "checkpoint": "b"}, ValueError, "give 'journal' or 'checkpoint', not both"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_an_error_names_field_rule_and_value(given, error, message):
    with pytest.raises(error) as caught:
        Options(**given)
    assert str(caught.value).startswith(message)
    with pytest.raises(error):
        attrs.evolve(Options(workers=2), **({"workers": 1} | given))


def test_budgets_of_any_integer_type_are_floats():
    options = Options(maxfev=np.int32(7), maxiter=1e4, maxtime=math.inf)
    assert (options.maxfev, options.maxiter, options.maxtime) == (7.0, 10_000.0, math.inf)
    assert type(options.maxfev) is float
