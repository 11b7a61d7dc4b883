"""The paper's networks: their size, their pictures, and that they learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import invopt
from invopt import estimators, optimizers, problems
from invopt.problems.scenes import picture_cache

pytestmark = pytest.mark.render

TINY = {"size": "tiny", "n_train": 32, "n_held_out": 24, "reference_spp": 64, "spp": 2, "batch_size": 8}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """A cache of our own, filled once for all tests here."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(picture_cache.ENVIRONMENT, str(folder))
        yield folder


@pytest.mark.parametrize(("cls", "n", "outputs"), [(problems.MugCNN, 267_745, 1), (problems.MugCNN5, 268_773, 5)])
@pytest.mark.parametrize("size", ["tiny", "default", "paper"])
def test_the_networks_are_the_papers(cls, n, outputs, size):
    problem = cls(size=size)
    assert problem.n == problem.x0.size == n
    side = cls.sizes[size][0]
    with torch.no_grad():
        found = problem.network(problem.as_tensor(problem.x0), torch.rand(2, side, side, 3))
    assert found.shape == (2, outputs)
    assert (found > torch.tensor(cls.low)).all()
    assert (found < torch.tensor(cls.high)).all()


def test_pictures_are_rendered_once_and_kept(cache, monkeypatch):
    first = problems.MugCNN(**TINY)
    first.prepare()
    assert len(list(cache.iterdir())) == 1
    assert first.training.inputs.shape == (32, 32, 32, 3)
    assert first.held_out.inputs.shape == (24, 32, 32, 3)
    monkeypatch.setattr(problems.MugCNN, "_render", lambda self: pytest.fail("rendered again"))
    again = problems.MugCNN(**TINY)
    assert torch.equal(again.training.inputs, first.training.inputs)
    with pytest.raises(pytest.fail.Exception, match="rendered again"):
        problems.MugCNN(**TINY | {"data_seed": 1}).prepare()


def test_pictures_show_their_truth():
    problem = problems.MugCNN(**TINY)
    items = problem.training
    numbers = torch.arange(3, dtype=torch.float64)[:, None]
    truth = torch.from_numpy(items.truth[:3])
    with problem.open() as objective:
        seed = np.full(3, 5)
        right = objective.item_fun(torch.cat((numbers, truth), 1), seed=seed, spp=256)
        wrong = objective.item_fun(torch.cat((numbers, truth.roll(1, 0)), 1), seed=seed, spp=256)
    assert (right < 0.2 * wrong).all()


@pytest.mark.usefixtures("one_renderer_thread")
def test_a_network_learns_without_labels():
    problem = problems.MugCNN(**TINY)
    res = invopt.minimize(
        problem, estimators.FR22(sigma=1.0, n_samples=1), optimizers.Adam(), rng=0, maxfev=2400, progress=False
    )
    # The best constant is the median of the truths.
    truth = problem.held_out.truth
    constant = np.median(np.abs(truth - np.median(problem.training.truth))) * 20
    assert problem.typical_errors(res.x)["rotation"] < constant / 5


def test_bad_sizes():
    with pytest.raises(ValueError, match="'size' must be one of tiny, default, paper"):
        problems.MugCNN(size="huge")
    with pytest.raises(ValueError, match="'n_train' must be >= 1"):
        problems.MugCNN5(n_train=0)
