"""Reading a journal: runs, evaluations as arrays and as a frame, the command."""

import sys
import types

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import invopt
from invopt import Journal, JournalError, problems
from invopt.cli import app
from invopt.journal.rows import COLUMNS
from invopt.journal.schema import connect

T = np.linspace(0, 1, 300)


def line(x, seed):
    return x[0] + x[1] * T - 1 + 0.01 * np.random.default_rng(seed).standard_normal(T.size)


def residuals(start=0.0):
    return problems.Function(fun=line, x0=[start, 0.5], residuals=True, seeded=True)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A journal of two runs, and their results."""
    path = tmp_path_factory.mktemp("journal") / "runs.sqlite"
    first = invopt.minimize("quad", "fr22", "adam", rng=0, maxfev=40, journal=path)
    second = invopt.minimize(residuals(), rng=0, maxfev=60, journal=path)
    return Journal(path), first, second


def test_runs(written):
    journal, *results = written
    assert [run.id for run in journal.runs] == [1, 2]
    for run, result in zip(journal.runs, results, strict=True):
        assert run.problem == repr(result.problem)
        assert (run.estimator, run.method) == (repr(result.estimator), repr(result.method))
        assert (run.status, run.message) == (result.status.name, result.message)
        assert np.array_equal(run.x, result.x)
        assert (run.fun, run.fun_standard_error) == (result.fun, result.fun_standard_error)
        assert run.nfev == run.evaluations == result.nfev
        assert run.names == tuple(result.problem.names)
        assert run.environment["numpy"] == np.__version__


def test_evaluations_as_arrays(written):
    journal, first, second = written
    values = journal.evaluations(1)
    assert values.x.shape == (len(values), 2) == (first.nfev, 2)
    assert np.isnan(values.spp).all()
    assert set(values.kind) == {"fun"}
    assert values.purpose == tuple(sorted(values.purpose, reverse=True))
    assert set(values.failure) == set(values.worker) == {""}
    assert (np.diff(values.clock) >= 0).all()
    with first.problem.open() as objective:
        again = objective.fun(torch.from_numpy(values.x), seed=values.seed)
    assert np.array_equal(values.fun, again.numpy())
    assert len(journal.evaluations()) == second.nfev


def test_residuals_are_those_that_were_returned(written):
    found = written[0].evaluations(2)
    assert set(found.kind) == {"residuals"}
    for x, seed, vector, fun in zip(found.x, found.seed, found.residuals, found.fun, strict=True):
        assert np.array_equal(vector, line(x, seed))
        assert fun == pytest.approx(np.square(vector).mean(), rel=1e-12)


def test_failed_evaluations_say_why(tmp_path):
    def fails(x):
        if x[0] > 1:
            raise RuntimeError("too far")
        return float(x @ x)

    options = {"rng": 0, "maxfev": 60, "failures": "nan", "journal": tmp_path / "run"}
    invopt.minimize(fails, "function-value", "cmaes", x0=[0.3, 0.0], **options)
    found = Journal(tmp_path / "run").evaluations()
    failed = np.array([bool(text) for text in found.failure])
    assert failed.any()
    assert np.array_equal(failed, np.isnan(found.fun))
    assert np.array_equal(failed, found.x[:, 0] > 1)
    assert "too far" in next(text for text in found.failure if text)


def test_a_frame_has_a_column_for_each_parameter_by_its_name(written, monkeypatch):
    # All that is asked of pandas, which tests do without.
    monkeypatch.setitem(sys.modules, "pandas", types.SimpleNamespace(DataFrame=dict))
    frame, values = written[0].frame(1), written[0].evaluations(1)
    assert list(frame)[:3] == [*written[1].problem.names, "fun"]
    assert np.array_equal(frame["fun"], values.fun)
    assert np.array_equal(frame[written[1].problem.names[1]], values.x[:, 1])
    assert {len(column) for column in frame.values()} == {written[1].nfev}


def test_without_pandas_a_frame_says_what_to_do(written, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas; or use 'evaluations'"):
        written[0].frame()


def test_runs_and_files_that_are_not_there(written, tmp_path):
    with pytest.raises(JournalError, match=r"has no run 7: it has \[1, 2\]"):
        written[0].evaluations(7)
    with pytest.raises(JournalError, match="there is no journal"):
        assert Journal(tmp_path / "none").runs
    (tmp_path / "empty").touch()
    with pytest.raises(JournalError, match="is an empty file"):
        assert Journal(tmp_path / "empty").runs
    with pytest.raises(TypeError, match="'run' must be an integer"):
        written[0].evaluations("1")


# Size.


def test_above_a_size_the_oldest_runs_lose_their_residuals_and_keep_their_values(tmp_path):
    path = tmp_path / "run"
    for start in (0.0, 1.0, 2.0):
        last = invopt.minimize(residuals(start), rng=0, maxfev=40, journal=Journal(path, max_bytes=1))
    journal = Journal(path)
    kept = [all(vector is not None for vector in journal.evaluations(run.id).residuals) for run in journal.runs]
    assert kept == [False, False, True]
    assert np.isfinite(journal.evaluations(1).fun).all()
    # The newest run is resumed; one without its residuals starts again.
    assert invopt.minimize(residuals(2.0), rng=0, maxfev=40, journal=path).n_replayed == last.nfev
    assert invopt.minimize(residuals(0.0), rng=0, maxfev=40, journal=path).n_replayed == 0
    with pytest.raises(ValueError, match="'max_bytes' must be >= 0"):
        Journal(path, max_bytes=-1)


# Last bits.


def test_points_that_differ_in_the_last_bits_are_taken_and_it_is_said(tmp_path):
    """As another machine's arithmetic would give them."""
    from invopt.journal.rows import changed, from_row

    path = tmp_path / "run"
    options = {"x0": [2.0, 1.5], "rng": 0, "maxfev": 60, "journal": path}
    first = invopt.minimize(lambda x: float(x @ x), "fr22", "adam", **options)
    connection = connect(path)
    for row in connection.execute(f"SELECT {COLUMNS} FROM evaluation").fetchall():
        item = from_row(row)
        moved = changed(row, x=np.nextafter(item.x, np.inf).tobytes())
        connection.execute(f"INSERT OR REPLACE INTO evaluation VALUES ({'?, ' * 15}?)", moved)
    connection.close()
    again = invopt.minimize(lambda x: float(x @ x), "fr22", "adam", **options)
    assert again.n_replayed == first.nfev
    assert "differ from these in the last bits" in again.message
    assert np.array_equal(again.history.fun, first.history.fun)


# The command.


def said(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, JournalError):
        return str(result.exception)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_lists_runs_and_evaluations(written):
    journal, first, second = written
    listed = said("journal", journal.path)
    assert first.status.name in listed
    assert str(second.nfev) in listed
    evaluations = said("journal", journal.path, "--run", 1)
    assert len(evaluations.splitlines()) >= first.nfev
    assert "has no run 9" in said("journal", journal.path, "--run", 9)
    assert "there is no journal" in said("journal", journal.path.with_name("none"))


def test_the_command_keeps_a_run_and_goes_on_with_it(tmp_path):
    arguments = ["run", "quad", "--maxfev", 40, "--journal", tmp_path / "run"]
    assert said(*arguments)
    said(*arguments)
    assert [run.evaluations for run in Journal(tmp_path / "run").runs] == [Journal(tmp_path / "run").runs[0].nfev]
