"""Benchmark measures of histories whose results were computed by hand."""

import math

import numpy as np
import pytest

import invopt
from invopt import problems
from invopt.bench.results.measures import cost_to, data_profile, evaluations_to, median, quantile, ratio, reached_at

INF = math.inf


@pytest.mark.parametrize(
    ("errors", "fraction", "expected"),
    [
        ([8.0, 4.0, 0.8, 0.08], 0.1, 2),  # exactly a tenth counts
        ([8.0, 0.4, 4.0, 0.08], 0.1, 3),  # it left again: only the last arrival counts
        ([8.0, 0.4, 0.08, 4.0], 0.1, None),  # it did not stay
        ([8.0, 0.4, math.nan, 0.08], 0.1, 3),
        ([8.0, 0.4, math.nan], 0.1, None),
        ([8.0, INF, 0.08], 0.1, 2),
        ([0.0, 0.0], 0.1, 0),
        ([0.0, 0.1], 0.1, None),
        ([8.0], 0.1, None),
        ([8.0, -0.01], 0.001, 1),  # an unbiased error may be negative
        ([], 0.1, None),
    ],
)
def test_reached_at(errors, fraction, expected):
    assert reached_at(errors, fraction) == expected


def test_cost_to_is_that_of_the_arrival():
    assert cost_to([4, 10, 16, 22], [8.0, 4.0, 0.8, 0.08], 0.1) == 16
    assert cost_to([4, 10, 16, 22], [8.0, 4.0, 0.8, 0.08], 0.01) == 22
    assert cost_to([4, 10, 16, 22], [8.0, 4.0, 0.8, 0.08], 0.001) == INF


def test_evaluations_to_reads_a_history():
    history = invopt.History()
    for nfev, x in ((4, [2.0, 0.0]), (8, [0.5, 0.0]), (14, [0.1, 0.1]), (20, [0.0, 0.1])):
        history.append(x=np.array(x), nfev=nfev)
    result = invopt.OptimizeResult(problem=problems.Quadratic(), history=history)
    # Mean squares: 2, 0.125, 0.01, 0.005.
    assert [evaluations_to(result, f) for f in (0.1, 0.01, 0.004, 0.001)] == [8, 14, 20, INF]


def test_quantiles_count_failures_and_never_interpolate():
    assert median([3.0, INF, 1.0]) == 3.0
    assert median([3.0, 5.0, 1.0, INF]) == 5.0  # the upper of the middle two
    assert median([1.0, 2.0, INF, INF]) == INF  # half is not more than half
    assert [quantile([1.0, 2.0, 3.0, 4.0, INF], q) for q in (0.0, 0.25, 0.75, 1.0)] == [1.0, 2.0, 4.0, INF]
    assert math.isnan(median([]))
    assert math.isnan(median([1.0, math.nan]))


def test_ratio():
    assert ratio([10.0, 20.0, 30.0], [4.0, 5.0, 6.0]) == 4.0
    assert ratio([INF, INF, 1.0], [4.0, 5.0, 6.0]) == INF
    assert math.isnan(ratio([1.0, 2.0, 3.0], [INF, INF, 6.0]))


def test_data_profile_is_in_simplex_gradients():
    # 12 / 2 = 6, 30 / 3 = 10, never, 22 / 11 = 2.
    found = data_profile([12.0, 30.0, INF, 22.0], [1, 2, 2, 10], [1.9, 2, 6, 10, 1e9])
    np.testing.assert_array_equal(found, [0, 0.25, 0.5, 0.75, 0.75])
