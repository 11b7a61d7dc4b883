"""Training through minimize: kept, resumed, refused; the field as a file; pictures and their errors."""

import json
import math
import pickle

import matplotlib.image
import numpy as np
import pytest
import torch

import invopt
from invopt import Checkpoint, estimators, optimizers
from invopt.core.identity import digests
from invopt.exceptions import (
    BackendError,
    CheckpointError,
    EvaluationError,
    InvoptError,
    NonFiniteError,
)
from invopt.problems import NeuralRadiosity
from invopt.problems.radiosity import Field, Guide, HashGrid, RadianceField, SymmetricL2
from invopt.problems.radiosity.pictures.metrics import compare, flip
from invopt.problems.radiosity.pictures.pictures import metrics
from invopt.problems.radiosity.pictures.reference import reference
from invopt.problems.radiosity.transport.camera_path import path_between, write_frames

pytestmark = pytest.mark.render


def small(scene="gap-room", **options):
    # Torch's encoder sums in a fixed order, whatever the number of threads.
    return NeuralRadiosity(
        scene, **({"field": "tiny", "n_points": 64, "n_directions": 4, "encoder": "torch"} | options)
    )


@pytest.fixture(scope="module")
def trained():
    problem = small(n_points=256)
    return problem, invopt.minimize(problem, rng=1, maxiter=20)


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
        ({"field": Field(width=8, depth=2)}, "field"),
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


def test_the_right_side_keeps_a_graph_only_where_it_is_differentiated():
    problem = small()
    with problem.open() as live:
        kept = [
            live.sides(torch.from_numpy(problem.x0), seed=1, step=0, differentiate_right=wanted).right.requires_grad
            for wanted in (False, True)
        ]
    assert kept == [False, True]


@pytest.mark.parametrize("loss", ["l2", "relative-l2", "symmetric-l2", "rmse", "huber", "mae"])
def test_gradients_of_every_loss_are_right(loss):
    """The full gradient is the derivative of what is reported, by finite differences along it."""
    problem = small(loss=loss, sampling="nee")
    with problem.open() as live:
        x = torch.from_numpy(problem.x0)

        def at(point):
            sides = live.sides(point, seed=7, step=0, differentiate_right=True)
            return sides, problem.loss.reduce(problem.loss.values(sides.left, sides.right.mean(1)))

        sides, fun = at(x)
        jac = sides.gradient(fun).double()
        # The norms of relative losses are constants to the derivative, so they are held as they were.
        own, theirs = (side.detach().square().mean(1).sqrt() for side in (sides.left, sides.right.mean(1)))
        norms = {"relative-l2": own**2 + 1e-2, "symmetric-l2": own * (own + theirs) / 2 + 1e-2}

        def value(point):
            moved, fun = at(point)
            if loss in norms:
                fun = ((moved.left - moved.right.mean(1)).square().mean(1) / norms[loss]).mean()
            return float(fun.detach())

        step = 2e-3
        along = step * jac / jac.norm()
        assert (value(x + along) - value(x - along)) / (2 * step) == pytest.approx(float(jac.norm()), rel=0.02)


def test_sides_without_emission_differ_as_those_with_it():
    """And a relative loss then divides the residual of a lamp by what it reflects."""
    found = []
    for sides in ("outgoing", "reflected"):
        problem = small("cornell-box", n_points=2048, sides=sides)
        with problem.open() as live:
            found.append(live.sides(torch.from_numpy(problem.x0), seed=3, step=0, differentiate_right=False))
    whole, part = found
    torch.testing.assert_close(part.left - part.right.mean(1), whole.left - whole.right.mean(1), rtol=0, atol=1e-5)
    emitted = (whole.left - part.left).detach()
    shining = emitted.amax(1) > 1
    assert 0 < shining.sum() < 100
    assert not emitted[~shining].any()
    weights = [
        sides.loss.values(sides.left, sides.right.mean(1)) / (sides.left - sides.right.mean(1)).square().mean(1)
        for sides in found
    ]
    torch.testing.assert_close(weights[0][~shining], weights[1][~shining])
    # The lamp's radiance is 18, 14 and 7; the field is young and dark.
    assert float((weights[1] / weights[0])[shining].min().detach()) > 1000


def test_symmetric_loss_pulls_alike_both_ways():
    """By 4 tanh(t / 2) on the logarithm of a field that is off by the factor exp(t), with half of the right side."""
    t = torch.linspace(-6, 6, 25).unsqueeze(1)
    right = torch.tensor([0.3]).expand_as(t)
    y = (t + right.log()).requires_grad_()
    loss = SymmetricL2(epsilon=1e-12).cross(y.exp(), right, right)
    (pull,) = torch.autograd.grad(loss.sum(), y)
    torch.testing.assert_close(pull, 4 * torch.tanh(t / 2))
    loss = SymmetricL2(share=0.25, epsilon=1e-12).cross(y.exp(), right, right)
    (pull,) = torch.autograd.grad(loss.sum(), y)
    torch.testing.assert_close(pull, 2 * (1 - (-t).exp()) / (0.75 + 0.25 * (-t).exp()))


def test_field_of_exponentials(tmp_path):
    """It is the exponential of what the same weights give, and says so in its file."""
    problem, exponential = small(), small(field=Field(width=16, depth=3, encoding=Field.tiny().encoding, output="exp"))
    with problem.open() as live, exponential.open() as other:
        linear, found = live.render(problem.x0, spp=1, size=(8, 8)), other.render(problem.x0, spp=1, size=(8, 8))
        lit = live.emitting_pixels(size=(8, 8))
        RadianceField.of(other, problem.x0).save(tmp_path / "field.safetensors")
    np.testing.assert_allclose(found[~lit], np.exp(linear[~lit]), rtol=1e-4)
    assert RadianceField.load(tmp_path / "field.safetensors").field == exponential.field
    assert digests(problem.identity_content())["field"] != digests(exponential.identity_content())["field"]


def test_encoders_agree():
    points, grid = torch.rand(3, 500), HashGrid(levels=5, base=3, growth=1.7, log2_size=7)
    table = (torch.rand(grid.size) - 0.5).requires_grad_()
    small().open().close()
    found = []
    for lookup in (grid.lookup, grid.lookup_drjit):
        values = lookup(points, table)
        (jac,) = torch.autograd.grad((values * torch.arange(grid.width).unsqueeze(1)).sum(), table)
        found.append((values.detach(), jac))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=0, atol=2e-5)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-3, atol=2e-3)


def test_paper_size():
    problem = NeuralRadiosity("cornell-box", field="paper")
    assert problem.field.encoding.levels == 14
    widths = [shape for name, shape in problem.shapes.items() if name.endswith("weight")]
    assert widths == [(512, 40), *[(512, 512)] * 5, (3, 512)]
    assert len(pickle.dumps(problem)) < 2000
    assert (problem.n_points, problem.n_directions) == (2**14, 32)
    assert problem.default_method.lr.at(12_000, 1.0) == pytest.approx(5e-4 / 3)


def test_saved_field_gives_the_same_radiance(trained, tmp_path):
    problem, res = trained
    path = tmp_path / "field.safetensors"
    with problem.open() as live:
        RadianceField.of(live, res.x).save(path)
        point = live.transport.points(32, 1)
        query, _, _ = live.transport.query(point)
        weights = live.weights(torch.tensor(res.x, dtype=torch.float32))
        expected = live.reflected(weights, query).detach().numpy()
        p = np.array(point.p).T
    field = RadianceField.load(path)
    found = field.radiance(p, query.direction.t(), query.normal.t(), query.albedo.t())
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert field.scene == problem.scene_label
    with pytest.raises(ValueError, match="'w' must have shape"):
        field.radiance(p, p[:3], p, p)


def test_mirrored_directions(tmp_path):
    """The field is told them if asked to, whichever side is seen, and so is a saved one."""
    from invopt.problems.radiosity.fields.query import Query

    told = Field(width=16, depth=3, encoding=Field.tiny().encoding, reflection=True)
    down = torch.tensor([[0.6], [0.0], [-0.8]])
    query = Query(
        torch.full((3, 2), 0.5),
        torch.cat([-down, down], 1),
        torch.tensor([[0.0, 0], [0, 0], [1, 1]]),
        torch.zeros(3, 2),
    )
    table = {"encoding": torch.zeros(told.encoding.size)}
    features = told.features(table, query, told.encoding.lookup)
    assert features.shape == (2, told.inputs)
    expected = torch.tensor([[0.6, 0, 0.8], [-0.6, 0, -0.8]])
    torch.testing.assert_close(features[:, 12:15], expected)
    problem = small(field=told)
    with problem.open() as live:
        field = RadianceField.of(live, problem.x0)
    field.save(tmp_path / "field.safetensors")
    loaded = RadianceField.load(tmp_path / "field.safetensors")
    assert loaded.field == told
    assert loaded.field.inputs == Field.tiny().inputs + 3


def test_saved_fields_of_another_version_are_refused(trained, tmp_path, monkeypatch):
    problem, res = trained
    path = tmp_path / "field.safetensors"
    with problem.open() as live:
        monkeypatch.setattr(Field, "version", 1)
        RadianceField.of(live, res.x).save(path)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="of version 1, and version 2 is read here"):
        RadianceField.load(path)


def test_pictures(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("INVOPT_CACHE_DIR", str(tmp_path / "cache"))
    problem, res = trained
    with problem.open() as live:
        left = live.render(res.x, size=(20, 20))
        again = live.render(res.x, size=(20, 20))
        right = live.render(res.x, side="rhs", size=(20, 20), n_directions=4)
        truth = reference(live, spp=4, size=(20, 20))
        monkeypatch.setattr(type(live), "trace", None)
        assert np.array_equal(reference(live, spp=4, size=(20, 20)), truth)
        assert live.emitting_pixels(size=(20, 20)).shape == (20, 20)
        stops = [((-0.5, 0, 0.9), (0, 0, 0)), ((0.5, 0, 0.9), (0, 0, 0))]
        views = path_between(stops, 3, fov=60, width=16, height=12)
        files = write_frames(live, res.x, views, tmp_path / "frames", spp=1)
        for bad, message in (({"side": "top"}, "'side' must be"), ({"sensor": 1}, "below 1")):
            with pytest.raises(ValueError, match=message):
                live.render(res.x, **bad)
        with pytest.raises(ValueError, match="must be >= 2\\*\\*31"):
            reference(live, spp=4, seed=1)
    assert left.shape == right.shape == truth.shape == (20, 20, 3)
    assert np.array_equal(left, again)
    assert [file.name for file in files] == ["frame_0000.png", "frame_0001.png", "frame_0002.png", "strip.png"]
    assert matplotlib.image.imread(files[-1]).shape[:2] == (12, 48)


def test_reference_is_what_mitsuba_renders():
    import mitsuba as mi

    with small().open() as live:
        size = live.transport.size(0)
        ours = live.trace(spp=16, seed=2**31, depth=8)
        integrator = mi.load_dict({"type": "path", "max_depth": 8, "rr_depth": 8})
        theirs = np.array(mi.render(live.transport.scene, integrator=integrator, spp=16, seed=5))
    assert ours.shape == (size[1], size[0], 3)
    assert ours.mean() == pytest.approx(theirs.mean(), rel=0.05)
    blocks = [picture.reshape(8, 16, 8, 16, 3).mean((1, 3)) for picture in (ours, theirs)]
    np.testing.assert_allclose(*blocks, rtol=0.5, atol=0.1)


def test_errors_of_a_picture():
    truth = np.full((4, 4, 3), 0.5)
    picture = truth * 0.9
    found = compare(picture, truth)
    assert found.energy == pytest.approx(0.9)
    assert found.mse == pytest.approx(0.0025)
    assert found.mape == pytest.approx(0.05 / 0.51)
    assert found.relmse == pytest.approx(0.0025 / 0.26)
    mask = np.zeros((4, 4), dtype=bool)
    mask[0] = True
    picture[0] = 100
    assert compare(picture, truth, mask).to_dict() == pytest.approx(found.to_dict())
    with pytest.raises(ValueError, match="one shape"):
        compare(truth, truth[:2])
    with pytest.raises(ValueError, match="leaves no pixel"):
        compare(truth, truth, np.ones((4, 4), dtype=bool))


def test_flip():
    rng = np.random.default_rng(0)
    truth = rng.random((32, 32, 3)) * 4
    near, far = (flip(truth + error * rng.normal(size=truth.shape), truth) for error in (0.05, 0.5))
    assert flip(truth, truth) == pytest.approx(0, abs=1e-6)
    assert 0.01 < near < 0.5 * far < 0.5


def test_flip_says_what_it_needs(monkeypatch):
    monkeypatch.setattr(metrics, "has_flip", lambda: False)
    with pytest.raises(InvoptError, match="pip install 'invopt\\[flip\\]'"):
        flip(np.ones((4, 4, 3)), np.ones((4, 4, 3)))


def test_what_needs_a_gpu_says_so():
    with small().open() as live:
        if live.device.type == "cuda":
            pytest.skip("here is one")
        with pytest.raises(BackendError, match="needs the backend 'cuda'"):
            live.denoise(np.zeros((4, 4, 3), dtype=np.float32))
    with pytest.raises(BackendError, match="precision='mixed' needs"):
        small(precision="mixed").open()


def test_command(tmp_path, monkeypatch, capsys):
    from invopt import cli

    monkeypatch.setenv("INVOPT_CACHE_DIR", str(tmp_path / "cache"))
    settings = ["field=tiny", "n_points=64", "n_directions=2"]
    arguments = ["invopt", "run", "radiosity", "--scene", "furnace", "--estimator", "semi-gradient", "--maxfev", "5"]
    arguments += [part for setting in settings for part in ("--set", setting)]
    arguments += ["--checkpoint", str(tmp_path / "run.safetensors"), "--out", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert "NeuralRadiosity: evaluation budget spent" in " ".join(capsys.readouterr().out.split())
    files = {file.name for file in (tmp_path / "out").iterdir()}
    assert {
        "result.json",
        "convergence.png",
        "found.png",
        "right_side.png",
        "errors.json",
        "field.safetensors",
    } <= files
    assert set(json.loads((tmp_path / "out" / "errors.json").read_text())) == {"lhs", "rhs"}
    assert RadianceField.load(tmp_path / "out" / "field.safetensors").scene.startswith("furnace:")
    assert (tmp_path / "run.safetensors").exists()
