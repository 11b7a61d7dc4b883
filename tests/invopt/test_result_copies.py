"""Results can be pickled and copied, with any function in their problem."""

import copy
import pickle
import threading

import cloudpickle
import numpy as np
import pytest
import torch

import invopt
from invopt import History, OptimizeResult, problems

OPTIONS = dict(rng=0, maxfev=60)


def from_a_lambda():
    noise = 3.0
    return invopt.minimize(lambda x: float(x @ x) + noise, x0=[1.0, 2.0], **OPTIONS)


def exact():
    return invopt.minimize(lambda x: float(x @ x), x0=[1.0, 2.0], jac=lambda x: 2 * x)


def residuals():
    problem = problems.Function(fun=lambda x: x - [1.0, 2.0], x0=[0.0, 0.0], residuals=True)
    return invopt.minimize(problem, **OPTIONS)


def scipys():
    return invopt.minimize("quad", method="powell", **OPTIONS)


def rendered():
    return invopt.minimize(problems.Mug(size="tiny"), rng=0, maxfev=10)


def network():
    torch.manual_seed(0)
    inner = problems.Function(fun=lambda x: float(x @ x), x0=[0.0, 0.0])
    return invopt.minimize(problems.GreyBox(torch.nn.Linear(2, 2), inner, np.eye(2)), rng=0, maxfev=20)


@pytest.fixture(
    scope="module",
    params=[from_a_lambda, exact, residuals, scipys, pytest.param(rendered, marks=pytest.mark.render), network],
)
def result(request):
    return request.param()


WAYS = {
    "pickle": lambda item: pickle.loads(pickle.dumps(item)),
    "oldest pickle": lambda item: pickle.loads(pickle.dumps(item, protocol=0)),
    "cloudpickle": lambda item: pickle.loads(cloudpickle.dumps(item)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())


def assert_same(first, second):
    assert type(first) is type(second)
    if isinstance(first, History):
        for name in History.columns:
            np.testing.assert_array_equal(first[name], second[name])
    elif isinstance(first, dict):
        assert list(first) == list(second)
        for name in first:
            assert_same(first[name], second[name])
    elif isinstance(first, np.ndarray | float):
        np.testing.assert_array_equal(first, second)
    elif isinstance(first, invopt.Problem | invopt.Estimator | invopt.Optimizer):
        assert type(first) is type(second)
    else:
        assert first == second


@ways
def test_every_number_is_kept(result, way):
    assert_same(result, way(result))


def test_what_is_pickled_goes_on():
    once = from_a_lambda()
    again = WAYS["pickle"](once)
    assert again.problem.fun(np.array([1.0, 2.0])) == 8.0
    first, second = (
        invopt.minimize(item.problem, item.estimator, item.method, rng=1, maxfev=20) for item in (once, again)
    )
    np.testing.assert_array_equal(first.history.x, second.history.x)


def test_copies_are_apart_and_share_what_is_frozen():
    result = from_a_lambda()
    shallow, deep = copy.copy(result), copy.deepcopy(result)
    deep.x[:] = np.nan
    deep["note"] = "mine"
    assert np.isfinite(result.x).all()
    assert "note" not in result
    assert shallow.x is result.x
    assert shallow.problem is deep.problem is result.problem
    assert deep.history is not result.history


def test_what_a_callback_is_given_can_be_kept():
    kept = []
    res = invopt.minimize(
        lambda x: float(x @ x),
        x0=[1.0],
        rng=0,
        maxiter=3,
        callback=lambda intermediate_result: kept.append(pickle.dumps(intermediate_result)),
    )
    assert [pickle.loads(item).nit for item in kept] == [0, 1, 2, 3]
    assert_same(pickle.loads(kept[-1]).history, res.history)


def test_what_an_error_carries_too():
    def fails(x):
        raise ZeroDivisionError

    with pytest.raises(invopt.EvaluationError) as caught:
        invopt.minimize(fails, x0=[1.0])
    assert pickle.loads(pickle.dumps(caught.value.result)).nfev == 0


def test_entries_of_the_users_own_and_those_left_out():
    result = from_a_lambda()
    result["mine"] = {"a": 1}
    del result["problem"]
    again = WAYS["pickle"](result)
    assert again.mine == {"a": 1}
    assert "problem" not in again
    assert type(again) is OptimizeResult


def test_what_cannot_be_pickled_is_named_with_the_way_out():
    lock = threading.Lock()

    def locked(x):
        with lock:
            return float(x @ x)

    result = invopt.minimize(locked, x0=[1.0], rng=0, maxfev=10)
    assert_same(copy.deepcopy(result), result)
    with pytest.raises(
        TypeError, match=r"'problem' of this result cannot be pickled .*lock.*: .* del result\['problem'\]"
    ):
        pickle.dumps(result)
    del result["problem"]
    assert pickle.loads(pickle.dumps(result)).nfev == result.nfev


def test_a_function_of_a_script_is_there_in_another_process(tmp_path, python):
    script, path = tmp_path / "script.py", tmp_path / "result"
    script.write_text(f"""
import pickle, invopt
def bowl(x):
    return float(x @ x) + OFFSET
OFFSET = 5.0
res = invopt.minimize(bowl, x0=[1.0], rng=0, maxfev=20)
pickle.dump(res, open({str(path)!r}, "wb"))
""")
    python(script, check=True)
    result = pickle.loads(path.read_bytes())
    assert result.problem.fun(np.array([2.0])) == 9.0
