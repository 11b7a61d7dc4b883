"""Every estimator with every method runs, or is refused before it starts."""

import inspect

import numpy as np
import pytest
import torch

import invopt
from invopt import problems
from invopt.core.objective import Capability
from invopt.core.registry import names
from invopt.optimizers import DifferentialEvolution, Scipy
from invopt.rendering import activate
from invopt.run.arguments.options import Options
from invopt.run.loop import run_loop
from invopt.run.prepare import prepare

ESTIMATORS = {name: cls for name, cls in names("estimators").items() if name == name.lower()}
# One that cannot be made from its name alone stands for the methods that it has.
METHODS = [name for name in names("optimizers") if name not in ("scipy", "differential-evolution")]
# The default population is a multiple of the number of weights and takes seconds to draw.
SMALL = DifferentialEvolution(popsize=1)
SCIPY = [SMALL, Scipy("Nelder-Mead"), Scipy("L-BFGS-B"), Scipy("trust-krylov")]


def radiosity():
    return problems.NeuralRadiosity("gap-room", preset="paper", field="tiny", n_points=32, n_directions=2)


def misfit(x, target):
    return x - [2 * target[0], -target[0]]


def grey_box(dtype, residuals):
    inner = problems.Function(fun=misfit if residuals else _square, x0=[0.0, 0.0], targeted=True, residuals=residuals)
    model = torch.nn.Linear(1, 2, dtype=dtype)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.5], [0.1]]))
        model.bias.zero_()
    return problems.GreyBox(model, inner, [[0.0], [0.5], [1.0]])


def _square(x, target):
    return float(np.square(misfit(x, target)).sum())


PROBLEMS = {
    "radiosity": radiosity,
    "grey box": lambda: grey_box(torch.float64, residuals=False),
    "grey box of residuals in single precision": lambda: grey_box(torch.float32, residuals=True),
}


@pytest.fixture(scope="module")
def opened():
    """Problems, each opened once: most of a short run is the opening of its scene."""
    live = {}

    def get(name):
        if name not in live:
            problem = PROBLEMS[name]()
            live[name] = problem, problem.open()
        return live[name]

    yield get
    for _, objective in live.values():
        objective.close()


def runs(problem, objective, estimator, method):
    """Whether two iterations ran; False where the parts were refused before anything was evaluated."""
    try:
        options = Options(estimator=estimator, method=method, rng=0, maxiter=2, maxfev=100, progress=False)
        run = prepare(problem, options)
    except invopt.IncompatibleError:
        return False
    res = run_loop(run, objective)
    assert np.isfinite(res.x).all()
    assert 0 < res.nfev <= 100
    assert res.nit <= 2
    return True


@pytest.mark.render
@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_pairing_runs_or_is_refused(name, estimator, opened):
    if name == "radiosity" and activate().value == "scalar":
        pytest.skip("neural radiosity needs a compiled backend")
    problem, objective = opened(name)
    ran = {str(method): runs(problem, objective, estimator, method) for method in [None, *METHODS, *SCIPY]}
    made = ESTIMATORS[estimator]()
    needs = made.needs
    fits = (
        not made.why_not(problem)
        and not needs & ~problem.provides
        and (Capability.SIDES in needs) == (Capability.SIDES in problem.provides)
    )
    assert any(ran.values()) == fits
    assert ran["None"] == fits


def test_radiosity_says_what_trains_it():
    for estimator in ("shared-samples", "finite-difference", "function-value"):
        with pytest.raises(
            invopt.IncompatibleError,
            match="samples values .* the 1747 weights of NeuralRadiosity, .*: use one of DualBuffer, FullGradient, S",
        ):
            invopt.minimize(radiosity(), estimator)


def test_the_method_that_needs_a_name():
    assert "name" in inspect.signature(Scipy).parameters
    with pytest.raises(TypeError, match="Scipy cannot be made from its name alone"):
        invopt.minimize(lambda x: float(x @ x), method="scipy", x0=[1.0])
