"""Sessions whose owner asks and tells in odd orders."""

import copy
import pickle

import functions
import numpy as np
from cases_minimize import ORDINARY, _parts
from values import odd, odd_like, told

import invopt


def case(rng, folder):
    """One session: some forty moves."""
    options = {"x0": [0.5, 0.25], "rng": 0, "maxfev": rng.choice([5, 40]), "maxtime": 2.0}
    if rng.random() < 0.4:
        options["residuals"] = True
    if rng.random() < 0.5:
        options |= _parts(rng)
    if rng.random() < 0.3:
        options |= {"journal": folder / "sessions.sqlite", "identity": rng.choice(["a", "b", "c"])}
    if rng.random() < 0.3:
        name = rng.choice(sorted(ORDINARY))
        options[name] = odd_like(rng, ORDINARY[name])
    seed = rng.random()
    said = f"Session({', '.join(f'{name}={told(value)}' for name, value in options.items())}), moves {seed}"
    return said, lambda: _play(options, type(rng)(seed))


def _play(options, rng):
    refused = []
    with invopt.Session(**options) as session:
        for _ in range(40):
            move = rng.choice(MOVES)
            try:
                move(session, rng)
            except (RuntimeError, ValueError, TypeError) as error:
                refused.append(error)
            if session.done and rng.random() < 0.5:
                break
    for error in refused:
        _check(error)
    return session.result


def _check(error):
    """What a move was refused with must be documented, as everything else."""
    from outcomes import of_error

    found = of_error(error)
    if found.kind == "finding":
        raise error


def _answer(request, rng):
    x = request.x
    good = x - 0.25 if request.kind == "residuals" else np.square(x).sum(1)
    good = np.asarray(good, dtype=float)
    if rng.random() < 0.1:
        good[rng.randrange(len(good))] = rng.choice([np.nan, np.inf, -np.inf, 1e308])
    return good


def _ordinary(session, rng):
    request = session.ask()
    session.tell(_answer(request, rng))


def _single(session, rng):
    request = session.ask()
    i = rng.randrange(len(request.ids))
    session.tell(request.ids[i], _answer(request, rng)[i])


def _twice(session, rng):
    request = session.ask()
    values = _answer(request, rng)
    session.tell(request.ids[0], values[0])
    session.tell(request.ids[0], values[0])


def _junk(session, rng):
    request = session.ask()
    session.tell(
        rng.choice([odd(rng), [odd(rng)] * len(request.x), rng.choice(list(functions.RETURNS.values()))(request.x)])
    )


def _junk_single(session, rng):
    session.tell(rng.choice([odd(rng), session.ask().ids[0], -1, 10**9]), odd(rng))


def _wrong_count(session, rng):
    values = _answer(session.ask(), rng)
    session.tell(rng.choice([values[:-1], np.concatenate([values, values]), values[:, None], values[None], values.T]))


def _spoilt(session, rng):
    """What was handed out is changed: that must not matter."""
    request = session.ask()
    request.x[...] = np.nan
    request.ids[...] = 0
    request.seed[...] = -1


def _look(session, rng):
    rng.choice([lambda: session.result, lambda: session.done, session.ask, lambda: repr(session.result)])()


def _failed(session, rng):
    session.tell([None] * len(session.ask().x))


def _close(session, rng):
    if rng.random() < 0.1:
        session.close()


def _copy(session, rng):
    pickle.dumps(copy.deepcopy(session.result))


MOVES = [*[_ordinary] * 4, *[_single] * 4, _twice, _junk, _junk_single, _wrong_count, _look, _failed, _close, _copy]
MOVES.append(_spoilt)
