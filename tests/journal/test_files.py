"""Journal files that are foreign, damaged, read-only, shared, or on a full disk."""

import functools
import os
import sqlite3
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

import invopt
from invopt import Journal, JournalError, JournalWarning, problems
from invopt.journal.schema import VERSION


def sphere(x):
    return float(x @ x)


def run(path, **options):
    return invopt.minimize(sphere, "fr22", **({"x0": [1.0, 2.0], "rng": 0, "maxiter": 5, "journal": path} | options))


def never(x):
    raise AssertionError("evaluated")


def made(kind, path):
    """A file that is no journal that can be used."""
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "text":
        path.write_text("what else lies about")
    elif kind == "another program's database":
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE a (b)")
    else:
        run(path)
        connection = sqlite3.connect(path)
        if kind == "newer":
            connection.execute(f"PRAGMA user_version = {VERSION + 1}")
        elif kind == "locked":
            connection.execute("BEGIN EXCLUSIVE")
            return connection
        connection.close()
    return None


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("folder", "is a folder"),
        ("pipe", "must be a regular file"),
        ("text", "is no journal of invopt"),
        ("another program's database", "of another program"),
        ("newer", "newer invopt"),
        ("locked", "is locked by another program"),
    ],
)
def test_what_is_no_journal_is_refused_before_the_first_evaluation(kind, said, tmp_path):
    path = tmp_path / "run"
    held = made(kind, path)
    try:
        with pytest.raises(JournalError, match=said):
            invopt.minimize(never, "fr22", x0=[1.0, 2.0], rng=0, journal=path)
    finally:
        if held is not None:
            held.close()


def test_an_empty_file_becomes_a_journal(tmp_path):
    (tmp_path / "run").touch()
    assert run(tmp_path / "run").nfev == len(Journal(tmp_path / "run").evaluations())


@pytest.mark.parametrize("value", [3, "", b"run", ["a"]])
def test_what_is_no_path_is_a_type_error(value):
    with pytest.raises(TypeError, match="'journal' must be a path or a Journal"):
        invopt.minimize(never, x0=[1.0], journal=value)


def test_one_file_a_run(tmp_path):
    with pytest.raises(ValueError, match="'journal' or 'checkpoint', not both"):
        run(tmp_path / "run", checkpoint=tmp_path / "other")


def test_a_training_has_no_journal(tmp_path):
    import torch

    problem = problems.GreyBox(torch.nn.Linear(2, 2), problems.Quadratic(), np.ones((3, 2)))
    with pytest.raises(invopt.IncompatibleError, match="give 'checkpoint'"):
        invopt.minimize(problem, rng=0, journal=tmp_path / "run")


def test_a_checkpoint_of_anything_else_is_a_journal(tmp_path):
    first = run(None, checkpoint=tmp_path / "run")
    assert run(tmp_path / "run").n_replayed == first.nfev
    assert len(Journal(tmp_path / "run").runs) == 1


def test_what_cannot_be_told_by_content_is_refused_unless_it_is_named(tmp_path):
    lock = threading.Lock()

    def fun(x):
        with lock:
            return sphere(x)

    options = {"x0": [1.0, 2.0], "rng": 0, "maxiter": 3, "journal": tmp_path / "run"}
    with pytest.raises(invopt.IdentityError, match=r"identity='\.\.\.'"):
        invopt.minimize(fun, "fr22", **options)
    first = invopt.minimize(fun, "fr22", identity="locked sphere", **options)
    assert invopt.minimize(fun, "fr22", identity="locked sphere", **options).n_replayed == first.nfev
    assert invopt.minimize(fun, "fr22", identity="another", **options).n_replayed == 0
    with pytest.raises(TypeError, match="'identity' must be a text"):
        invopt.minimize(fun, "fr22", **options, identity=3)


@pytest.mark.parametrize("where", ["/proc/nowhere/run", "/dev/full/run"])
def test_a_folder_that_cannot_be_made_costs_a_warning(where):
    with pytest.warns(JournalWarning, match="the journal cannot be written") as caught:
        result = run(where)
    # The caller's line, not one of invopt.
    assert Path(caught[0].filename).is_relative_to(Path(__file__).parents[1])
    assert np.array_equal(result.x, run(None).x)


def test_warnings_as_errors_carry_the_result():
    with pytest.raises(JournalWarning) as caught:
        run("/proc/nowhere/run")
    assert caught.value.result.nfev == run(None).nfev


@pytest.fixture
def in_a_process(program):
    return functools.partial(run_and_check, program)


def run_and_check(program, code, *arguments):
    done = program(textwrap.dedent(code), *map(str, arguments), flags=("-W", "default"))
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("size", [0, 20_000, 100_000])
def test_a_full_disk_in_the_middle_costs_a_warning_and_what_was_written_is_kept(size, tmp_path, in_a_process):
    code = """
    import resource, sys
    import time
    import numpy as np
    import invopt

    def limit(*, intermediate_result):
        if intermediate_result.nit == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))

    def residuals(x):
        time.sleep(0.003)
        return np.random.default_rng(0).standard_normal((3000, 2)) @ x

    problem = invopt.problems.Function(fun=residuals, x0=[1.0, 2.0], residuals=True)
    res = invopt.minimize(problem, rng=0, maxiter=9, gtol=0, xtol=0, journal=sys.argv[1], callback=limit)
    print(res.nfev, res.x.tobytes().hex())
    """
    done = in_a_process(code, tmp_path / "run", size)
    assert "JournalWarning: the journal cannot be written" in done.stderr
    kept = Journal(tmp_path / "run").evaluations()
    assert 5 <= len(kept) < int(done.stdout.split()[0])
    # With free space the run is resumed from the kept evaluations.
    again = in_a_process(code.replace("== 3", "== -1"), tmp_path / "run", 0)
    assert again.stdout.split()[1] == done.stdout.split()[1]
    assert "JournalWarning" not in again.stderr


def test_a_file_that_is_removed_meanwhile_costs_a_warning(tmp_path):
    path = tmp_path / "folder" / "run"

    def remove(*, intermediate_result):
        if intermediate_result.nit == 2:
            for file in path.parent.iterdir():
                file.unlink()
            path.parent.rmdir()

    with pytest.warns(JournalWarning):
        result = run(path, callback=remove)
    assert result.nit == 5


def test_a_journal_that_may_only_be_read_is_gone_on_from(tmp_path, in_a_process):
    first = run(tmp_path / "run")
    (tmp_path / "run").chmod(0o444)
    code = """
    import os, sys, invopt
    from tests.journal.test_files import run
    if os.getuid() == 0:
        os.setuid(65534)
    res = run(sys.argv[1], maxiter=7)
    print(res.n_replayed, res.nfev)
    """
    tmp_path.chmod(0o555)
    for parent in tmp_path.parents:
        if str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    done = in_a_process(code, tmp_path / "run")
    replayed, nfev = map(int, done.stdout.split())
    assert "JournalWarning" in done.stderr
    assert 0 < replayed <= first.nfev < nfev


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_file_is_refused_or_what_is_damaged_is_evaluated_again(seed, tmp_path):
    path = tmp_path / "run"
    whole = run(path)
    rng, content = np.random.default_rng(seed), bytearray(path.read_bytes())
    kind = seed % 3
    if kind == 0:
        del content[int(rng.integers(1, len(content))) :]
    elif kind == 1:
        for i in rng.integers(0, len(content), 12):
            content[i] ^= int(rng.integers(1, 256))
    else:
        first = int(rng.integers(0, len(content) - 512))
        content[first : first + 512] = rng.bytes(512)
    path.write_bytes(content)
    try:
        again = run(path)
    except JournalError:
        return
    except JournalWarning as warning:
        again = warning.result
    assert np.array_equal(again.x, whole.x)
    assert again.fun == whole.fun


def test_two_processes_on_one_journal_both_work_and_have_runs_of_their_own(tmp_path, in_a_process, started_program):
    code = """
    import sys, time, invopt
    def slow(x):
        time.sleep(0.01)
        return float(x @ x)
    res = invopt.minimize(slow, "fr22", x0=[1.0, 2.0], rng=0, maxiter=15, journal=sys.argv[1])
    print(res.n_replayed, res.nfev, res.x.tobytes().hex())
    """
    processes = [started_program(textwrap.dedent(code), tmp_path / "run") for _ in range(3)]
    said = [process.communicate(timeout=120)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len({x for *_, x in said}) == 1
    runs = Journal(tmp_path / "run").runs
    assert 1 <= len(runs) <= 3
    assert sum(run.evaluations for run in runs) == sum(int(nfev) - int(replayed) for replayed, nfev, _ in said)
    # A fourth process resumes one of them.
    assert in_a_process(code, tmp_path / "run").stdout.split()[0] == said[0][1]


def test_two_threads_on_one_journal(tmp_path):
    found = []
    threads = [threading.Thread(target=lambda: found.append(run(tmp_path / "run"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({result.x.tobytes() for result in found}) == 1
    assert len(found) == 4


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE run",
        "DROP TABLE evaluation",
        "UPDATE run SET clock='a'",
    ],
)
def test_other_tables_and_types_are_damage(change, tmp_path):
    run(tmp_path / "runs")
    connection = sqlite3.connect(tmp_path / "runs")
    with connection:
        connection.execute(change)
    connection.close()
    with pytest.raises(JournalError, match="is damaged"):
        run(tmp_path / "runs", maxiter=6)
