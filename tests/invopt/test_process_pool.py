"""The pool of processes that workers and the benchmark share: time limits, deaths, output, and its end."""

import gc
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from invopt.evaluate.processes.pool import Pool

from .evaluators import HERE, children

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(HERE)
    import process_services as services

pytestmark = pytest.mark.usefixtures("importable", "nothing_is_left_behind")


def asked(pool, *requests, timeout=60.0):
    """Replies to requests, all in one message."""
    futures = pool.submit(requests, timeout)
    while not all(future.done() for future in futures):
        pool.end_overdue()
        time.sleep(0.05)
    return [future.result() for future in futures]


def test_a_request_that_takes_too_long_is_lost_and_its_process_replaced():
    with Pool(services.Obedient(), 1) as pool:
        before, (_, loss), after = asked(pool, ("idle", 0), ("sleep", 600), ("idle", 0), timeout=2.0)
        assert loss.timeout == 2.0
        assert 2.0 <= loss.seconds < 30.0
        assert loss.worker.endswith(str(before[1]))
        assert not loss.opening
        assert after[0] == "idle"
        assert after[1] != before[1]


@pytest.mark.parametrize(("service", "lost"), [(services.Obedient, 1), (services.Repeating, 2)])
def test_a_request_whose_process_dies_is_repeated_as_often_as_the_service_says(service, lost, tmp_path, caplog):
    with Pool(service(), 1) as pool:
        (_, loss), other = asked(pool, ("exit", 3), ("idle", 0))
    assert loss.how == "exit code 3"
    assert loss.timeout is None
    assert other[0] == "idle"
    assert caplog.text.count("a worker process died (exit code 3)") == lost - 1


def test_a_process_that_does_not_open_loses_each_request():
    with Pool(services.OpensNever(hangs=False), 1) as pool:
        for _, loss in asked(pool, ("idle", 0), ("idle", 0)):
            assert (loss.how, loss.opening, loss.timeout) == ("exit code 4", True, None)


def test_opening_has_a_time_limit():
    with Pool(services.OpensNever(hangs=True), 1, opening_timeout=1.0) as pool:
        ((_, loss),) = pool.start()
    assert (loss.opening, loss.timeout) == (True, 1.0)


def test_each_process_has_a_log_with_what_it_prints_before_and_after_a_death(tmp_path):
    logs = [tmp_path / "logs" / f"{i}.log" for i in range(2)]
    with Pool(services.Obedient(), 2, logs=logs) as pool:

        def talk(process):
            first = process.ask(("print", "before"))
            loss = process.ask(("exit", 1))[1]
            process.ask(("print", "after"))
            return first[1], loss.log

        found = pool.on_each(talk)
    assert len({pid for pid, _ in found}) == 2
    assert [log for _, log in found] == logs
    assert {log.read_text() for log in logs} == {"before\nand an error\nafter\nand an error\n"}


def test_idle_processes_close_their_service_and_busy_ones_are_killed(tmp_path):
    with Pool(services.Closes(tmp_path / "closed"), 1) as pool:
        pool.start()
    assert (tmp_path / "closed").read_text() == "closed"
    with Pool(services.Closes(tmp_path / "not closed"), 1) as pool:
        (future,) = pool.submit([("sleep", 600)])
        while not future.running():
            time.sleep(0.01)
    assert not (tmp_path / "not closed").exists()
    assert future.exception() is not None


def wait_until_gone(processes):
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert alive == []


def test_a_pool_that_an_exception_leaves_behind_ends():
    def fails():
        pool = Pool(services.Obedient(), 2)
        pool.start()
        pool.submit([("sleep", 600)])
        raise KeyError("mine")

    with pytest.raises(KeyError):
        fails()
    gc.collect()
    wait_until_gone(children())


def test_a_pool_that_is_never_closed_ends_with_its_interpreter():
    code = """
        import psutil, time, process_services as services
        from invopt.evaluate.processes.pool import Pool

        pool = Pool(services.Obedient(), 2)
        pool.start()
        pool.submit([("program", "import time; time.sleep(600)")])
        time.sleep(1.0)
        print(*(child.pid for child in psutil.Process().children(recursive=True)))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stderr == ""
    pids = [int(word) for word in done.stdout.split()]
    # Two processes, the one they were forked from, if any, and the program.
    assert len(pids) in (3, 4)
    deadline = time.monotonic() + 30
    while any(map(psutil.pid_exists, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_of_the_parent_leaves_the_pool_to_it():
    with Pool(services.Obedient(), 1) as pool:
        ((_, before),) = asked(pool, ("idle", 0))
        pid = os.fork()
        if pid == 0:
            pool.close()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert asked(pool, ("idle", 0)) == [("idle", before)]


def test_a_process_may_use_workers_of_its_own():
    with Pool(services.Obedient(), 1) as pool:
        alone, shared = asked(pool, ("minimize", 1), ("minimize", 2))
    assert alone == shared


def test_files_of_the_current_folder_do_not_stand_in_for_modules_that_processes_need(tmp_path, program):
    for name in ("pickle", "socket"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('the wrong one')")
    code = f"""
        import os, process_services as services
        from invopt.evaluate.processes.pool import Pool

        os.chdir({str(tmp_path)!r})
        with Pool(services.Obedient(), 1) as pool:
            print(*pool.start())
    """
    done = program(textwrap.dedent(code), check=True)
    assert done.stdout.split() == ["open"]


def test_processes_import_the_same_invopt_though_the_current_folder_has_changed(tmp_path, program):
    """The path of imports may have begun with the folder that held it, as that of `python -c` does."""
    other = tmp_path / "other" / "invopt"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("raise ImportError('another invopt')\n")
    text = """
        import os, sys
        root, other = sys.argv[1:]
        sys.path[:] = ["", other, *[entry for entry in sys.path if entry not in ("", root)]]
        os.chdir(root)
        import invopt
        os.chdir(other)
        print(invopt.minimize(lambda x: float(x @ x), x0=[1.0], workers=2, maxfev=20, rng=0).nfev)
    """
    done = program(textwrap.dedent(text), str(Path(__file__).parents[2]), str(other.parent))
    assert (done.returncode, done.stdout.strip()) == (0, "20"), done.stderr
