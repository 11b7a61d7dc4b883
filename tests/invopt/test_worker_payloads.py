"""Pickling for workers: lambdas, closures, the main module; and what is refused."""

import subprocess
import sys
import threading
from concurrent.futures import Executor

import numpy as np
import pytest

import invopt
from invopt import problems

from .evaluators import solve

pytestmark = pytest.mark.usefixtures("importable", "nothing_is_left_behind")


def test_closures_work():
    centre = np.array([0.5, -0.5])

    def around(x):
        return float(np.sum((x - centre) ** 2))

    problem = problems.Function(fun=around, x0=[1.0, 2.0])
    assert solve(problem, workers=2, maxfev=36).fun == solve(problem, maxfev=36).fun


def test_classes_made_in_functions_work():
    class Local(problems.Quadratic):
        pass

    assert solve(Local(), workers=2).nfev > 0


def test_exceptions_made_in_functions_come_back_as_they_went():
    class OwnError(Exception):
        pass

    def fails(x):
        raise OwnError("here")

    with pytest.raises(invopt.EvaluationError, match="raised OwnError: here") as caught:
        solve(problems.Function(fun=fails, x0=[1.0]), workers=2)
    assert type(caught.value.__cause__) is OwnError


BODY = """
import invopt

with open("log", "a") as log:
    log.write("run\\n")

CENTRE = 1.0

class Bowl:
    def __call__(self, x):
        return (x[0] - CENTRE) ** 2 + helper(x)

def helper(x):
    return float(x[1] ** 2)

def own(x):
    return Bowl()(x)

CENTRE = 3.0
{guard}
    for workers in (1, 2):
        result = invopt.minimize(
            {fun}, "function-value", "portfolio", x0=[2.0, 2.0], rng=0, maxfev=40, workers=workers, progress=False
        )
        print(result.nfev, repr(result.fun))
"""
WAYS = {
    "script": (["script.py"], False),
    "module": (["-m", "script"], False),
    "command": (["-c", "{code}"], False),
    "stdin": (["-"], True),
}


@pytest.mark.parametrize(
    ("way", "fun", "guard"),
    [
        ("script", "own", 'if __name__ == "__main__":'),
        ("module", "Bowl()", "if True:"),
        ("command", "lambda x: own(x)", "if True:"),
        ("stdin", "own", "if True:"),
    ],
)
def test_the_main_module_is_sent_and_not_run_again(way, fun, guard, tmp_path, python):
    code = BODY.format(guard=guard, fun=fun)
    (tmp_path / "script.py").write_text(code)
    arguments, typed = WAYS[way]
    if typed:
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, input=code, capture_output=True, text=True, timeout=120, check=False
        )
    else:
        done = python(*(code if argument == "{code}" else argument for argument in arguments), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    # Globals go as they are when the run begins; in this process and in workers the same bits.
    alone, shared = done.stdout.splitlines()
    assert alone == shared
    assert (tmp_path / "log").read_text() == "run\n"


class HoldsALock:
    def __init__(self):
        self.lock = threading.Lock()

    def __call__(self, x):
        pytest.fail("evaluated before the arguments were checked")


@pytest.mark.parametrize("workers", [2, map, Executor()], ids=["2", "map", "executor"])
def test_what_cannot_be_pickled_is_refused_before_anything_starts(workers):
    said = r"'fun' of Function cannot be sent to workers \(.*lock.*\): .* exists in this process only"
    with pytest.raises(TypeError, match=said):
        invopt.minimize(HoldsALock(), x0=[1.0], workers=workers)
    lock = HoldsALock()
    with pytest.raises(TypeError, match=said):
        invopt.minimize(lambda x: lock(x), x0=[1.0], workers=workers)

    class Local(problems.Quadratic):
        held = lock

    with pytest.raises(TypeError, match=r"'problem' \(Local\) cannot be sent to workers"):
        invopt.minimize(Local(), workers=workers)


def test_one_worker_needs_no_pickle():
    lock = threading.Lock()

    def fun(x):
        with lock:
            return float(x @ x)

    assert invopt.minimize(fun, x0=[1.0], rng=0, maxfev=20, workers=1).nfev > 0
