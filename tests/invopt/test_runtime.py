"""Runtimes: what problems need of processes; plain functions load no renderer."""

import os
import threading

import numpy as np
import pytest

import invopt
from invopt import problems
from invopt.core.runtime import PLAIN
from invopt.plugin import Objective, Problem, Processes, Runtime
from invopt.rendering import RENDERER

PLAIN_RUN = """
import sys
import invopt

def loaded():
    return sorted(name for name in sys.modules if name.startswith(("invopt.rendering", "mitsuba", "drjit")))

def fun(x):
    if loaded():
        raise RuntimeError(f"loaded in the worker: {loaded()}")
    return float((x[0] - 1) ** 2)

if __name__ == "__main__":
    result = invopt.minimize(fun, x0=[3.0], rng=0, maxfev=40, workers=WORKERS, progress=False)
    assert abs(result.x[0] - 1) < 0.1, result
    invopt.minimize(fun, x0=[3.0], method="nelder-mead", rng=0, maxfev=20, progress=False)
    print(loaded())
"""

OWN_RUNTIME = """
import os
import invopt
from invopt.plugin import Runtime

class Named(Runtime):
    def enter_worker(self):
        super().enter_worker()
        os.environ["ENTERED"] = "yes"

class Entered(invopt.problems.Function):
    runtime = Named()

def fun(x):
    assert os.environ.get("ENTERED") == "yes"
    return float((x[0] - 1) ** 2)

if __name__ == "__main__":
    invopt.minimize(Entered(fun=fun, x0=[3.0]), rng=0, maxfev=40, workers=2, progress=False)
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_plain_function_never_meets_the_renderer(workers, tmp_path, python):
    script = tmp_path / "plain.py"
    script.write_text(PLAIN_RUN.replace("WORKERS", str(workers)))
    done = python(script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_problems_that_render_say_so_and_others_do_not():
    rendering = {problems.Mug(size="tiny"), problems.NeuralRadiosity(field="tiny")}
    for problem in rendering:
        assert problem.runtime is RENDERER
        assert problem.renders
    for problem in (problems.Quadratic(), problems.Box2(), problems.Function(fun=lambda x: 0.0, x0=[1.0])):
        assert problem.runtime is PLAIN
        assert not problem.renders


class _Open(Objective):
    def fun(self, x, *, seed, spp=None):
        return x.square().sum(1)


class Marked(Runtime):
    """Runs in one process fewer, which knows by its environment."""

    def processes(self, problem, asked):
        return Processes(asked - 1, {"MARK": problem.mark})

    def identity_of(self, problem):
        return {"mark": problem.mark}


class Minded(Problem):
    runtime = Marked()
    mark = "seven"

    @property
    def x0(self):
        return np.ones(1)

    def open(self):
        return _Told() if os.environ.get("MARK") else _Open()


class _Told(_Open):
    def fun(self, x, *, seed, spp=None):
        return x.square().sum(1) + float(os.environ["MARK"] == "seven")


def test_workers_are_as_many_and_in_such_an_environment_as_the_runtime_says():
    result = invopt.minimize(Minded(), rng=0, maxfev=60, workers=3, progress=False)
    assert result.fun == pytest.approx(1.0, abs=1e-2)


def test_a_runtime_of_a_script_reaches_the_workers(tmp_path, python):
    script = tmp_path / "own.py"
    script.write_text(OWN_RUNTIME)
    done = python(script)
    assert done.returncode == 0, done.stderr


def test_what_the_runtime_says_tells_runs_apart(tmp_path):
    journal = tmp_path / "runs.sqlite"
    first, again = (invopt.minimize(Minded(), rng=0, maxfev=20, journal=journal, progress=False) for _ in range(2))
    assert again.n_replayed == first.nfev
    Minded.mark = "eight"
    try:
        other = invopt.minimize(Minded(), rng=0, maxfev=20, journal=journal, progress=False)
    finally:
        Minded.mark = "seven"
    assert other.n_replayed == 0


def test_an_exclusive_runtime_takes_turns():
    """Two runs in two threads never evaluate at the same time."""
    inside, seen = [], []

    class Exclusive(Runtime):
        exclusive = True

    class Watched(_Open):
        def fun(self, x, *, seed, spp=None):
            inside.append(threading.get_ident())
            seen.append(len(set(inside)))
            inside.remove(threading.get_ident())
            return super().fun(x, seed=seed)

        def close(self):
            inside.clear()

    class Alone(Minded):
        runtime = Exclusive()

        def open(self):
            inside.append(threading.get_ident())
            return Watched()

    runs = [
        threading.Thread(target=invopt.minimize, args=(Alone(),), kwargs={"rng": 0, "maxfev": 200, "progress": False})
        for _ in range(2)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert seen
    assert max(seen) == 1


def test_problems_are_loaded_when_they_are_asked_for(program):
    code = """
import sys
from invopt import problems
assert "invopt.problems.mug" not in sys.modules
assert "Mug" in dir(problems)
problems.Mug
assert "invopt.problems.mug" in sys.modules
assert all(isinstance(getattr(problems, name), type) for name in problems.__all__)
assert set(problems.__all__) == set(problems._MODULES)
try:
    problems.Jug
except AttributeError as error:
    assert "no attribute 'Jug'" in str(error)
else:
    raise AssertionError
"""
    done = program(code)
    assert done.returncode == 0, done.stderr
