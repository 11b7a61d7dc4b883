"""A function that is changed during a run is evaluated again by the next run."""

import numpy as np
import pytest

import invopt

OPTIONS = {"x0": [0.0, 0.0], "rng": 0, "maxfev": 60}
SETTINGS = {"target": [1.0, 1.0]}
CALLS = []


def to_target(x):
    return float(((x - np.asarray(SETTINGS["target"])) ** 2).sum())


def counted(x):
    CALLS.append(1)
    return float(x @ x)


class Bowl:
    offset = 0.0

    def __init__(self, target):
        self.target, self.calls = target, 0

    def __call__(self, x):
        self.calls += 1
        return float(((x - self.target - self.offset) ** 2).sum())


@pytest.fixture(autouse=True)
def _settings(monkeypatch):
    monkeypatch.setitem(SETTINGS, "target", [1.0, 1.0])
    monkeypatch.setattr(Bowl, "offset", 0.0)


def same(fun, path):
    """The journal's answer is that of a run without one."""
    kept = invopt.minimize(fun, journal=path, **OPTIONS)
    plain = invopt.minimize(fun, **OPTIONS)
    assert kept.n_replayed == 0
    assert np.array_equal(kept.x, plain.x)
    assert kept.fun == plain.fun


def at_the_third(change):
    """A callback that changes something at its third call."""
    calls = []

    def callback(xk):
        calls.append(1)
        if len(calls) == 3:
            change()

    return callback


@pytest.mark.parametrize("what", ["global", "instance", "closure", "class"])
def test_a_callback_changes_it(what, tmp_path):
    target, bowl = [1.0, 1.0], Bowl([1.0, 1.0])
    changes = {
        "global": (to_target, lambda: SETTINGS.update(target=[-4.0, 4.0])),
        "instance": (bowl, lambda: setattr(bowl, "target", [-4.0, 4.0])),
        "closure": (lambda x: float(((x - np.asarray(target)) ** 2).sum()), lambda: target.__setitem__(0, -4.0)),
        "class": (bowl, lambda: setattr(Bowl, "offset", 2.0)),
    }
    fun, change = changes[what]
    invopt.minimize(fun, journal=tmp_path / "run", callback=at_the_third(change), **OPTIONS)
    same(fun, tmp_path / "run")


def test_something_else_changes_a_global(tmp_path):
    """Here a map of the caller's, which stands for a thread."""

    def workers(function, items):
        SETTINGS["target"] = [-4.0, 4.0]
        return map(function, items)

    invopt.minimize(to_target, journal=tmp_path / "run", workers=workers, **OPTIONS)
    SETTINGS["target"] = [-4.0, 4.0]
    same(to_target, tmp_path / "run")


def test_the_owner_of_a_session_changes_it(tmp_path):
    bowl = Bowl([1.0, 1.0])
    with invopt.Session(bowl, journal=tmp_path / "run", **OPTIONS) as session:
        while not session.done:
            request = session.ask()
            session.tell(np.array([bowl(x) for x in request.x]))
            bowl.target = [-4.0, 4.0]
    same(bowl, tmp_path / "run")


def test_a_callback_that_changes_nothing_costs_nothing(tmp_path):
    for replayed in (False, True):
        result = invopt.minimize(to_target, journal=tmp_path / "run", callback=at_the_third(lambda: None), **OPTIONS)
        assert result.n_replayed == result.nfev * replayed


def test_a_function_that_counts_in_its_instance_goes_on(tmp_path):
    bowl = Bowl([1.0, 1.0])
    first = invopt.minimize(bowl, journal=tmp_path / "run", **OPTIONS)
    calls = bowl.calls
    again = invopt.minimize(bowl, journal=tmp_path / "run", **OPTIONS)
    assert bowl.calls == calls
    assert again.n_replayed == again.nfev == first.nfev


def test_a_function_that_counts_in_a_global_is_a_run_of_its_own(tmp_path):
    """Who changed the global is not known."""
    CALLS.clear()
    invopt.minimize(counted, journal=tmp_path / "run", **OPTIONS)
    again = invopt.minimize(counted, journal=tmp_path / "run", **OPTIONS)
    assert again.n_replayed == 0
    CALLS.clear()
    assert invopt.minimize(counted, journal=tmp_path / "run", **OPTIONS).n_replayed == again.nfev
