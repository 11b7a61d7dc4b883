"""Answers told to a session: one for each point, and numbers only."""

import numpy as np
import pytest
import torch

from invopt import estimators

from .sessions import answers, assert_same, minimized, misfit, session_of, values


def test_an_id_is_answered_once():
    with session_of("fun", estimator="shared-samples", rng=0) as session:
        first = session.ask()
        session.tell(first.ids[0], 1.0)
        with pytest.raises(
            ValueError, match=rf"'id' must be one that is waited for: {first.ids[0]} was answered before"
        ):
            session.tell(first.ids[0], 1.0)
        for unknown in (first.ids[-1] + 1, -1, 10**9):
            with pytest.raises(ValueError, match=f"{unknown} was never asked for; waiting: "):
                session.tell(unknown, 1.0)
        for wrong in ("0", 0.5, None, True, [0]):
            with pytest.raises(TypeError, match="'id' must be an integer"):
                session.tell(wrong, 1.0)
        session.tell(values(session.ask().x))
        with pytest.raises(ValueError, match="0 was answered before"):
            session.tell(0, 1.0)
        later = session.ask()
        assert later.ids[0] == first.ids[-1] + 1
    with pytest.raises(ValueError, match="the session has ended: the session was closed"):
        session.tell(later.ids[0], 1.0)
    with pytest.raises(RuntimeError, match="the session has ended"):
        session.tell([1.0])


BAD = {
    "text": ("a", TypeError, "must be real numbers"),
    "complex": (1j, TypeError, "must be real numbers.*complex"),
    "an object": (object(), TypeError, "must be real numbers, got object"),
    "a huge integer": (10**400, ValueError, "must be finite: an integer of 401 digits"),
    "an integer too long to print": (10**5000, ValueError, "must be finite: an integer of 5001 digits"),
    "masked": (np.ma.array([1.0], mask=[True]), ValueError, "masked"),
    "ragged": ([[1.0], [1.0, 2.0]], TypeError, "must be real numbers"),
    "a mapping": ({"a": 1.0}, TypeError, "must be real numbers, got dict"),
    "empty": ([], ValueError, "got shape"),
    "a cube": (np.ones((2, 2, 2)), ValueError, "got shape"),
    "sparse": (torch.ones(2).to_sparse(), TypeError, "must be real numbers"),
}


@pytest.mark.parametrize(("bad", "error", "message"), BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("kind", ["fun", "residuals"])
def test_a_bad_answer_is_refused_and_the_session_goes_on(kind, bad, error, message):
    with session_of(kind, rng=1, maxfev=60) as session:
        while not session.done:
            request = session.ask()
            for number in request.ids[:2]:
                with pytest.raises(error, match=f"'value' .*{message}"):
                    session.tell(number, bad)
            with pytest.raises(error, match=rf"'values\[\d+\]' .*{message}"):
                session.tell([bad] * len(request.x))
            with pytest.raises((TypeError, ValueError), match="'values"):
                session.tell(bad)
            session.tell(answers(request))
    assert_same(session, minimized(kind, rng=1, maxfev=60))


def test_values_and_residuals_are_not_taken_for_each_other():
    with session_of("fun", rng=0) as session:
        k = len(session.ask().x)
        for wrong in (np.ones((k, 3)), [np.ones(3)] * k):
            with pytest.raises(ValueError, match=r"`request.kind` is 'fun': .* residuals=True"):
                session.tell(wrong)
        with pytest.raises(ValueError, match=rf"'values' must have shape \({k},\), got"):
            session.tell(np.ones(k + 1))
        with pytest.raises(ValueError, match=rf"'values' must have shape \({k},\), got {k - 1} answers"):
            session.tell([1.0] * (k - 1))
    with session_of("residuals", rng=0) as session:
        request = session.ask()
        k = len(request.x)
        for wrong in (np.ones(k), [1.0] * k):
            with pytest.raises(ValueError, match="`request.kind` is 'residuals': tell the residuals"):
                session.tell(wrong)
        session.tell(request.ids[0], misfit(request.x[0]))
        with pytest.raises(ValueError, match=r"'value' must be residuals of shape \(12,\), got shape \(11,\)"):
            session.tell(request.ids[1], np.ones(11))


def test_residuals_are_as_many_at_every_point():
    with session_of("residuals", rng=0) as session:
        k = len(session.ask().x)
        with pytest.raises(ValueError, match=r"'values\[1\]' must be residuals of shape \(4,\), got shape \(3,\)"):
            session.tell([np.ones(4), *[np.ones(3)] * (k - 1)])


@pytest.mark.parametrize("failed", [None, np.nan])
@pytest.mark.parametrize("kind", ["fun", "residuals"])
def test_failed_evaluations_count_as_not_finite(kind, failed):
    options = dict(
        estimator="shared-samples" if kind == "fun" else estimators.GaussNewton(n_samples=3), rng=1, maxfev=60
    )
    told = 0
    with session_of(kind, **options) as session:
        while not session.done:
            request, told = session.ask(), told + 1
            session.tell(request.ids[-1], failed)
            if not session.done:
                session.tell(answers(session.ask()))
    assert session.result.n_nonfinite == told
    told = 0
    with session_of(kind, **options) as session:
        while not session.done:
            found, told = list(answers(session.ask())), told + 1
            session.tell([failed, *found[1:]])
    assert session.result.n_nonfinite == told


def test_a_tensor_that_needs_a_gradient_is_a_number_like_any():
    with session_of("fun", rng=1, maxfev=30) as session:
        while not session.done:
            session.tell(torch.tensor(answers(session.ask()), requires_grad=True))
    assert_same(session, minimized("fun", rng=1, maxfev=30))
