"""Ramps: exact Jacobians where residuals sample grids, and what further perturbations correct."""

import numpy as np
import pytest

from invopt.estimators.least_squares.ramps import atlas_of

from .grids import plain, samples, widened

STEP = 0.05
GRIDS = {
    "one": [plain(6, 9)],
    "channels": [plain(6, 9, 3)],
    "two": [plain(6, 9, 3), plain(4, 5, 1, 162)],
    "periodic": [plain(5, 8, 3, periodic=True)],
    "one beside a periodic": [plain(5, 8, 1), plain(4, 6, 2, 40, periodic=True)],
    "odd and periodic": [plain(4, 7, periodic=True)],
    "a row": [plain(1, 12)],
    "a column and a texel": [plain(12, 1), plain(1, 1, 1, 12)],
}


def seen(grids, count=80, **options):
    """Jacobian of samples of all grids."""
    rng = np.random.default_rng(1)
    n = max(int(grid.indices.max()) for grid in grids) + 1
    return np.concatenate([widened(samples(grid, count, rng, **options), n) for grid in grids])


def identified(jacobian, grids, more=0, indices=None):
    """Jacobian from ramps and `more` random signs."""
    n = jacobian.shape[1]
    atlas = atlas_of(grids, np.arange(n) if indices is None else indices)
    signs = np.random.default_rng(2).choice([-1.0, 1.0], (more, n))
    steps = STEP * np.concatenate([atlas.patterns, signs])
    changes = steps @ jacobian.T
    return atlas.footprints(changes[: len(atlas.patterns)], STEP).jacobian(steps, changes).toarray()


@pytest.mark.parametrize("grids", GRIDS.values(), ids=GRIDS)
def test_the_jacobian_of_bilinear_samples_is_exact(grids):
    jacobian = seen(grids)
    np.testing.assert_allclose(identified(jacobian, grids), jacobian, atol=1e-10)


@pytest.mark.parametrize("grids", GRIDS.values(), ids=GRIDS)
def test_perturbations_are_few_and_at_most_one(grids):
    n = max(int(grid.indices.max()) for grid in grids) + 1
    patterns = atlas_of(grids, np.arange(n)).patterns
    assert patterns.shape == (4 if any(grid.periodic for grid in grids) else 3, n)
    assert np.abs(patterns).max() == 1


def test_signs_and_units_of_the_gain_do_not_matter():
    jacobian = seen(GRIDS["two"]) * np.random.default_rng(3).choice([-1, 20, 0.1], 160)[:, None]
    np.testing.assert_allclose(identified(jacobian, GRIDS["two"]), jacobian, atol=1e-10)


def test_residuals_that_depend_on_nothing_have_empty_rows():
    jacobian = seen(GRIDS["one"])
    jacobian[::3] = 0
    np.testing.assert_allclose(identified(jacobian, GRIDS["one"]), jacobian, atol=1e-10)
    assert not identified(0 * jacobian, GRIDS["one"]).any()


def test_fixed_parameters_have_no_columns():
    free = np.setdiff1d(np.arange(54), [0, 13, 14, 53])
    jacobian = seen(GRIDS["one"], 200)
    untouched = (jacobian[:, [0, 13, 14, 53]] == 0).all(1)
    found = identified(jacobian[:, free], GRIDS["one"], indices=free)
    np.testing.assert_allclose(found[untouched], jacobian[untouched][:, free], atol=1e-10)
    assert 50 < untouched.sum() < 200


def test_parameters_outside_of_all_grids_have_no_place():
    assert atlas_of([plain(3, 4)], np.arange(13)) is None
    assert atlas_of([], np.arange(3)) is None
    assert atlas_of([plain(3, 4)], np.arange(12)) is not None


def test_what_is_wider_than_a_texel_is_corrected_by_random_signs():
    blur = 0.5 * np.eye(54)
    for i, j in np.ndindex(6, 8):
        blur[9 * i + j, 9 * i + j + 1] = blur[9 * i + j + 1, 9 * i + j] = 0.25
    jacobian = seen(GRIDS["one"]) @ blur
    errors = [np.linalg.norm(identified(jacobian, GRIDS["one"], k) - jacobian) for k in (0, 4, 12)]
    assert errors[1] < 0.6 * errors[0]
    assert errors[2] < 0.6 * errors[1]
    assert errors[2] < 0.15 * np.linalg.norm(jacobian)
