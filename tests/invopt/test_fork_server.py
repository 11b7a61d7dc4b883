"""The fork server of workers: forked workers behave as new ones; it is restarted."""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import numpy as np
import psutil
import pytest

import invopt
from invopt import problems
from invopt.evaluate.processes import forked
from invopt.evaluate.processes.forked import ForkedProcess, can_fork

from .evaluators import functions, solve

pytestmark = [
    pytest.mark.usefixtures("importable", "nothing_is_left_behind"),
    pytest.mark.skipif(not can_fork(), reason="workers are started anew on this system"),
]


def servers():
    found = psutil.Process().children()
    return [child for child in found if "processes.fork_server" in " ".join(child.cmdline())]


def draws(x):
    return float(np.random.random())  # noqa: NPY002 - what a simulator of old does


def notes_where(x, path):
    with path.open("a") as file:
        file.write(f"{os.getcwd()} {os.environ.get('INVOPT_OF_A_TEST')} {os.getsid(0) == os.getpid()}\n")
    return float(x @ x)


def test_one_serves_all():
    problem = problems.Function(fun=functions.bowl, x0=[1.0, 2.0])
    solve(problem, workers=2, maxfev=13)
    before = servers()
    solve(problem, workers=3, maxfev=13)
    assert servers() == before
    assert len(before) == 1


def test_random_numbers_differ_between_workers():
    found = []
    for _ in range(2):
        evaluated = invopt.minimize(draws, x0=[1.0], method="nelder-mead", rng=0, maxfev=20, workers=2, progress=False)
        found += [evaluated.fun]
    assert len(set(found)) == 2


def test_folder_and_environment_are_those_of_now(tmp_path, monkeypatch):
    solve(problems.Function(fun=functions.bowl, x0=[1.0]), workers=2, maxfev=13)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("INVOPT_OF_A_TEST", "here")
    noted = partial(notes_where, path=tmp_path / "notes")
    solve(problems.Function(fun=noted, x0=[1.0]), workers=2, maxfev=13)
    assert set((tmp_path / "notes").read_text().splitlines()) == {f"{tmp_path / 'elsewhere'} here True"}


def test_one_that_was_killed_is_replaced():
    problem = problems.Function(fun=functions.bowl, x0=[1.0])
    solve(problem, workers=2, maxfev=13)
    (server,) = servers()
    server.kill()
    time.sleep(0.1)
    assert solve(problem, workers=2, maxfev=13).nfev == 13
    (new,) = servers()
    assert new != server


def test_one_that_ends_while_it_is_asked_is_replaced():
    problem = problems.Function(fun=functions.bowl, x0=[1.0])
    solve(problem, workers=2, maxfev=13)
    (server,) = servers()
    # The server receives the request but never answers: the request is lost.
    server.suspend()
    killer = threading.Timer(0.5, server.kill)
    killer.start()
    assert solve(problem, workers=2, maxfev=13).nfev == 13
    killer.join()


@pytest.mark.parametrize(("ends", "code"), [("os._exit(7)", 7), ("os.kill(os.getpid(), 15)", -15), ("sys.exit(5)", 5)])
def test_how_a_process_ends_is_told(ends, code):
    process = ForkedProcess(os.environ)
    # What is unpickled first decides: a reduction that ends the process.
    process.stdin.write(b"cbuiltins\nexec\n(S'import os, sys; " + ends.encode() + b"'\ntR.")
    process.stdin.flush()
    assert process.wait(timeout=60) == process.returncode == process.poll() == code
    process.kill()
    for pipe in (process.stdin, process.stdout):
        pipe.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_waiting_has_a_limit():
    process = ForkedProcess(os.environ)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.05)
    assert process.poll() is None
    process.kill()
    assert process.wait() == -signal.SIGKILL
    for pipe in (process.stdin, process.stdout):
        pipe.close()


def test_it_ends_with_its_parent():
    code = "import invopt, workers_functions as f; invopt.minimize(f.bowl, x0=[1.0], rng=0, maxfev=13, workers=2); "
    code += "import psutil; print(*(child.pid for child in psutil.Process().children(recursive=True)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    (pid,) = map(int, done.stdout.split())
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(timeout=30)


def test_a_server_that_cannot_be_started_leaves_nothing_open(monkeypatch):
    def refuse(*_):
        raise OSError("no more processes")

    monkeypatch.setattr(forked._ForkServer, "request", refuse)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(OSError, match="no more processes"):
            ForkedProcess({})
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before
