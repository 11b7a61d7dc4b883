"""The answer of a scene as a table."""

import csv
import io
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

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


def test_other_forms(problem):
    markdown = problem.table(X).splitlines()
    assert markdown[2] == "| ball.translation.x | 1 |  | at its bound |"
    assert len(markdown) == 2 + problem.n
    rows = list(csv.DictReader(io.StringIO(problem.table(X, kind="csv"))))
    assert [row["name"] for row in rows] == list(problem.names)
    assert float(rows[-1]["value"]) == pytest.approx(9.0)
    with pytest.raises(ValueError, match="'kind' must be one of markdown, json, csv: 'xml'"):
        problem.table(X, kind="xml")
