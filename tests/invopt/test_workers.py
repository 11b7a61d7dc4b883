"""Workers give the same bits as this process, and keep budgets."""

from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import pytest
import scipy.optimize
import torch
from typer.testing import CliRunner

import invopt
from invopt import EvaluationError, Status, estimators, optimizers, problems
from invopt.cli import app
from invopt.core.outcome import Chunk
from invopt.evaluate.workers.open import open_objective
from invopt.rendering import backend

from .evaluators import EVALUATORS, FUNCTIONS, assert_same_bits, functions, solve

pytestmark = pytest.mark.usefixtures("importable", "nothing_is_left_behind")


@pytest.fixture(scope="module")
def expected():
    """What this process finds by itself."""
    found = {name: solve(problems.Function(**options)) for name, options in FUNCTIONS.items()}
    return found | {"box10": solve(problems.Box10(resolution=100), maxfev=60)}


@pytest.mark.parametrize("evaluator", [name for name in EVALUATORS if name != "stdlib map"])
def test_the_same_bits_whoever_evaluates(evaluator, expected):
    with EVALUATORS[evaluator]() as workers:
        # A number starts new processes in each run: only the most sensitive function.
        for name in ["vectorized"] if evaluator in "23" else FUNCTIONS:
            assert_same_bits(solve(problems.Function(**FUNCTIONS[name]), workers=workers), expected[name])
        if evaluator != "3":
            assert_same_bits(solve(problems.Box10(resolution=100), maxfev=60, workers=workers), expected["box10"])


@pytest.mark.render
def test_the_same_bits_of_pictures_and_of_residuals(tmp_path):
    problem = problems.Mug(size="tiny")
    alone, shared = solve(problem, maxfev=40), solve(problem, maxfev=40, workers=2)
    assert_same_bits(shared, alone)
    x, seed = torch.linspace(1.0, 3.0, 5, dtype=torch.float64)[:, None], np.arange(5)
    with problem.open() as here, open_objective(problem, 2) as there:
        chunks = [Chunk(x[i : i + 1], seed[i : i + 1]) for i in range(5)]
        rows = torch.cat([outcome.values for outcome in there.evaluate("residuals", chunks, spp=2)])
        assert torch.equal(rows, here.residuals(x, seed=seed, spp=2))
        assert torch.equal(there.residuals(x[:1], seed=seed[:1]), here.residuals(x[:1], seed=seed[:1]))
        np.testing.assert_array_equal(there.image(x[0].numpy()), here.image(x[0].numpy()))
        np.testing.assert_array_equal(there.reference, here.reference)


def test_derivatives_through_workers():
    assert_equal = partial(np.testing.assert_array_equal)
    alone = invopt.differentiate("quad", estimators.FiniteDifference())
    shared = invopt.differentiate("quad", estimators.FiniteDifference(), workers=2)
    assert_equal(shared.jac, alone.jac)
    assert_equal(shared.hess, alone.hess)
    with problems.Quadratic().open() as here, open_objective(problems.Quadratic(), 2) as there:
        x = torch.tensor([1.0, 2.0], dtype=torch.float64)
        assert torch.equal(here.jac(x, seed=0), there.jac(x, seed=0))
        assert torch.equal(here.hess(x, seed=0), there.hess(x, seed=0))
        assert torch.equal(here.fun(x[None], seed=np.zeros(1)), there.fun(x[None], seed=np.zeros(1)))


@pytest.mark.render
def test_the_renderers_derivative_through_workers():
    if backend.activate() is backend.Backend.SCALAR:
        pytest.skip("the scalar backend has no derivatives")
    options = dict(x0=[8.0], rng=0, maxfev=8)
    problem, method = problems.Mug(size="tiny"), optimizers.Adam(lr=0.1)
    alone, shared = (invopt.minimize(problem, estimators.Autodiff(), method, **options, workers=k) for k in (1, 2))
    # Not the same bits: Dr.Jit's threads add up derivatives in any order.
    np.testing.assert_allclose(shared.history.x, alone.history.x, rtol=1e-5)
    assert shared.message == alone.message
    assert "neglects" in shared.message


def test_scipys_objectives_can_be_shared_out():
    options = dict(args=(0.5,), x0=[2.0, 1.0], options=dict(rng=0, maxfev=60))
    # The default asks for as many points at once as there are workers.
    method = invopt.optimizers.Portfolio()
    alone = scipy.optimize.minimize(functions.scipy_objective, method=invopt.as_method(method=method), **options)
    shared = scipy.optimize.minimize(
        functions.scipy_objective, method=invopt.as_method(method=method, workers=2), **options
    )
    assert_same_bits(shared, alone)


def test_the_command_line_takes_workers(tmp_path):
    outcome = CliRunner().invoke(app, ["run", "box2", "--maxfev", "40", "--workers", "2", "--out", str(tmp_path)])
    assert outcome.exit_code == 0, outcome.output
    assert (tmp_path / "pictures.png").stat().st_size > 1000
    assert "'workers' must be >= 1: 0" in str(CliRunner().invoke(app, ["run", "box2", "--workers", "0"]).exception)


def test_workers_have_one_thread_and_load_no_renderer_in_vain():
    with open_objective(problems.Function(fun=functions.threads, x0=[0.0]), 2) as objective:
        assert objective.fun(torch.zeros(1, 1, dtype=torch.float64), seed=np.zeros(1)).item() == 1.0
    with open_objective(problems.Function(fun=functions.loads_mitsuba, x0=[0.0]), 2) as objective:
        assert objective.fun(torch.zeros(1, 1, dtype=torch.float64), seed=np.zeros(1)).item() == 0.0


@pytest.mark.render
def test_a_renderer_in_this_process_has_the_cores_to_itself():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with open_objective(problems.Mug(size="tiny")):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("maxfev", "workers"), [(1, None), (13, None), (50, None), (13, 2)])
def test_maxfev_is_never_exceeded(workers, maxfev, tmp_path):
    problem = problems.Function(fun=partial(functions.notes_each_call, folder=tmp_path), x0=[1.0, 2.0])
    result = solve(problem, maxfev=maxfev, workers=workers)
    assert result.status is Status.MAXFEV
    assert len(list(tmp_path.iterdir())) == result.nfev <= maxfev


def never(x):
    pytest.fail("evaluated before the arguments were checked")


class NoMap:
    def get_executor(self):
        """As dask's client."""

    def __str__(self):
        return "no map"  # the same test in every process


@pytest.mark.parametrize(
    ("workers", "error", "said"),
    [
        (0, ValueError, "'workers' must be >= 1: 0"),
        (-1, ValueError, "'workers' must be >= 1: -1"),
        (True, TypeError, "'workers' must be an integer, a map-like callable or an Executor: True"),
        (2.5, TypeError, "'workers' must be an integer, .*: 2.5"),
        ("two", TypeError, "'workers' must be an integer, .*: 'two'"),
        ([2], TypeError, "'workers' must be an integer"),
        (ProcessPoolExecutor, TypeError, r"instance, not a class: write ProcessPoolExecutor\(\.\.\.\)"),
        (NoMap(), TypeError, r"pass NoMap\(\.\.\.\)\.get_executor\(\)"),
    ],
    ids=str,
)
def test_bad_workers(workers, error, said):
    with pytest.raises(error, match=said):
        invopt.minimize(never, x0=[1.0], workers=workers)


def test_one_worker_needs_no_pickle():
    assert invopt.minimize(lambda x: float(x @ x), x0=[1.0], rng=0, maxfev=20, workers=1).nfev > 0


def test_a_session_has_none():
    with pytest.raises(TypeError, match="'workers' has no effect in a Session"):
        invopt.Session(x0=[1.0], workers=2)


def _reversed(func, iterable):
    return [func(element) for element in iterable][::-1]


def _short(func, iterable):
    return [func(element) for element in iterable][:-1] or [func(invopt.evaluate.workers.messages.Call())]


@pytest.mark.parametrize(
    ("workers", "said"),
    [
        (_reversed, "in the order of the iterable"),
        (_short, "a result for each of 12 elements, got 11"),
        (lambda func, iterable: [1.0 for _ in iterable], "must return the results of func"),
    ],
)
def test_a_map_that_is_none(workers, said):
    with pytest.raises(EvaluationError, match=said):
        solve(problems.Function(fun=functions.bowl, x0=[1.0, 2.0]), workers=workers)


def test_on_cuda_one_process_owns_the_device(monkeypatch, caplog):
    class OpenedError(Exception):
        pass

    def opened(self):
        raise OpenedError

    monkeypatch.setattr("invopt.rendering.runtime.foresee", lambda wanted: backend.Backend.CUDA)
    monkeypatch.setattr(problems.Mug, "open", opened)
    with pytest.raises(OpenedError):
        invopt.minimize("mug", workers=4)
    assert "only one process can use the GPU: workers=4 is reduced to 1" in caplog.text


def test_the_estimator_that_needs_more_than_points():
    class NeedsSides(estimators.FR22):
        needs = invopt.Capability.SIDES

    class Sided(problems.Quadratic):
        provides = problems.Quadratic.provides | invopt.Capability.SIDES

    with pytest.raises(invopt.IncompatibleError, match="SIDES cannot be evaluated by workers"):
        invopt.minimize(Sided(), NeedsSides(), optimizers.Adam(), workers=2)
