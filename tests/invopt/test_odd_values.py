"""Extreme values and arguments are refused clearly, or handled correctly."""

import itertools
import math
import warnings

import numpy as np
import pytest
import torch

import invopt
from invopt import estimators, optimizers, problems, rendering
from invopt.core.formatting import shown
from invopt.core.registry import find


class Unprintable:
    def __repr__(self):
        raise ZeroDivisionError


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def sphere(x):
    return float(x @ x)


UNPRINTABLE = {"a huge integer": 10**5000, "a deep list": nested(5000), "a class whose repr fails": Unprintable()}


@pytest.mark.parametrize("value", UNPRINTABLE.values(), ids=UNPRINTABLE.keys())
@pytest.mark.parametrize("name", ["estimator", "method", "x0", "bounds", "maxtime", "workers", "callback", "rng"])
def test_what_cannot_be_shown_is_refused_by_name(name, value):
    """The message itself failed: ValueError of Python's limit on digits, RecursionError, whatever repr raises."""
    if name == "rng" and isinstance(value, int):
        pytest.skip("any integer is a seed")
    with pytest.raises((TypeError, ValueError), match=f"'{name}") as caught:
        invopt.minimize(sphere, **({"x0": [1.0]} | {name: value}))
    assert "set_int_max_str_digits" not in str(caught.value)


def test_what_a_message_shows():
    assert shown(2.5) == "2.5"
    assert shown(10**5000) == "an integer of 5001 digits"
    assert shown(Unprintable()) == "a Unprintable that cannot be shown"
    with pytest.raises(invopt.UnknownNameError, match="seed policy in 'seeds': a list that cannot be shown"):
        estimators.FR22(seeds=nested(5000))


@pytest.mark.parametrize("seeds", [np.ones(2), torch.ones(2), {}, None, np.array([(1, 2.0)], dtype="i8,f8")], ids=str)
def test_seed_policies_of_other_kinds(seeds):
    with pytest.raises(invopt.UnknownNameError, match="unknown seed policy in 'seeds'"):
        estimators.FR22(seeds=seeds)


@pytest.mark.parametrize("spell", [str, str.upper, lambda name: name.replace("_", "-")], ids=["_", "upper", "-"])
def test_a_name_in_any_case_with_hyphens_or_underscores(spell):
    assert estimators.FR22(seeds=spell("per_iteration")).seeds is invopt.SeedPolicy.PER_ITERATION
    assert find("estimators", spell("shared_samples")) is estimators.SharedSamples


@pytest.mark.parametrize("path", ["a\0b", "\ud800"], ids=ascii)
@pytest.mark.parametrize("name", ["journal", "checkpoint"])
def test_paths_that_no_file_can_have(name, path):
    with pytest.raises(ValueError, match=f"'{name}' must be a path without characters"):
        invopt.minimize("quad", **{name: path})
    with pytest.raises(ValueError, match="'path' must be a path without"):
        (invopt.Journal if name == "journal" else invopt.Checkpoint)(path)


@pytest.mark.parametrize("cls", [invopt.Journal, invopt.Checkpoint])
@pytest.mark.parametrize("path", [1.5, b"bytes", None], ids=str)
def test_paths_of_another_kind(cls, path):
    with pytest.raises(TypeError, match="'path' must be a path"):
        cls(path)


@pytest.mark.parametrize("constraints", [torch.ones(2), [{}], np.ones(2), object(), 0], ids=lambda v: type(v).__name__)
def test_constraints_of_other_kinds_are_refused(constraints):
    with pytest.raises(TypeError, match="'constraints' must be LinearConstraint or NonlinearConstraint of scipy"):
        invopt.minimize("quad", constraints=constraints)


@pytest.mark.parametrize(
    "call",
    [
        lambda: invopt.minimize(sphere, x0=[1.0], bounds=itertools.count()),
        lambda: invopt.minimize(sphere, x0=[1.0], bounds=itertools.repeat((0, 1))),
        lambda: invopt.minimize(sphere, x0=[1.0], bounds=[itertools.count()]),
        lambda: rendering.Translation("ball", axes="x", bounds=itertools.count()),
        lambda: problems.GreyBox(torch.nn.Linear(2, 2), problems.Quadratic(), itertools.count()),
    ],
)
def test_endless_iterables_come_to_an_end(call):
    """They filled the memory for ever."""
    with pytest.raises(ValueError, match="'(bounds|data)' must be"):
        call()


@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e300])
def test_scales_whose_products_are_no_numbers(scale):
    for call in (invopt.minimize, invopt.differentiate):
        with pytest.raises(ValueError, match=r"'x_scale' must be in \[1e-100, 1e\+100\]"):
            call("quad", x_scale=[scale, 1.0])
    with pytest.raises(ValueError, match="'x_scale' must be in"):
        problems.Function(fun=sphere, x0=[1.0], x_scale=[scale])


def test_a_start_too_many_scales_away():
    with pytest.raises(ValueError, match="'x0' must be within 1e300 scales"):
        invopt.minimize(sphere, x0=[1e250], x_scale=[1e-90])


def test_numbers_past_the_largest_float_are_infinite_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="'x0' must be finite"):
            invopt.minimize(sphere, x0=[np.longdouble("1e4000")])
        with pytest.raises(invopt.NonFiniteError, match="finite"):
            invopt.minimize(lambda x: np.longdouble("1e4000"), "shared-samples", x0=[1.0], rng=0, maxfev=20)
        assert not invopt.minimize(lambda x: np.longdouble("1e4000"), x0=[1.0], rng=0, maxfev=20).success
        with (
            invopt.Session(None, "shared-samples", x0=[1.0], rng=0) as session,
            pytest.raises(invopt.NonFiniteError, match="all values"),
        ):
            session.tell([np.longdouble("1e4000")] * len(session.ask().x))


def test_deviations_past_the_largest_float_warn_of_nothing():
    values = itertools.cycle([1e300, 3e300, 2e300])
    result = invopt.minimize(lambda x: next(values), "function-value", x0=[1.0], rng=0, maxfev=40, maxiter=3)
    assert math.isfinite(result.fun)


def test_tensors_of_odd_kinds():
    def fun(x):
        return torch.tensor(float(x @ x), dtype=torch.bfloat16)

    assert invopt.minimize(fun, x0=[1.0], rng=0, maxfev=10).nfev > 0
    for value in (torch.ones((), device="meta"), torch.ones(1).to_sparse()):
        with pytest.raises(invopt.EvaluationError, match="'fun' must return real numbers"):
            invopt.minimize(lambda x, value=value: value, x0=[1.0], rng=0)
        with invopt.Session(x0=[1.0], rng=0) as session, pytest.raises(TypeError, match="'value.*real numbers"):
            session.tell(session.ask().ids[0], value)
    with pytest.raises(TypeError, match="'bounds' must be"):
        invopt.minimize(sphere, x0=[1.0, 2.0], bounds=torch.ones(2, 2).to_sparse())
    mesh = {"vertices": np.eye(3), "faces": [[0, 1, 2]], "uv": np.zeros((3, 2))}
    for name in mesh:
        with pytest.raises(ValueError, match=f"'{name}' must be"):
            rendering.Mesh(**(mesh | {name: torch.ones(3, 3).to_sparse()}))


def test_numbers_of_numpys_are_kept_as_pythons():
    assert type(optimizers.Adam(eps=np.uint64(2**63)).eps) is float
    assert invopt.minimize("quad", "fr22", optimizers.Adam(eps=np.uint64(2**63)), rng=0, maxiter=2).nit == 2


@pytest.mark.parametrize("size", [[], np.array([3]), {}], ids=str)
@pytest.mark.parametrize("cls", [problems.Mug, problems.MugCNN])
def test_sizes_of_another_kind(cls, size):
    with pytest.raises(ValueError, match="'size' must be one of"):
        cls(size=size)


@pytest.mark.parametrize("columns", [torch.float64, "ab", [1], 3], ids=str)
def test_columns_that_are_no_names(columns):
    with pytest.raises(TypeError, match="'columns' must be a list of names"):
        rendering.Custom("t", function=lambda x: {"a": x}, x0=[0.5], columns=columns)


@pytest.mark.parametrize(
    ("workers", "message"),
    [(list, r"callable as workers\(func, iterable\)"), (print, "must return the results of func, got NoneType")],
    ids=["list", "print"],
)
def test_callables_that_map_nothing(workers, message):
    with pytest.raises(invopt.EvaluationError, match=message):
        invopt.minimize(sphere, x0=[1.0], workers=workers, rng=0)


def test_more_processes_than_a_machine_has():
    with pytest.raises(ValueError, match="'workers' must be <= "):
        invopt.minimize(sphere, x0=[1.0], workers=2**64)


@pytest.mark.parametrize("answer", [np.ones(2), torch.ones((), device="meta")], ids=["array", "meta"])
def test_a_callback_whose_answer_is_neither_true_nor_false(answer):
    with pytest.raises(TypeError, match="'callback' as callback.* must return whether to end"):
        invopt.minimize(
            sphere,
            x0=[1.0, 2.0],
            estimator="finite-difference",
            method="trust-constr",
            callback=lambda xk, state: answer,
        )


def test_failures_while_the_answer_is_measured_leave_it_a_value():
    """Its mean over the rounds was nan once one of them had failed."""
    calls = []

    def fun(x):
        calls.append(x)
        if len(calls) % 2 == 0:
            raise RuntimeError("now and then")
        return sphere(x)

    result = invopt.minimize(fun, "function-value", "adaptive-bfgs", x0=[0.5], rng=0, maxfev=7)
    assert result.fun == 0.25
    assert not result.fun_standard_error < 0


def test_what_is_done_to_a_request_does_not_reach_the_session(tmp_path):
    options = dict(x0=[0.5, 1.0], rng=0, maxfev=20)

    def play(spoil, **more):
        with invopt.Session(**options, **more) as session:
            while not session.done:
                request = session.ask()
                pairs = list(zip(request.ids.tolist(), request.x.copy(), strict=True))
                if spoil:
                    request.x[...] = request.ids[...] = request.seed[...] = 0
                for number, x in pairs:
                    session.tell(number, sphere(x))
            return session.result

    spoilt = play(True, journal=tmp_path / "kept", identity="sphere")
    np.testing.assert_array_equal(spoilt.x, play(False).x)


@pytest.mark.parametrize("value", [np.ones(2), [], "yes"], ids=str)
def test_disp_of_another_kind(value):
    with pytest.raises(TypeError, match="'disp' in 'options' must be"):
        invopt.minimize(sphere, x0=[1.0], options={"disp": value})


def test_a_trust_radius_whose_square_is_no_number():
    method = optimizers.Newton(trust_radius=5e-324)
    assert invopt.minimize("quad", estimators.SharedSamples(n_samples=4), method, rng=0, maxfev=30).nfev > 0


def test_nothing_is_a_success_whose_values_have_all_failed():
    """Of parameters that are all held the run has nothing but these."""
    result = invopt.minimize(lambda x: math.nan, x0=[1.0], bounds=[(1.0, 1.0)], rng=0)
    assert not result.success
    assert result.status is invopt.Status.NONFINITE
