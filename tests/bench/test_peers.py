"""Methods of other libraries on residuals, and those under another licence."""

import ast
import importlib.util
from pathlib import Path

import numpy as np
import pytest

import invopt
from invopt import estimators, problems
from invopt.bench.cell import Cell, refusal, run_cell
from invopt.bench.peers.dfo_ls import DFOLS
from invopt.bench.peers.least_squares import LeastSquares
from invopt.bench.peers.py_bobyqa import PyBOBYQA
from invopt.bench.peers.residual_value import ResidualValue
from invopt.bench.presets import RESIDUAL_PEERS
from invopt.exceptions import IncompatibleError

ROOT = Path(__file__).parents[2]
RESIDUALS, VALUES = ResidualValue(seeds="fixed"), estimators.FunctionValue(seeds="fixed")
MODULES = {DFOLS: "dfols", PyBOBYQA: "pybobyqa"}
# What each method asks for.
PAIRS = [(RESIDUALS, LeastSquares), (RESIDUALS, DFOLS), (VALUES, PyBOBYQA)]


def made(cls, **settings):
    """A method, if its package is there."""
    if cls in MODULES:
        pytest.importorskip(MODULES[cls], reason=f"{MODULES[cls]} is not installed: pip install invopt[bench-gpl]")
    return cls(**settings)


class Watched:
    """Residuals with their minimum outside of the box, and every point that was asked for."""

    def __init__(self, residuals=True):
        self.residuals = residuals
        self.points = []

    def __call__(self, x):
        self.points.append(x.copy())
        found = np.array([x[0] - 3.0, x[1] - 20.0, 0.1 * x[0] * x[1]])
        return found if self.residuals else float(found @ found) / 3


def run(estimator, method, watched, **options):
    settings = {"x0": [0.5, 15.0], "bounds": [(0, 2), (0, None)], "x_scale": [0.2, 2.0], "rng": 3, "maxfev": 200}
    problem = problems.Function(
        fun=watched, residuals=watched.residuals, x0=settings["x0"], bounds=settings["bounds"], x_scale=[0.2, 2.0]
    )
    settings |= {"gtol": 0, "xtol": 0, "progress": False} | options
    return invopt.minimize(problem, estimator, method, **settings)


@pytest.mark.parametrize(("estimator", "cls"), PAIRS, ids=lambda item: getattr(item, "__name__", ""))
def test_every_evaluation_counts_once_and_lies_in_the_box(estimator, cls):
    method, watched = made(cls), Watched(estimator is RESIDUALS)
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - it is what must not change
    result = run(estimator, method, watched)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    points = np.array(watched.points)
    assert len(points) == result.nfev <= 200
    assert (points >= 0).all()
    assert (points[:, 0] <= 2).all()
    expected = scipys(Watched())
    np.testing.assert_allclose(result.x_best, expected, atol=1e-3)


def scipys(watched):
    """The answer by scipy alone."""
    from scipy.optimize import least_squares

    return least_squares(watched, [0.5, 15.0], bounds=([0, 0], [2, np.inf]), xtol=1e-12).x


def test_scipys_counts_are_those_of_scipy_itself():
    from scipy.optimize import least_squares

    scaled, scale, watched = [], np.array([0.2, 2.0]), Watched()

    def counted(y):
        scaled.append(y.copy())
        return Watched()(y * scale)

    box = (np.array([0, 0]), np.array([2, np.inf]) / scale)
    least_squares(counted, np.array([0.5, 15.0]) / scale, bounds=box)
    result = run(RESIDUALS, LeastSquares(), watched, maxfev=1000)
    k = len(scaled)
    # scipy asks for the start twice, which is one evaluation; the rest is asked for in the same order.
    unique = [y for i, y in enumerate(scaled) if i == 0 or not np.array_equal(y, scaled[i - 1])]
    assert len(unique) <= k
    np.testing.assert_allclose(np.array(watched.points)[: len(unique)], np.array(unique) * scale, rtol=1e-9)
    # Then the answer is measured.
    assert len(unique) <= result.nfev <= len(unique) + 24


@pytest.mark.parametrize(("estimator", "cls"), PAIRS[1:], ids=["DFOLS", "PyBOBYQA"])
def test_the_first_radius_is_in_units_of_x_scale(estimator, cls):
    watched = Watched(estimator is RESIDUALS)
    run(estimator, made(cls, rhobeg=0.5), watched, bounds=None, maxfev=30)
    steps = np.array(watched.points[1:3]) - watched.points[0]
    np.testing.assert_allclose(np.sort(np.abs(steps).max(0)), [0.1, 1.0], rtol=1e-12)


@pytest.mark.parametrize(("estimator", "cls"), PAIRS[1:], ids=["DFOLS", "PyBOBYQA"])
def test_a_radius_wider_than_the_box_is_made_smaller(estimator, cls):
    watched = Watched(estimator is RESIDUALS)
    result = run(estimator, made(cls, rhobeg=10.0), watched, bounds=[(0.4, 0.6), (14, 16)])
    np.testing.assert_allclose(result.x_best, [0.6, 16.0], atol=1e-6)


def test_methods_on_residuals_say_what_they_need():
    with pytest.raises(IncompatibleError, match="LeastSquares needs residuals: its estimator must be ResidualValue"):
        run(VALUES, LeastSquares(), Watched())
    assert "ResidualValue needs RESIDUALS" in refusal(problems.Quadratic(), "least-squares", 100)


@pytest.mark.parametrize("cls", [DFOLS, PyBOBYQA])
def test_a_missing_package_is_named_with_its_licence_and_extra(cls, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"General Public License.* pip install 'invopt\[bench-gpl\]'"):
        cls()


@pytest.mark.parametrize("method", RESIDUAL_PEERS)
def test_presets_on_residuals_run_in_the_matrix(method):
    if method.startswith("dfo") and importlib.util.find_spec("dfols") is None:
        pytest.skip("dfols is not installed: pip install invopt[bench-gpl]")
    cell = Cell(task="box2", method=method, seed=0, size="tiny", maxfev=60)
    problem = cell.problem
    outcome = run_cell(cell, problem, problem.open())
    assert outcome.record["failure"] is None
    assert 0 < outcome.record["nfev"] <= 60


def test_packages_under_another_licence_are_imported_by_their_methods_alone():
    importing = set()
    for top in ("invopt", "problems", "estimators", "optimizers"):
        for path in (ROOT / top).rglob("*.py"):
            text = path.read_text()
            tree = ast.parse(text if any(name in text for name in MODULES.values()) else "")
            names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
            names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
            if {name.split(".")[0] for name in names} & set(MODULES.values()):
                importing.add(path.relative_to(ROOT).as_posix())
                # Only within functions: loading the module imports nothing.
                top_level = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
                assert not [node for node in top_level if ast.unparse(node).split()[1] in MODULES.values()]
    assert importing == {"invopt/bench/peers/dfo_ls.py", "invopt/bench/peers/py_bobyqa.py"}
