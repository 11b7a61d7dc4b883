"""Radiance fields: encoders, sizes, and the field as a file."""

import pickle

import numpy as np
import pytest
import torch
from attrs import evolve

from invopt.core.identity import digests
from invopt.exceptions import CheckpointError
from invopt.problems import NeuralRadiosity
from invopt.problems.radiosity import Field, HashGrid, RadianceField

from .trainings import small

pytestmark = pytest.mark.render


def test_field_of_exponentials(tmp_path):
    """The field is the exponential of the linear one; its file records that."""
    problem, exponential = small(), small(field=evolve(Field.tiny(), reflection=False, demodulated=False), loss="l2")
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
    problem = NeuralRadiosity("cornell-box", preset="paper", field="paper")
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
    """The field receives mirrored directions on request, also after loading."""
    from invopt.problems.radiosity.fields.query import Query

    told = evolve(Field.tiny(), output="linear", demodulated=False)
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
    assert loaded.field.inputs == evolve(told, reflection=False).inputs + 3


def test_saved_fields_of_another_version_are_refused(trained, tmp_path, monkeypatch):
    problem, res = trained
    path = tmp_path / "field.safetensors"
    with problem.open() as live:
        monkeypatch.setattr(Field, "version", 1)
        RadianceField.of(live, res.x).save(path)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match=r"safetensors' is a radiance field of version 1, but this is version 2"):
        RadianceField.load(path)
