"""Runs kept in files: resumed to the bits of one that never stopped, whatever the parts."""

import numpy as np
import pytest
import torch

import invopt
from invopt import Checkpoint, estimators, optimizers, problems
from invopt.exceptions import CheckpointError

PAIRS = [
    (estimators.SharedSamples(), optimizers.NewtonCG()),
    (estimators.AggregateHVP(), optimizers.FletcherReevesCG()),
    (estimators.AggregateHessian(), optimizers.Newton()),
    (estimators.FR22(), optimizers.Adam()),
    (estimators.FiniteDifference(), optimizers.BFGS()),
    (estimators.FiniteDifference(), optimizers.LBFGS()),
    (estimators.FiniteDifference(), optimizers.DampedBFGS()),
    (estimators.SampleHistory(), optimizers.Newton()),
]


@pytest.mark.parametrize(("estimator", "method"), PAIRS, ids=lambda part: type(part).__name__)
@pytest.mark.parametrize(
    "problem", [problems.Quadratic(), problems.Box2(resolution=30)], ids=lambda p: type(p).__name__
)
def test_resumed_runs_have_the_same_bits(problem, estimator, method, tmp_path):
    x0 = problem.starts(np.random.default_rng(5), 1)[0]
    options = {"gtol": 0.0, "xtol": 0.0, "x0": x0}
    whole = invopt.minimize(problem, estimator, method, rng=3, maxiter=12, **options)
    path = tmp_path / "run"
    for maxiter in (4, 7, 12):
        rest = invopt.minimize(problem, estimator, method, rng=3, maxiter=maxiter, checkpoint=path, **options)
    assert np.array_equal(whole.x, rest.x)
    assert np.array_equal(whole.history.fun, rest.history.fun)
    assert np.array_equal(whole.history.nfev, rest.history.nfev)
    assert whole.fun == rest.fun
    assert whole.nfev == rest.nfev
    assert whole.status is rest.status


LEARNED = [
    (estimators.GaussNewton(), optimizers.Newton()),
    (estimators.SparseGaussNewton(neighbours=2), optimizers.NewtonCG(trust_radius=1e3)),
]


@pytest.mark.parametrize(("estimator", "method"), LEARNED, ids=lambda part: type(part).__name__)
def test_what_residuals_taught_is_kept(estimator, method, tmp_path):
    options = {"rng": 3, "gtol": 0.0, "xtol": 0.0}
    whole = invopt.minimize("box2", estimator, method, maxiter=9, **options)
    for maxiter in (2, 5, 9):
        rest = invopt.minimize("box2", estimator, method, maxiter=maxiter, checkpoint=tmp_path / "run", **options)
    assert np.array_equal(whole.x, rest.x)
    assert np.array_equal(whole.history.fun, rest.history.fun)
    assert whole.nfev == rest.nfev
    assert whole.status is rest.status


@pytest.mark.parametrize(("batch_size", "method"), [(3, optimizers.Adam()), (8, optimizers.LBFGS())], ids=["3", "8"])
def test_resumed_networks_have_the_same_bits(batch_size, method, tmp_path):
    inputs = np.random.default_rng(0).uniform(-1, 1, (8, 2))
    torch.manual_seed(0)
    problem = problems.GreyBox(torch.nn.Linear(2, 2), problems.Quadratic(), inputs, batch_size=batch_size)
    estimator = estimators.FiniteDifference()
    whole = invopt.minimize(problem, estimator, method, rng=3, maxiter=9, gtol=0.0, xtol=0.0)
    for maxiter in (4, 5, 9):
        rest = invopt.minimize(
            problem, estimator, method, rng=3, maxiter=maxiter, gtol=0.0, xtol=0.0, checkpoint=tmp_path / "run"
        )
    assert whole.nit == 9
    assert np.array_equal(whole.x, rest.x)
    assert np.array_equal(whole.history.fun, rest.history.fun)
    assert whole.nfev == rest.nfev


@pytest.mark.parametrize("cut", [3, 6, 9, 12])
def test_resumed_targets_have_the_same_bits(cut, tmp_path):
    """In the first descent, at rest, in the second descent, and after it."""
    exact = estimators.FiniteDifference(abs_step=0.1)
    target = estimators.NewtonTarget(estimator=exact, steps=4, restarts=1, rest=3)
    inner = problems.Function(fun=lambda x: float((x[0] ** 2 - 1) ** 2 + x[1] ** 2), x0=[0.0, 0.0])
    model = torch.nn.Linear(3, 2, dtype=torch.float64)
    problem = problems.GreyBox(model, inner, np.random.default_rng(0).standard_normal((4, 3)))

    def run(**options):
        return invopt.minimize(problem, target, optimizers.Adam(lr=0.1), rng=0, progress=False, **options)

    run(maxiter=cut, checkpoint=tmp_path / "cut")
    resumed, whole = run(maxiter=14, checkpoint=tmp_path / "cut"), run(maxiter=14)
    assert (resumed.x == whole.x).all()
    assert resumed.nfev == whole.nfev


def test_other_data_are_refused(tmp_path):
    inner = problems.Function(fun=lambda x: float(x @ x), x0=[0.0, 0.0])
    inputs = np.random.default_rng(0).standard_normal((4, 3))
    model = torch.nn.Linear(3, 2, dtype=torch.float64)

    def run(data, maxiter):
        problem = problems.GreyBox(model, inner, data)
        path = tmp_path / "kept"
        return invopt.minimize(problem, "fr22", "adam", rng=0, maxiter=maxiter, checkpoint=path, progress=False)

    run(inputs, 2)
    with pytest.raises(CheckpointError, match="is of another data"):
        run(inputs[::-1], 4)
    assert run(inputs, 4).nit == 4


def test_written_when_due_and_at_the_end(tmp_path):
    path, seen = tmp_path / "deep" / "run", []

    def look(*, intermediate_result):
        seen.append(path.exists())

    invopt.minimize("quad", "fr22", "adam", rng=0, maxiter=6, checkpoint=Checkpoint(path, every=3), callback=look)
    assert seen == [False, False, False, True, True, True, True]
    assert [file.name for file in path.parent.iterdir()] == ["run"]


def test_an_error_keeps_the_run(tmp_path):
    path = tmp_path / "run"

    def fail(*, intermediate_result):
        if intermediate_result.nit == 4:
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        invopt.minimize("quad", "fr22", "adam", rng=0, maxiter=9, checkpoint=path, callback=fail)
    rest = invopt.minimize("quad", "fr22", "adam", maxiter=9, checkpoint=path)
    assert np.array_equal(rest.x, invopt.minimize("quad", "fr22", "adam", rng=0, maxiter=9).x)


def test_another_run_is_refused(tmp_path):
    path = tmp_path / "run"
    invopt.minimize("quad", "fr22", "adam", rng=0, maxiter=3, checkpoint=path)
    for parts, what in (
        (("box2", "fr22", "adam"), "problem"),
        (("quad", "spsa", "adam"), "estimator"),
        (("quad", "fr22", "gradient-descent"), "method"),
        (("quad", "fr22", optimizers.Adam(lr=0.5)), "method"),
    ):
        with pytest.raises(CheckpointError, match=f"of another {what}"):
            invopt.minimize(*parts, rng=0, maxiter=5, checkpoint=path)


def test_a_function_is_known_by_its_name(tmp_path):
    def make(power):
        def fun(x):
            return float((x**2).sum() ** power)

        return fun

    def other(x):
        return float((x**2).sum())

    options = {"x0": [3.0, 2.0], "rng": 0, "checkpoint": tmp_path / "run"}
    invopt.minimize(make(1), "fr22", "adam", maxiter=3, **options)
    assert invopt.minimize(make(1), "fr22", "adam", maxiter=5, **options).nit == 5
    with pytest.raises(CheckpointError, match="of another problem"):
        invopt.minimize(other, "fr22", "adam", maxiter=7, **options)


def test_foreign_and_damaged_files_are_refused(tmp_path):
    from safetensors.torch import save_file

    foreign, damaged = tmp_path / "foreign", tmp_path / "damaged"
    save_file({"a": torch.zeros(2)}, foreign)
    invopt.minimize("quad", "fr22", "adam", rng=0, maxiter=3, checkpoint=damaged)
    damaged.write_bytes(damaged.read_bytes()[:-20])
    for path, message in ((foreign, "not written by invopt"), (damaged, "cannot be read")):
        before = path.read_bytes()
        with pytest.raises(CheckpointError, match=message):
            invopt.minimize("quad", "fr22", "adam", rng=0, maxiter=5, checkpoint=path)
        assert path.read_bytes() == before


def test_what_cannot_be_kept_is_refused_before_the_first_evaluation(tmp_path):
    calls = []

    def count(x):
        calls.append(1)
        return float(x @ x)

    with pytest.raises(CheckpointError, match="leave 'checkpoint' out"):
        invopt.minimize(
            count, "finite-difference", optimizers.Scipy("bfgs"), x0=[1.0, 2.0], rng=0, checkpoint=tmp_path / "run"
        )
    assert not calls


def test_step_decay():
    schedule = invopt.StepDecay(0.9, factor=0.5, every=10)
    assert [schedule.at(i, 7.0) for i in (0, 9, 10, 25)] == [0.9, 0.9, 0.45, 0.225]
    assert invopt.StepDecay(every=2).at(2, 3.0) == pytest.approx(1.0)
    for fields in ({"factor": 0}, {"factor": 1.5}, {"every": 0}, {"start": -1}):
        with pytest.raises(ValueError, match=next(iter(fields))):
            invopt.StepDecay(**fields)
