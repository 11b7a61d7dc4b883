"""Training through minimize: checkpoints, resuming, refused input."""

import math

import numpy as np
import pytest
import torch

import invopt
from invopt import Checkpoint, estimators, optimizers
from invopt.exceptions import CheckpointError, EvaluationError, NonFiniteError
from invopt.problems.radiosity import Guide, RadianceField

from .trainings import small

pytestmark = pytest.mark.render


def test_training_brings_the_loss_down():
    res = invopt.minimize(small("furnace", n_points=256), method=optimizers.Adam(lr=5e-3), rng=0, maxiter=150)
    assert res.history.fun[-1] < 0.02 * res.history.fun[0]
    assert isinstance(res.estimator, estimators.SemiGradient)
    assert np.array_equal(res.x, res.x_last)


@pytest.mark.parametrize("sampling", ["bsdf", "guided"])
def test_a_resumed_run_has_the_bits_of_one_that_never_stopped(sampling, tmp_path):
    guide = Guide(width=8, depth=2, lobes=2, first=2, last=12) if sampling == "guided" else None
    problem = small(sampling=sampling, guide=guide)
    whole = invopt.minimize(problem, rng=3, maxiter=14)
    path = tmp_path / "run.safetensors"
    invopt.minimize(problem, rng=3, maxiter=8, checkpoint=Checkpoint(path, every=5))
    rest = invopt.minimize(problem, maxiter=14, checkpoint=path)
    assert np.array_equal(whole.x, rest.x)
    assert np.array_equal(whole.history.fun, rest.history.fun)
    assert (whole.nfev, whole.nit) == (rest.nfev, rest.nit)


def test_an_interrupted_run_is_kept(tmp_path):
    def interrupt(*, intermediate_result):
        if intermediate_result.nit == 3:
            raise KeyboardInterrupt

    path = tmp_path / "run.safetensors"
    first = invopt.minimize(small(), rng=3, callback=interrupt, maxiter=9, checkpoint=path)
    assert first.status.name == "INTERRUPTED"
    rest = invopt.minimize(small(), maxiter=9, checkpoint=path)
    assert np.array_equal(rest.x, invopt.minimize(small(), rng=3, maxiter=9).x)
    assert [file.name for file in tmp_path.iterdir()] == ["run.safetensors"]


@pytest.mark.parametrize(
    ("other", "word"),
    [
        ({"scene": "cornell-box"}, "scene"),
        ({"field": {"width": 8, "depth": 2}}, "field"),
        ({"sides": "reflected"}, "loss"),
        ({"loss": "mae"}, "loss"),
        ({"estimator": estimators.FullGradient()}, "estimator"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(other, word, tmp_path):
    path = tmp_path / "run.safetensors"
    invopt.minimize(small(), rng=0, maxiter=2, checkpoint=path)
    before = path.read_bytes()
    estimator = other.pop("estimator", None)
    with pytest.raises(CheckpointError, match=f"is of another {word}"):
        invopt.minimize(small(**other), estimator, rng=0, maxiter=4, checkpoint=path)
    assert path.read_bytes() == before


def test_files_that_are_no_checkpoints_are_refused(tmp_path):
    path = tmp_path / "file"
    path.write_text("no")
    with pytest.raises(CheckpointError, match="cannot be read"):
        invopt.minimize(small(), rng=0, maxiter=2, checkpoint=path)
    with pytest.raises(CheckpointError, match="is a folder"):
        invopt.minimize(small(), rng=0, maxiter=2, checkpoint=tmp_path)
    with pytest.raises(TypeError, match="'checkpoint' must be a path"):
        invopt.minimize(small(), rng=0, maxiter=2, checkpoint=3)
    with pytest.raises(CheckpointError, match="cannot be read"):
        RadianceField.load(path)


def test_a_loss_that_is_no_number_ends_the_run_with_what_was_good(tmp_path):
    path = tmp_path / "run.safetensors"
    method = optimizers.Adam(lr=invopt.StepDecay(1e30, every=1000))
    with pytest.raises(NonFiniteError, match="lower the learning rate; the last weights") as caught:
        invopt.minimize(small(), method=method, rng=0, maxiter=50, checkpoint=path)
    result = caught.value.result
    assert np.isfinite(result.x).all()
    assert math.isfinite(result.fun)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("jit_malloc(): out of memory! Could not allocate 8 bytes of device memory."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
    ],
)
def test_out_of_memory_says_what_to_lower(error, monkeypatch):
    problem = small()
    with problem.open() as live:

        def full(*arguments):
            raise error

        monkeypatch.setattr(type(live), "right", full)
        with pytest.raises(EvaluationError, match="n_points=64, n_directions=4 .* lower n_points first"):
            live.sides(torch.from_numpy(problem.x0), seed=1, step=0, differentiate_right=True)
        error.args = ("something else",)
        with pytest.raises(RuntimeError, match="something else"):
            live.sides(torch.from_numpy(problem.x0), seed=1, step=0, differentiate_right=True)
