"""Runs and sessions that are killed: evaluations are kept, none is repeated."""

import functools
import json
import signal
import textwrap
import time
from collections import Counter

import numpy as np
import pytest

import invopt
from invopt import Journal, JournalError, Session, Status

CHILD = textwrap.dedent(
    """
    import json, sys, time
    import invopt

    def slow(x, notes):
        time.sleep(0.01)
        value = float((x[0] - 1) ** 2 + 3 * (x[1] + 0.5) ** 2)
        with open(notes, "a") as file:
            file.write(x.tobytes().hex() + chr(10))
        return value

    journal, notes = sys.argv[1:3]
    res = invopt.minimize(
        slow, "spsa", "adam", x0=[3.0, 2.0], args=(notes,), rng=0, maxfev=80, gtol=0, identity="slow",
        journal=None if journal == "-" else journal,
    )
    print(json.dumps([res.status.name, res.n_replayed, res.nfev, res.x.tobytes().hex(), res.fun]))
    """
)


@pytest.fixture(scope="module")
def start(started_program):
    return functools.partial(started_program, CHILD)


def said(process):
    return json.loads(process.communicate(timeout=100)[0])


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


@pytest.fixture(scope="module")
def whole(tmp_path_factory, start):
    """What an undisturbed run says, and what it evaluates."""
    notes = tmp_path_factory.mktemp("whole") / "notes"
    return said(start("-", notes)), lines(notes)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_is_ended_goes_on_to_the_same_bits_and_evaluates_nothing_twice(number, whole, start, tmp_path):
    journal, notes = tmp_path / "run", tmp_path / "notes"
    reference, evaluated = whole
    process = start(journal, notes)
    while len(lines(notes)) < 30:
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    if number == signal.SIGTERM:
        status, _, nfev, *_ = json.loads(out)
        assert status == "INTERRUPTED"
        assert process.returncode == 0
        assert len(Journal(journal).evaluations()) == nfev
    before = lines(notes)
    kept = [x.tobytes().hex() for x in Journal(journal).evaluations().x]
    # All but the evaluation in progress.
    assert len(before) - 1 <= len(kept) <= len(before)
    rest = said(start(journal, notes))
    assert rest[2:] == reference[2:]
    again = lines(notes)[len(before) :]
    assert len(again) == rest[2] - rest[1]
    if number == signal.SIGKILL:
        assert rest[1] == len(kept)
        assert again == evaluated[len(kept) :]
    else:
        # Besides its descent it has measured an answer, which the rest may ask for or not.
        assert rest[1] >= nfev - 24
        assert Counter(again) <= Counter(evaluated)


def answered(request):
    return ((request.x - [0.5, 0.25]) ** 2).sum(axis=1)


OPTIONS = {"x0": [2.0, 1.0], "rng": 0, "maxfev": 60, "identity": "bowl"}


def test_a_session_goes_on_where_another_was_left_single_answers_included(tmp_path):
    path = tmp_path / "run"
    with Session(None, "fr22", "adam", **OPTIONS) as session:
        while not session.done:
            session.tell(answered(session.ask()))
    whole = session.result
    with Session(None, "fr22", "adam", journal=path, **OPTIONS) as session:
        session.tell(answered(session.ask()))
        request = session.ask()
        # One answer of the next request, and the session is left.
        session.tell(request.ids[1], float(answered(request)[1]))
    told = len(Journal(path).evaluations())
    assert session.result.status is Status.CLOSED
    asked = 0
    with Session(None, "fr22", "adam", journal=path, **OPTIONS) as session:
        first = session.ask()
        assert request.x[1].tolist() not in first.x.tolist()
        assert len(first.x) == len(request.x) - 1
        while not session.done:
            asked += len(session.ask().x)
            session.tell(answered(session.ask()))
    rest = session.result
    assert np.array_equal(rest.x, whole.x)
    assert (rest.fun, rest.nfev, rest.n_replayed) == (whole.fun, whole.nfev, told)
    assert asked == whole.nfev - told


def test_a_session_of_nothing_that_can_be_told_asks_for_an_identity(tmp_path):
    with pytest.raises(invopt.IdentityError, match=r"identity='\.\.\.'"):
        Session(x0=[1.0, 2.0], rng=0, journal=tmp_path / "run")
    (tmp_path / "text").write_text("no journal")
    with pytest.raises(JournalError, match="is no journal"):
        Session(journal=tmp_path / "text", **OPTIONS)
