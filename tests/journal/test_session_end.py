"""Records of sessions that were closed or dropped before their end."""

import invopt
from invopt import Journal, Session, Status


def test_a_closed_session_is_no_run_that_goes_on(tmp_path):
    file = tmp_path / "runs"
    with Session(x0=[2.0, 1.0], rng=0, journal=file, identity="squares") as session:
        assert Journal(file).runs[0].status is None
        session.tell((session.ask().x ** 2).sum(axis=1))
    assert session.result.status is Status.CLOSED
    assert Journal(file).runs[0].status == Status.CLOSED.name


def test_a_dropped_session_too(tmp_path):
    file = tmp_path / "runs"
    session = Session(x0=[2.0, 1.0], rng=0, journal=file, identity="squares")
    session.tell((session.ask().x ** 2).sum(axis=1))
    del session
    assert Journal(file).runs[0].status == Status.CLOSED.name


def test_it_goes_on_where_it_was_closed(tmp_path):
    asked = []
    for maxfev in (30, 30):
        number = 0
        with Session(x0=[2.0, 1.0], rng=0, maxfev=maxfev, journal=tmp_path / "runs", identity="squares") as session:
            while not session.done and (len(asked) or number < 20):
                request = session.ask()
                session.tell((request.x**2).sum(axis=1))
                number += len(request.x)
        asked.append(number)
    whole = invopt.Session(x0=[2.0, 1.0], rng=0, maxfev=30)
    while not whole.done:
        whole.tell((whole.ask().x ** 2).sum(axis=1))
    assert sum(asked) == whole.result.nfev
    assert session.result.fun == whole.result.fun
    assert (session.result.x == whole.result.x).all()
