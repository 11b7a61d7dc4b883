"""Ask and tell."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import invopt
from invopt import IncompatibleError, Session, Status, estimators, problems
from invopt.adapters.told import as_told

from .sessions import answers, assert_same, minimized, misfit, session_of, values


def test_a_session_takes_the_very_steps_of_minimize():
    options = dict(x0=[3.0, -2.0], rng=4, maxfev=203)
    expected = invopt.minimize(lambda x: values(x[None])[0], "aggregate-hvp", "fletcher-reeves-cg", **options)
    with Session(None, "aggregate-hvp", "fletcher-reeves-cg", **options) as session:
        while not session.done:
            session.tell(values(session.ask().x))
    np.testing.assert_array_equal(session.result.history.x, expected.history.x)
    assert session.result.nfev == expected.nfev
    assert session.result.status is expected.status


def test_ask_repeats_until_told_and_result_is_there_all_along():
    with Session(None, "shared-samples", x0=[3.0], rng=0) as session:
        first, again = session.ask(), session.ask()
        assert first is again
        assert first.x.shape == (len(first.seed), 1)
        session.tell(values(first.x))
        session.tell(values(session.ask().x))
        assert session.result.status is Status.RUNNING
        assert session.result.nfev == len(first.x) * 2


def test_closing_early_leaves_no_thread():
    before = threading.active_count()
    with Session("quad", rng=0) as session:
        session.tell(values(session.ask().x))
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    with pytest.raises(RuntimeError, match="ended"):
        session.ask()


def test_bad_values_and_arguments():
    with pytest.raises(TypeError, match="'x0' is needed"):
        Session()
    with pytest.raises(ValueError, match="'maxfev' must be >= 1"):
        Session(x0=[1.0], maxfev=0)
    with (
        Session(None, "fr22", x0=[1.0], rng=0) as session,
        pytest.raises(ValueError, match=r"'values' must have shape \(\d+,\)"),
    ):
        session.tell([1.0])


def test_too_many_nans_end_the_session_with_the_result():
    session = Session(x0=[1.0], rng=0)
    with pytest.raises(invopt.NonFiniteError) as caught:
        session.tell(np.full(len(session.ask().x), np.nan))
    assert caught.value.result.nfev > 0
    assert session.done


def all_at_once(session, request, rng):
    session.tell(answers(request))


def as_a_list(session, request, rng):
    session.tell(list(answers(request)))


def one_by_one(session, request, rng):
    for i in rng.permutation(len(request.x)):
        session.tell(request.ids[i], answers(request)[i])


def some_and_the_rest(session, request, rng):
    session.tell(int(request.ids[-1]), answers(request)[-1].tolist())
    if not session.done and len(request.x) > 1:
        rest = session.ask()
        np.testing.assert_array_equal(rest.ids, request.ids[:-1])
        np.testing.assert_array_equal(rest.x, request.x[:-1])
        np.testing.assert_array_equal(rest.seed, request.seed[:-1])
        session.tell(torch.from_numpy(answers(rest)))


@pytest.mark.parametrize("tell", [all_at_once, as_a_list, one_by_one, some_and_the_rest])
@pytest.mark.parametrize("kind", ["fun", "residuals"])
def test_answers_in_any_order_give_the_bits_of_minimize(kind, tell):
    expected, rng, seen = minimized(kind, rng=1, maxfev=60), np.random.default_rng(0), []
    with session_of(kind, rng=1, maxfev=60) as session:
        while not session.done:
            request = session.ask()
            assert request.kind == kind
            seen.extend(request.ids.tolist())
            tell(session, request, rng)
    assert_same(session, expected)
    assert seen == list(range(len(seen)))


def test_a_request_is_the_same_until_something_of_it_is_told():
    with session_of("fun", estimator="shared-samples", rng=0) as session:
        first = session.ask()
        assert session.ask() is first
        session.tell(first.ids[1], 1.0)
        second = session.ask()
        assert session.ask() is second
        assert second.ids.tolist() == [i for i in first.ids.tolist() if i != first.ids[1]]
        assert session.result.nfev == 0


@pytest.mark.parametrize("kind", ["fun", "residuals"])
def test_answers_from_several_threads(kind):
    with session_of(kind, rng=1, maxfev=60) as session, ThreadPoolExecutor(4) as executor:
        while not session.done:
            request = session.ask()
            list(executor.map(session.tell, request.ids.tolist(), answers(request)))
    assert_same(session, minimized(kind, rng=1, maxfev=60))


def test_the_session_of_a_problem_with_residuals():
    problem = problems.Function(fun=misfit, x0=[1.0, 1.0], residuals=True)
    with Session(problem, rng=1, maxfev=60) as session:
        while not session.done:
            session.tell(misfit(session.ask().x))
    assert_same(session, minimized("residuals", rng=1, maxfev=60))
    # The request of the estimator counts.
    assert Session(problem, "shared-samples", rng=0).ask().kind == "fun"


@pytest.mark.render
def test_samples_per_pixel_are_asked_for():
    problem, asked = problems.Texture(size="tiny"), set()
    # Each evaluation of this estimator has a quarter of the samples of all before.
    options = dict(estimator="sparse-gauss-newton", rng=0, maxfev=30, progress=False)
    # A session is told residuals, not what shades.
    expected = invopt.minimize(as_told(problem), **options)
    with Session(problem, **options) as session, problem.open() as live:
        while not session.done:
            request = session.ask()
            asked.add(request.spp)
            session.tell(live.residuals(torch.from_numpy(request.x), seed=request.seed, spp=request.spp))
    assert None in asked
    assert len(asked) > 1
    assert_same(session, expected)


def test_behind_a_network_points_begin_with_the_number_of_their_item():
    torch.manual_seed(0)
    inner = problems.Function(fun=lambda x, target: float((x - target) @ (x - target)), x0=[0.0, 0.0], targeted=True)
    problem = problems.GreyBox(torch.nn.Linear(2, 2), inner, np.eye(2))
    expected = invopt.minimize(problem, rng=0, maxfev=60)
    with Session(problem, rng=0, maxfev=60) as session:
        while not session.done:
            x = session.ask().x
            session.tell([inner.fun(row[1:], target=problem.training.targets[int(row[0])]) for row in x])
    assert_same(session, expected)


@pytest.mark.parametrize(
    ("problem", "estimator"),
    [
        ("quad", "exact-derivative"),
        (problems.Mug(size="tiny"), "autodiff"),
        (problems.Function(fun=len, jac=len, x0=[1.0]), None),
        ("quad", estimators.NewtonTarget(estimator=estimators.ExactDerivative())),
    ],
    ids=["exact", "rendered", "chosen", "inside"],
)
def test_derivatives_are_not_asked_for(problem, estimator):
    method = "adam" if isinstance(estimator, estimators.NewtonTarget) else None
    with pytest.raises(IncompatibleError, match="needs .*JAC.*: choose another estimator"):
        Session(problem, estimator, method)


def test_residuals_belong_to_a_session_without_a_problem():
    with pytest.raises(TypeError, match="'residuals' is for a Session without a problem"):
        Session("quad", residuals=True)
    with pytest.raises(TypeError, match="'residuals' must be a bool"):
        Session(x0=[1.0], residuals=3)
    with pytest.raises(TypeError, match="a start is x0="):
        Session(None, [1.0, 2.0], x0=[1.0, 2.0])


def test_a_callback_can_end_a_session_and_cannot_answer_it():
    def meddle(xk):
        for action in (lambda: session.tell([1.0]), session.close):
            with pytest.raises(RuntimeError, match="raise StopIteration to end the run"):
                action()
        raise StopIteration

    session = session_of("fun", rng=0, callback=meddle)
    # What is asked for after that measures the answer.
    while not session.done:
        session.tell(answers(session.ask()))
    assert session.result.status is Status.CALLBACK
