"""Grey boxes: weights, starts, held-out inputs, refused input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import invopt
from invopt import estimators, optimizers, problems

from .grey_boxes import INPUTS, bowl, curved, linear, make_bowl, make_problem


# Weights
def test_weights_keep_dtype_and_the_model_stays_as_it_was():
    model = nn.Linear(4, 2)
    before = model.weight.detach().clone()
    problem = problems.GreyBox(model, make_bowl(), INPUTS, targets=np.arange(3))
    assert problem.as_tensor(problem.x0).dtype is torch.float32
    res = invopt.minimize(problem, "shared-samples", "adam", rng=0, maxiter=3, progress=False)
    assert torch.equal(model.weight, before)
    assert res.x.dtype == np.float64
    assert np.array_equal(res.x, res.x.astype(np.float32))
    assert not torch.equal(problem.trained(res).weight, before)


def test_starts_are_new_networks_and_torch_draws_on():
    problem = make_problem()
    state = torch.get_rng_state()
    starts = problem.starts(np.random.default_rng(0), 2)
    assert torch.equal(torch.get_rng_state(), state)
    assert not np.array_equal(starts[0], starts[1])
    assert np.array_equal(starts, problem.starts(np.random.default_rng(0), 2))


def test_weights_survive_the_disk(tmp_path):
    problem = make_problem(curved())
    w = problem.starts(np.random.default_rng(0), 1)[0]
    problem.save(w, tmp_path / "weights.safetensors")
    assert np.array_equal(problem.load(tmp_path / "weights.safetensors"), w)
    module = problem.trained(w)
    assert np.array_equal(module(torch.from_numpy(INPUTS)).detach().numpy(), problem.predict(w))
    with pytest.raises(ValueError, match="'path' must hold the network's parameters"):
        make_problem(linear()).load(tmp_path / "weights.safetensors")


def test_dropout_is_off_and_frozen_parameters_stay():
    model = nn.Sequential(nn.Linear(4, 2, dtype=torch.float64), nn.Dropout(0.5))
    model[0].bias.requires_grad_(False)
    problem = make_problem(model)
    assert problem.n == 8
    assert np.array_equal(problem.predict(problem.x0), problem.predict(problem.x0))


def test_outputs_outside_the_bounds_are_projected():
    inner = problems.Function(fun=lambda x: float(x[0]), x0=[0.5], bounds=[(0, 1)])
    problem = problems.GreyBox(nn.Linear(1, 1, dtype=torch.float64), inner, [[1.0]])
    with problem.open() as objective:
        w = torch.tensor([[5.0, 0.0]], dtype=torch.float64)
        assert float(objective.fun(w, seed=np.array([0]))) == 1.0
    assert problem.predict(np.array([5.0, 0.0])).item() == 1.0


# Bad input
def bad(name, value):
    given = {"model": linear(), "inner": make_bowl(), "data": INPUTS, name: value}
    return problems.GreyBox(given["model"], given["inner"], given["data"])


def with_nan():
    model = linear()
    with torch.no_grad():
        model.weight[0, 0] = torch.nan
    return model


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("model", nn.Linear(4, 3, dtype=torch.float64), r"shape \(2, 2\).*each of the 2 parameters.*shape \(2, 3\)"),
        ("model", with_nan(), "'model .weights.' must be finite"),
        ("model", nn.Flatten(), "'model' must be a module with parameters"),
        ("data", [], "'data' must have at least one input"),
        ("data", [[1.0, np.nan, 0.0, 0.0]], "'data' must be finite: number 0"),
        ("data", [np.zeros(4), np.zeros(3)], "'data' must be arrays of one shape"),
        ("data", [(np.zeros(4), [1.0])], r"'data' must have truths of shape \(2,\)"),
    ],
)
def test_bad_values(name, value, message):
    with pytest.raises(ValueError, match=message):
        bad(name, value)


@pytest.mark.parametrize(("name", "value"), [("model", "cnn"), ("inner", bowl), ("data", 3)])
def test_bad_kinds(name, value):
    with pytest.raises(TypeError, match=f"'{name}' must be"):
        bad(name, value)


def test_targets_need_an_inner_problem_that_takes_them():
    with pytest.raises(ValueError, match="'targets' must be left out: the target of Quadratic"):
        problems.GreyBox(linear(), problems.Quadratic(), INPUTS, targets=np.arange(3))


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(invopt.IncompatibleError, match="Autodiff needs JAC"):
        invopt.minimize(make_problem(), "autodiff", "adam")
    with pytest.raises(invopt.IncompatibleError, match="Newton needs HESS"):
        invopt.minimize(make_problem(), "shared-samples", "newton")
    with pytest.raises(ValueError, match="'inner' must be a black box"):
        problems.GreyBox(linear(), make_problem(), INPUTS)


def test_a_module_that_is_there_twice_can_be_used_after_a_run():
    layer = nn.Linear(4, 4, dtype=torch.float64)
    problem = make_problem(nn.Sequential(layer, nn.Tanh(), layer, nn.Linear(4, 2, dtype=torch.float64)))
    res = invopt.minimize(problem, estimators.FR22(), optimizers.Adam(), rng=0, maxiter=3, progress=False)
    inputs = torch.from_numpy(INPUTS)
    np.testing.assert_allclose(
        problem.trained(res)(inputs).detach().numpy(), problem.predict(res.x, inputs), atol=1e-12
    )
    assert len(problem.starts(np.random.default_rng(0), 2)) == 2


def test_held_out_inputs_have_targets_of_their_own():
    aimed = problems.GreyBox(
        linear(), make_bowl(), INPUTS, targets=np.arange(3), held_out=INPUTS[:2], held_out_targets=[2, 1]
    )
    assert aimed.held_out.targets.tolist() == [2, 1]
    with pytest.raises(ValueError, match="'held_out_targets' must be 2, one for each input: 1"):
        problems.GreyBox(linear(), make_bowl(), INPUTS, targets=np.arange(3), held_out=INPUTS[:2], held_out_targets=[1])
    with pytest.raises(ValueError, match="'held_out_targets' must be given with 'held_out'"):
        problems.GreyBox(linear(), make_bowl(), INPUTS, targets=np.arange(3), held_out_targets=[1])
