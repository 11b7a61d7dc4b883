"""Ask and tell."""

import threading

import numpy as np
import pytest

import invopt
from invopt import Session, Status


def values(x):
    return ((x - 1) ** 2).sum(axis=1)


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
    with Session(x0=[3.0], rng=0) as session:
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
    with Session(x0=[1.0], rng=0) as session, pytest.raises(ValueError, match=r"'values' must have shape \(\d+,\)"):
        session.tell([1.0])


def test_too_many_nans_end_the_session_with_the_result():
    session = Session(x0=[1.0], rng=0)
    with pytest.raises(invopt.NonFiniteError) as caught:
        session.tell(np.full(len(session.ask().x), np.nan))
    assert caught.value.result.nfev > 0
    assert session.done
