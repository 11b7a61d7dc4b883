"""Grey boxes: derivatives of the chain against dense ones, minibatches, memory, bad input, weights on disk."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import invopt
from invopt import Capability, Objective, Problem, estimators, optimizers, problems, testing
from invopt.core.machine.clock import Clock
from invopt.problems.network.mug_network import PictureNetwork
from invopt.run.arguments.options import Options
from invopt.run.loop import open_evaluator
from invopt.run.prepare import prepare

RNG = np.random.default_rng(3)
INPUTS = RNG.standard_normal((3, 4))
# Every item has a curvature, a slope and a value of its own.
ROOTS = RNG.standard_normal((3, 2, 2))
CURVATURES = np.einsum("kij,klj->kil", ROOTS, ROOTS) + np.eye(2)
SLOPES = RNG.standard_normal((3, 2))
SCALE = np.array([2.0, 0.5])


def bowl(x, target):
    k = int(target)
    return float(0.5 * x @ CURVATURES[k] @ x + SLOPES[k] @ x + k)


def make_bowl():
    return problems.Function(fun=bowl, x0=[0.0, 0.0], x_scale=SCALE, targeted=True)


def linear():
    torch.manual_seed(0)
    return nn.Linear(4, 2, dtype=torch.float64)


def curved():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 5, dtype=torch.float64), nn.Tanh(), nn.Linear(5, 2, dtype=torch.float64))


def make_problem(model=None, **options):
    return problems.GreyBox(linear() if model is None else model, make_bowl(), INPUTS, targets=np.arange(3), **options)


def estimates(problem, estimator, k=1, **options):
    run = prepare(problem, Options(estimator=estimator, rng=0, progress=False, **options))
    with run.open() as objective:
        evaluator = open_evaluator(run, objective, Clock())
        evaluator.budget = type(evaluator.budget)()
        x = problem.as_tensor(run.x0 / run.x_scale)
        memory = run.estimator.init(problem)
        for _ in range(k):
            yield run.estimator.estimate(evaluator, x, memory, run.rng)[0]


def dense(problem, items=(0, 1, 2)):
    """Gradient and J'HJ with every Jacobian written out."""
    network, w = problem.network, problem.as_tensor(problem.x0)
    jac, hess = np.zeros(problem.n), np.zeros((problem.n, problem.n))
    for k in items:
        given = torch.from_numpy(INPUTS[k : k + 1])
        J = torch.autograd.functional.jacobian(lambda w: network(w, given)[0], w).numpy()  # noqa: B023
        x = network(w, given)[0].detach().numpy()
        jac += J.T @ (CURVATURES[k] @ x + SLOPES[k]) / len(items)
        hess += J.T @ CURVATURES[k] @ J / len(items)
    return jac, hess


# The chain rule


@pytest.mark.parametrize("model", [linear, curved], ids=lambda model: model.__name__)
def test_exact_inner_derivatives_give_exact_ones(model):
    problem = make_problem(model())
    (found,) = estimates(problem, estimators.FiniteDifference(abs_step=0.5))
    jac, hess = dense(problem)
    p = np.random.default_rng(0).standard_normal(problem.n)
    assert np.abs(found.jac.numpy() - jac).max() < 1e-9
    assert np.abs(found.hessp(torch.from_numpy(p)).numpy() - hess @ p).max() < 1e-9
    assert not found.standard_error.any()
    assert not found.partial


def test_curvature_does_not_leak_between_items():
    # One-hot inputs: the columns of the weights belong to one item each, so H is block-diagonal.
    model = nn.Linear(3, 2, bias=False, dtype=torch.float64)
    problem = problems.GreyBox(model, make_bowl(), np.eye(3), targets=np.arange(3))
    (found,) = estimates(problem, estimators.FiniteDifference(abs_step=0.5))
    hess = torch.stack([found.hessp(row) for row in torch.eye(6, dtype=torch.float64)]).numpy().reshape(2, 3, 2, 3)
    expected = np.zeros((2, 3, 2, 3))
    for k in range(3):
        expected[:, k, :, k] = CURVATURES[k] / 3
    assert np.abs(hess - expected).max() < 1e-9


@pytest.mark.parametrize(
    "estimator",
    [
        estimators.SharedSamples(sigma=0.3, n_samples=4),
        estimators.AggregateHVP(sigma=0.3),
        estimators.AggregateHessian(sigma=0.3, n_samples=8),
        estimators.SmoothedHVP(sigma=0.3),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_sampled_derivatives_are_right_in_the_mean(estimator):
    problem = make_problem(curved())
    jac, hess = dense(problem)
    p = np.random.default_rng(0).standard_normal(problem.n)
    found = [(e.jac.numpy(), e.hessp(torch.from_numpy(p)).numpy()) for e in estimates(problem, estimator, 300)]
    testing.assert_mean([one for one, _ in found], jac)
    testing.assert_mean([product for _, product in found], hess @ p)
    with pytest.raises(AssertionError):
        testing.assert_mean([product for _, product in found], 2 * hess @ p)


class _Sheet(Objective):
    """Residuals linear in x."""

    chunk_size = 1
    slope = np.random.default_rng(1).standard_normal((12, 2))

    def residuals(self, x, *, seed, spp=None):
        return x @ torch.from_numpy(self.slope.T) + 1.0

    def fun(self, x, *, seed, spp=None):
        return self.residuals(x, seed=seed).square().mean(1)


class Sheet(Problem):
    provides = Capability.FUN | Capability.RESIDUALS
    x0 = np.zeros(2)

    def open(self):
        return _Sheet()


@pytest.mark.parametrize("pairs", [1, 2])
def test_gauss_newton_of_the_residuals_goes_through(pairs):
    problem = problems.GreyBox(nn.Linear(4, 2, bias=False, dtype=torch.float64), Sheet(), INPUTS)
    (found,) = estimates(problem, estimators.GaussNewton(sigma=0.3, n_samples=pairs, window=1))
    hess = torch.stack([found.hessp(row) for row in torch.eye(8, dtype=torch.float64)]).numpy()
    assert found.nfev == 3 * 2 * pairs
    if pairs == 2:
        curvature = 2 * _Sheet.slope.T @ _Sheet.slope / 12
        slopes = problem.predict(problem.x0) @ curvature + 2 * _Sheet.slope.mean(0)
        assert np.abs(hess - np.kron(curvature, INPUTS.T @ INPUTS / 3)).max() < 1e-6
        assert np.abs(found.jac.numpy() - (slopes.T @ INPUTS / 3).ravel()).max() < 1e-6
    else:
        # One pair shows the curvature of one direction an item, and makes up none.
        values = np.linalg.eigvalsh((hess + hess.T) / 2)
        assert values.min() > -1e-9
        assert (values > 1e-6).sum() == 3


def test_the_objectives_own_derivative_goes_through():
    problem = problems.GreyBox(nn.Linear(4, 2, dtype=torch.float64), problems.Quadratic(), INPUTS)
    (found,) = estimates(problem, estimators.Autodiff())
    hess = np.array([[10.0, 7.5], [7.5, 10.0]])
    outputs = problem.predict(problem.x0)
    expected = np.concatenate([((outputs @ hess).T @ INPUTS / 3).ravel(), (outputs @ hess).mean(0)])
    assert np.abs(found.jac.numpy() - expected).max() < 1e-9


def test_shared_samples_serve_every_product():
    problem = make_problem()
    run = prepare(problem, Options(estimator=estimators.SharedSamples(n_samples=2), rng=0, progress=False))
    with run.open() as objective:
        evaluator = open_evaluator(run, objective, Clock())
        evaluator.budget = type(evaluator.budget)()
        x = problem.as_tensor(run.x0)
        found, _ = run.estimator.estimate(evaluator, x, run.estimator.init(problem), run.rng)
        for _ in range(5):
            found.hessp(x)
        assert evaluator.nfev == found.nfev == run.estimator.cost(problem.n) == 3 * 4


def test_a_unit_moves_the_outputs_by_a_sigma():
    problem = make_problem()
    (found,) = estimates(problem, estimators.SharedSamples(sigma=0.3))
    step = found.unit() * (found.jac / torch.linalg.vector_norm(found.jac)).numpy()
    moved = (problem.predict(problem.x0 + step) - problem.predict(problem.x0)) / SCALE
    assert np.sqrt((moved**2).sum(1).mean()) == pytest.approx(0.3)


class Allocations(TorchDispatchMode):
    """Counts the bytes of everything that operations return, views too: more than memory can have grown by."""

    total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for item in found if isinstance(found, tuple | list) else [found]:
            if isinstance(item, torch.Tensor):
                self.total += item.numel() * item.element_size()
        return found


def test_a_product_takes_few_copies_of_the_weights():
    model = PictureNetwork((1, 2, 2), [7.0], [12.0])
    inner = problems.Function(fun=lambda x: float(x @ x), x0=[9.0])
    problem = problems.GreyBox(model, inner, np.full((2, 32, 32, 3), 0.5, dtype=np.float32))
    assert problem.n == 267_745
    (found,) = estimates(problem, estimators.SharedSamples())
    p = torch.randn(problem.n)
    with Allocations() as counted:
        found.hessp(p)
    copies = counted.total / (4 * problem.n)
    assert 1 < copies < 20


# Minibatches


class Watched:
    def __init__(self):
        self.seen = []

    def __call__(self, x, target):
        self.seen.append(int(target))
        return float(x @ x)


def trained_on(rng, batch_size, maxiter):
    watched = Watched()
    inner = problems.Function(fun=watched, x0=[0.0, 0.0], targeted=True)
    data = np.random.default_rng(0).standard_normal((7, 4))
    problem = problems.GreyBox(linear(), inner, data, targets=np.arange(7), batch_size=batch_size)
    res = invopt.minimize(
        problem, estimators.FR22(n_samples=1), optimizers.Adam(), rng=rng, maxiter=maxiter, progress=False
    )
    return watched.seen, res


def test_each_pass_shuffles_anew_and_sees_no_item_twice():
    seen, res = trained_on(0, 3, 5)
    batches = np.array(seen).reshape(6, 3, 2)[:, :, 0]
    passes = batches.reshape(3, 6)
    assert all(len(set(one)) == 6 for one in passes.tolist())
    assert len({tuple(one) for one in passes.tolist()}) == 3
    assert res.nfev == 36


def test_shuffling_comes_from_the_one_rng():
    assert trained_on(1, 3, 5)[0] == trained_on(1, 3, 5)[0]
    assert trained_on(1, 3, 5)[0] != trained_on(2, 3, 5)[0]


def test_a_minibatch_decides_nothing():
    # On this batch the gradient is exactly zero; another batch's is not.
    inner = problems.Function(fun=lambda x, target: float(target * (x[0] - 1) ** 2), x0=[0.0], targeted=True)
    model = nn.Linear(1, 1, dtype=torch.float64)
    problem = problems.GreyBox(model, inner, np.ones((8, 1)), targets=[0] * 7 + [1], batch_size=1)
    res = invopt.minimize(
        problem, estimators.FiniteDifference(), optimizers.Adam(lr=0.02), rng=0, maxiter=1500, progress=False
    )
    assert res.nit == 1500
    assert problem.predict(res.x)[0, 0] == pytest.approx(1.0, abs=0.05)
    assert np.array_equal(res.x, res.x_last)


@pytest.mark.parametrize("method", ["adam", "fletcher-reeves-cg", "newton-cg", "hessian-free", "gradient-descent"])
def test_every_method_trains(method):
    # The truth is linear, so all items can be met at once.
    inner = problems.Function(fun=distance, x0=[0.0, 0.0], targeted=True)
    targets = INPUTS @ np.arange(8.0).reshape(4, 2) / 8
    chosen = {"gradient-descent": optimizers.GradientDescent(lr=0.05), "adam": optimizers.Adam(lr=0.05)}
    problem = problems.GreyBox(linear(), inner, list(zip(INPUTS, targets, strict=True)), targets=targets)
    res = invopt.minimize(
        problem,
        estimators.SharedSamples(sigma=0.2, n_samples=4),
        chosen.get(method, method),
        rng=0,
        maxiter=150,
        progress=False,
    )
    assert problem.parameter_error(res.x_last) < 1e-2 * problem.parameter_error(problem.x0)


def distance(x, target):
    return float(((x - target) ** 2).sum())


def test_workers_change_no_bit():
    def run(workers):
        inner = problems.Function(fun=distance, x0=[0.0, 0.0], targeted=True)
        problem = problems.GreyBox(linear(), inner, INPUTS, targets=SLOPES, batch_size=2)
        return invopt.minimize(problem, "shared-samples", "adam", rng=0, maxiter=4, workers=workers, progress=False)

    alone, shared = run(1), run(2)
    assert np.array_equal(alone.x, shared.x)
    assert alone.nfev == shared.nfev


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


class Reader(nn.Module):
    """Numbers of words, and attention over them."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(8, 4, dtype=torch.float64)
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, dtype=torch.float64)
        self.last = nn.Linear(4, 2, dtype=torch.float64)

    def forward(self, numbers):
        return self.last(self.layer(self.words(numbers)).mean(1))


def test_words_and_attention_are_trained_with_products():
    problem = problems.GreyBox(Reader(), make_bowl(), RNG.integers(0, 8, (3, 5)), targets=np.arange(3))
    method = optimizers.NewtonCG()
    res = invopt.minimize(problem, estimators.SharedSamples(sigma=0.1), method, rng=0, maxiter=3, progress=False)
    assert res.fun < res.history["fun"][0]


def test_an_item_without_a_finite_value_adds_nothing():
    def broken(x, target):
        return float("nan") if target == 1 else bowl(x, target)

    inner = problems.Function(fun=broken, x0=[0.0, 0.0], targeted=True)
    problem = problems.GreyBox(linear(), inner, INPUTS, targets=np.arange(3))
    exact = estimators.FiniteDifference(abs_step=0.01)
    broken_jac = next(estimates(problem, exact)).jac
    alone = problems.GreyBox(linear(), inner, INPUTS[[0, 2]], targets=np.array([0, 2]))
    np.testing.assert_allclose(broken_jac, next(estimates(alone, exact)).jac * 2 / 3, atol=1e-9)
    res = invopt.minimize(problem, estimators.FR22(n_samples=1), optimizers.Adam(), rng=0, maxiter=20, progress=False)
    assert res.nit == 20
    assert res.n_nonfinite == 40 + 2
    most = problems.Function(fun=lambda x, target: np.nan if target < 2 else 0.0, x0=[0.0, 0.0], targeted=True)
    with pytest.raises(invopt.exceptions.NonFiniteError):
        invopt.minimize(
            problems.GreyBox(linear(), most, INPUTS, targets=np.arange(3)), estimators.FR22(), rng=0, maxiter=3
        )


@pytest.mark.parametrize(
    ("limit", "status"), [({"maxtime": 0.5}, invopt.Status.MAXTIME), ({"maxiter": 100}, invopt.Status.MAXITER)]
)
def test_learning_without_evaluations_keeps_its_limits(limit, status):
    target = estimators.NewtonTarget(estimator=estimators.FiniteDifference(abs_step=0.01), steps=1)
    # All that the steps cost, and nothing more.
    each = 3 * target.cost(2)
    res = invopt.minimize(make_problem(), target, optimizers.Adam(), rng=0, progress=False, maxfev=each, **limit)
    assert res.nfev == each
    assert res.seconds < 20
    assert res.status is status
    assert res.nit > 10


def test_held_out_inputs_have_targets_of_their_own():
    aimed = problems.GreyBox(
        linear(), make_bowl(), INPUTS, targets=np.arange(3), held_out=INPUTS[:2], held_out_targets=[2, 1]
    )
    assert aimed.held_out.targets.tolist() == [2, 1]
    with pytest.raises(ValueError, match="'held_out_targets' must be 2, one for each input: 1"):
        problems.GreyBox(linear(), make_bowl(), INPUTS, targets=np.arange(3), held_out=INPUTS[:2], held_out_targets=[1])
    with pytest.raises(ValueError, match="'held_out_targets' must be given with 'held_out'"):
        problems.GreyBox(linear(), make_bowl(), INPUTS, targets=np.arange(3), held_out_targets=[1])
