"""A run uses one thread of torch and BLAS; `fun` has the user's number."""

import threading

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

import invopt
from invopt import estimators, problems
from invopt.core.machine.threads import one_thread, own_threads
from invopt.evaluate.workers.open import open_objective

OWN = 3


def numbers():
    """Threads of torch and of each BLAS library."""
    return torch.get_num_threads(), *(
        library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"
    )


@pytest.fixture(autouse=True)
def own():
    before = torch.get_num_threads()
    torch.set_num_threads(OWN)
    with threadpool_limits(OWN, "blas"):
        yield numbers()
        assert set(numbers()) == {OWN}
    torch.set_num_threads(before)


class Seen(estimators.SharedSamples):
    """Notes the numbers that the loop works with."""

    def estimate(self, objective, x, state, rng):
        seen.append(numbers())
        return super().estimate(objective, x, state, rng)


seen = []


@pytest.fixture(autouse=True)
def _none_seen():
    seen.clear()


def run(fun, **options):
    return invopt.minimize(fun, Seen(), **({"x0": [1.0, 2.0], "rng": 0, "maxfev": 24, "progress": False} | options))


def test_the_loop_has_one_and_fun_and_callback_have_the_users(own):
    inside = []

    def fun(x):
        inside.append(numbers())
        return float(x @ x)

    run(fun, callback=lambda *, intermediate_result: inside.append(numbers()))
    assert set(inside) == {own}
    assert {number for each in seen for number in each} == {1}
    assert numbers() == own


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit])
def test_the_users_number_is_back_after_an_error(error, own):
    def fun(x):
        raise error

    with pytest.raises((invopt.EvaluationError, SystemExit)):
        run(fun)
    assert numbers() == own


@pytest.mark.parametrize("where", ["fun", "callback"])
def test_runs_in_runs(where, own):
    after = []

    def inner():
        run(lambda x: float(x @ x), maxfev=6)
        after.append(numbers())

    def fun(x):
        if where == "fun" and not after:
            inner()
        return float(x @ x)

    def callback(*, intermediate_result):
        if where == "callback" and not after:
            inner()

    run(fun, callback=callback)
    assert after == [own]
    assert {number for each in seen for number in each} == {1}
    assert numbers() == own


def test_runs_in_threads(own):
    together = threading.Barrier(2)

    def fun(x):
        together.wait(30)
        return float(x @ x)

    threads = [threading.Thread(target=run, args=(fun,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) >= 8
    assert {each[0] for each in seen} == {1}
    assert numbers() == own


def test_a_number_that_fun_sets_stays():
    def fun(x):
        torch.set_num_threads(2)
        return float(x @ x)

    run(fun)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(OWN)


def test_differentiate_and_sessions_keep_to_one_too(own):
    invopt.differentiate(lambda x: float(x @ x), Seen(), [1.0, 2.0], rng=0)
    with invopt.Session(x0=[1.0, 2.0], estimator=Seen(), rng=0, maxfev=24) as session:
        while not session.done:
            assert numbers() == own
            session.tell((session.ask().x ** 2).sum(1))
    assert len(seen) >= 5
    assert {number for each in seen for number in each} == {1}


def test_a_network_keeps_the_users_number(own):
    inner = problems.Function(fun=lambda x: float(np.sum(x**2)), x0=[0.5, 0.5])
    network = problems.GreyBox(model=torch.nn.Linear(2, 2), inner=inner, data=[torch.ones(2), torch.zeros(2)])
    with open_objective(network):
        assert numbers() == own


@pytest.mark.render
def test_a_renderer_has_the_cores_to_itself(own):
    with open_objective(problems.Mug(size="tiny")):
        assert set(numbers()) == {1}
        with own_threads():
            assert set(numbers()) == {1}
    assert numbers() == own


def test_workers_have_one_thread_and_this_process_its_own(own):
    problem = problems.Function(fun=lambda x: float(np.sum(numbers())), x0=[0.0])
    with open_objective(problem, 2) as objective:
        found = objective.fun(torch.zeros(1, 1, dtype=torch.float64), seed=np.zeros(1)).item()
        assert found == len(numbers())
    assert numbers() == own


def test_blocks_outside_of_a_run_change_nothing(own):
    with own_threads():
        assert numbers() == own
    with one_thread(), own_threads(), own_threads():
        assert numbers() == own
