"""The answer of a scene as a table."""

import csv
import io
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

from invopt.problems.scenes.development import MOST_DIRECTIONS, directions

from .tiny_scenes import scene

pytestmark = pytest.mark.render
X = np.array([1.0, 0.2, 0.6, 0.3, math.log(9)])


@pytest.fixture(scope="module")
def problem():
    return scene()


def test_an_answer_with_error_bars(problem):
    result = SimpleNamespace(x=X, x_standard_error=np.array([0.01, 0.02, 0.03, np.inf, 0.1]))
    rows = {row["name"]: row for row in json.loads(problem.table(result, kind="json"))}
    assert tuple(rows) == problem.names
    assert rows["ball.translation.x"] == {
        "name": "ball.translation.x",
        "value": 1.0,
        "standard_error": pytest.approx(0.01),
        "note": "at its bound",
    }
    assert rows["ball.bsdf.reflectance.b"]["standard_error"] is None
    # The error of a logarithm in scene units.
    assert rows["lamp.intensity"]["value"] == pytest.approx(9.0)
    assert rows["lamp.intensity"]["standard_error"] == pytest.approx(9 * math.sinh(0.1))


def test_errors_are_in_the_units_of_the_values(problem):
    result = SimpleNamespace(x=X, x_standard_error=np.array([0.01, 0.02, 0.03, 0.04, 0.1]))
    errors = problem.parameter_errors(result)
    assert list(errors) == list(problem.parameters(X))
    assert errors["ball.translation"] == pytest.approx(0.01)
    np.testing.assert_allclose(errors["ball.bsdf.reflectance"], [0.02, 0.03, 0.04])
    assert errors["lamp.intensity"] == pytest.approx(9 * math.sinh(0.1))
    assert problem.parameter_errors(SimpleNamespace(x=X, x_standard_error=None)) == {}


def test_the_error_of_what_is_fitted_holds_correlated_errors_of_the_columns():
    """The covariance's part along a direction, by columns of its root or by random signs."""
    rng = np.random.default_rng(0)
    for n in (5, 40):
        root = rng.standard_normal((n, n))
        covariance, slope = root @ root.T, rng.standard_normal(n)
        steps = directions(covariance, np.sqrt(np.diag(covariance)))
        assert len(steps) == min(n, MOST_DIRECTIONS)
        found, exact = float(np.square(steps @ slope).sum()), float(slope @ covariance @ slope)
        # A sum of 16 squares of normal variables: 5 standard deviations of sqrt(2 / 16).
        assert found == pytest.approx(exact, rel=1e-9 if n == 5 else 5 * np.sqrt(2 / 16))
    np.testing.assert_allclose(directions(None, np.array([1.0, 2.0])), np.diag([1.0, 2.0]))


def test_other_forms(problem):
    markdown = problem.table(X).splitlines()
    assert markdown[2] == "| ball.translation.x | 1 |  | at its bound |"
    assert len(markdown) == 2 + problem.n
    rows = list(csv.DictReader(io.StringIO(problem.table(X, kind="csv"))))
    assert [row["name"] for row in rows] == list(problem.names)
    assert float(rows[-1]["value"]) == pytest.approx(9.0)
    with pytest.raises(ValueError, match="'kind' must be one of markdown, json, csv: 'xml'"):
        problem.table(X, kind="xml")
