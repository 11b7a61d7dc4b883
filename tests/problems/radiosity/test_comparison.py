"""Comparisons of estimators: what a training is, and what it leaves when it fails."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

import invopt
from invopt import estimators, optimizers
from invopt.problems import NeuralRadiosity
from invopt.problems.radiosity.comparison.comparison import Comparison, named_estimator
from invopt.problems.radiosity.scenes import gap_room

pytestmark = pytest.mark.render


def compared(scene="furnace", **options):
    problem = NeuralRadiosity(scene, preset="paper", field="tiny", n_points=32, n_directions=2, encoder="torch")
    return Comparison(**({"problem": problem, "reference_spp": 2, "maxiter": 4, "every": 2, "spp": 1} | options))


def test_a_training_is_the_run_of_its_seed(tmp_path, monkeypatch):
    monkeypatch.setenv("INVOPT_CACHE_DIR", str(tmp_path))
    comparison = compared(lr=1e-3, decay_every=2)
    with comparison.problem.open() as live:
        result, rows = comparison.train(live, "semi-gradient", 5)
    x0 = comparison.problem.starts(np.random.default_rng(5), 1)[0]
    method = optimizers.Adam(lr=invopt.StepDecay(1e-3, every=2))
    alone = invopt.minimize(comparison.problem, estimators.SemiGradient(), method, x0=x0, rng=5, maxiter=4)
    assert np.array_equal(result.x, alone.x)
    assert [row["nit"] for row in rows] == [0, 2, 4]


def test_a_training_that_fails_has_infinite_errors(tmp_path, monkeypatch):
    monkeypatch.setenv("INVOPT_CACHE_DIR", str(tmp_path))
    comparison = compared(lr=1e30)
    with comparison.problem.open() as live:
        _, rows = comparison.train(live, "semi-gradient", 0)
    assert math.isfinite(rows[0]["mse"])
    assert rows[-1]["mse"] == rows[-1]["energy"] == math.inf
    assert rows[-1]["nit"] < 4


@pytest.mark.parametrize(
    ("options", "size"), [({}, (32, 16)), ({"width": 8}, (8, 4)), ({"width": 8, "height": 6}, (8, 6))]
)
def test_size_of_the_pictures(options, size):
    scene = gap_room()
    scene["sensor"]["film"] |= {"width": 32, "height": 16}
    comparison = compared(scene, **options)
    with comparison.problem.open() as live:
        assert comparison.size(live) == size


def test_an_estimator_by_name_may_have_a_weight():
    assert named_estimator("weighted-dual-buffer:0.25") == estimators.WeightedDualBuffer(weight=0.25)
    assert named_estimator("semi-gradient") == estimators.SemiGradient()


@pytest.mark.parametrize(("options", "size"), [({}, (40, 20)), ({"width": 10}, (10, 5)), ({"height": 10}, (20, 10))])
def test_one_side_alone_keeps_the_aspect_ratio(options, size):
    live = SimpleNamespace(transport=SimpleNamespace(size=lambda sensor: (40, 20)))
    assert compared(**options).size(live) == size


def test_a_time_that_is_none_is_refused():
    with pytest.raises(ValueError, match="'seconds' must be >= 0"):
        compared(seconds=math.nan)
