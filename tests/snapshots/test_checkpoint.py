"""Trainings kept in files: resumed to the bits of one that never stopped, whatever the parts."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from enum import Enum

import numpy as np
import pytest
import torch
from attrs import frozen
from safetensors import safe_open
from safetensors.torch import save_file

import invopt
from invopt import Checkpoint, Journal, JournalWarning, estimators, optimizers, problems
from invopt.exceptions import CheckpointError


@pytest.mark.parametrize(("batch_size", "method"), [(3, optimizers.Adam()), (8, optimizers.LBFGS())], ids=["3", "8"])
def test_resumed_networks_have_the_same_bits(batch_size, method, tmp_path):
    inputs = np.random.default_rng(0).uniform(-1, 1, (8, 2))
    torch.manual_seed(0)
    problem = problems.GreyBox(torch.nn.Linear(2, 2), problems.Quadratic(), inputs, batch_size=batch_size)
    estimator = estimators.FiniteDifference()
    whole = invopt.minimize(problem, estimator, method, rng=3, maxiter=9, gtol=0.0, xtol=0.0)
    for maxiter in (4, 5, 9):
        rest = invopt.minimize(
            problem, estimator, method, rng=3, maxiter=maxiter, gtol=0.0, xtol=0.0, checkpoint=tmp_path / "run"
        )
    assert whole.nit == 9
    assert np.array_equal(whole.x, rest.x)
    assert np.array_equal(whole.history.fun, rest.history.fun)
    assert whole.nfev == rest.nfev


@pytest.mark.parametrize("cut", [3, 6, 9, 12])
def test_resumed_targets_have_the_same_bits(cut, tmp_path):
    """In the first descent, at rest, in the second descent, and after it."""
    exact = estimators.FiniteDifference(abs_step=0.1)
    target = estimators.NewtonTarget(estimator=exact, steps=4, restarts=1, rest=3)
    inner = problems.Function(fun=lambda x: float((x[0] ** 2 - 1) ** 2 + x[1] ** 2), x0=[0.0, 0.0])
    model = torch.nn.Linear(3, 2, dtype=torch.float64)
    problem = problems.GreyBox(model, inner, np.random.default_rng(0).standard_normal((4, 3)))

    def run(**options):
        return invopt.minimize(problem, target, optimizers.Adam(lr=0.1), rng=0, progress=False, **options)

    run(maxiter=cut, checkpoint=tmp_path / "cut")
    resumed, whole = run(maxiter=14, checkpoint=tmp_path / "cut"), run(maxiter=14)
    assert (resumed.x == whole.x).all()
    assert resumed.nfev == whole.nfev


def test_other_data_are_refused(tmp_path):
    inner = problems.Function(fun=lambda x: float(x @ x), x0=[0.0, 0.0])
    inputs = np.random.default_rng(0).standard_normal((4, 3))
    model = torch.nn.Linear(3, 2, dtype=torch.float64)

    def run(data, maxiter):
        problem = problems.GreyBox(model, inner, data)
        path = tmp_path / "kept"
        return invopt.minimize(problem, "fr22", "adam", rng=0, maxiter=maxiter, checkpoint=path, progress=False)

    run(inputs, 2)
    with pytest.raises(CheckpointError, match="is of another data"):
        run(inputs[::-1], 4)
    assert run(inputs, 4).nit == 4


def training(seed=0, **options):
    """A network of two layers in front of a quadratic."""
    torch.manual_seed(seed)
    inputs = np.random.default_rng(0).uniform(-1, 1, (8, 2))
    model = torch.nn.Sequential(torch.nn.Linear(2, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2))
    return problems.GreyBox(model, problems.Quadratic(), inputs, **({"batch_size": 3} | options))


def train(path, maxiter, problem=None, estimator="fr22", method="adam", **options):
    given = training() if problem is None else problem
    named = {"rng": 3, "gtol": 0.0, "xtol": 0.0, "progress": False} | options
    return invopt.minimize(given, estimator, method, maxiter=maxiter, checkpoint=path, **named)


def test_written_when_due_and_at_the_end(tmp_path):
    path, seen = tmp_path / "deep" / "run", []

    def look(*, intermediate_result):
        seen.append(path.exists())

    train(Checkpoint(path, every=3), 6, callback=look)
    assert seen == [False, False, False, True, True, True, True]
    assert [file.name for file in path.parent.iterdir()] == ["run"]


def test_written_by_time(tmp_path):
    path, seen = tmp_path / "run", []

    def look(*, intermediate_result):
        seen.append(path.exists())

    train(Checkpoint(path, seconds=0), 2, callback=look)
    assert seen == [False, True, True]


def test_seconds_are_those_of_all_calls_together(tmp_path):
    def wait(*, intermediate_result):
        time.sleep(0.1)

    path = tmp_path / "run"
    before, after = train(path, 5, callback=wait), train(path, 7)
    assert after.seconds > before.history["seconds"][-1] > 0.5
    assert (np.diff(after.history["seconds"]) >= 0).all()


def test_an_error_keeps_the_run(tmp_path):
    path = tmp_path / "run"

    def fail(*, intermediate_result):
        if intermediate_result.nit == 4:
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        train(path, 9, callback=fail)
    rest = train(path, 9, rng=None)
    assert np.array_equal(rest.x, train(None, 9).x)


def test_the_start_of_a_network_counts_only_where_it_is_given(tmp_path):
    first = train(tmp_path / "run", 3)
    # Built anew without a seed, as scripts do, a network begins elsewhere; the run goes on all the same.
    rest = train(tmp_path / "run", 6, training(seed=1))
    assert np.array_equal(rest.history.fun[:4], first.history.fun)
    problem = training()
    with pytest.raises(CheckpointError, match="of another start"):
        train(tmp_path / "run", 9, x0=problem.x0 + 1.0)


@frozen(kw_only=True)
class Other(estimators.FR22):
    """A part of the user's own."""

    def cost(self, n):
        return 2 * self.n_samples


class ShiftedTanh(torch.nn.Tanh):
    def forward(self, x):
        return super().forward(x) + 0.1


def another_forward():
    problem = training()
    layers = list(problem.model)
    return problems.GreyBox(
        torch.nn.Sequential(layers[0], ShiftedTanh(), layers[2]),
        problems.Quadratic(),
        problem.data.inputs,
        batch_size=3,
    )


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"problem": training(batch_size=4)}, "data"),
        ({"problem": another_forward()}, "network"),
        ({"estimator": "spsa"}, "estimator"),
        ({"estimator": Other()}, "estimator"),
        ({"method": "gradient-descent"}, "method"),
        ({"method": optimizers.Adam(lr=0.5)}, "method"),
        ({"rng": 4}, "rng"),
        ({"x_scale": np.full(training().n, 2.0)}, "x_scale"),
        ({"bounds": [(-50.0, 50.0)] * training().n}, "bounds"),
        ({"identity": "mine"}, "problem"),
    ],
    ids=lambda item: item if isinstance(item, str) else next(iter(item)),
)
def test_another_run_is_refused(change, what, tmp_path):
    train(tmp_path / "run", 3)
    with pytest.raises(CheckpointError, match=f"of another {what}"):
        train(tmp_path / "run", 5, **change)


def test_a_module_that_cannot_be_told_is_refused_unless_it_is_named(tmp_path):
    class Counting(torch.nn.Tanh):
        def __init__(self):
            super().__init__()
            self.steps = (i for i in range(3))

        def __deepcopy__(self, memo):
            return self

    problem = problems.GreyBox(
        torch.nn.Sequential(torch.nn.Linear(2, 2), Counting()), problems.Quadratic(), np.ones((3, 2))
    )
    with pytest.raises(invopt.IdentityError, match="generator"):
        train(tmp_path / "run", 2, problem)
    assert train(tmp_path / "run", 2, problem, identity="counting").nit == 2


# Files.


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_refused(kind, tmp_path):
    path = tmp_path / "run"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    with pytest.raises(CheckpointError, match=kind):
        train(path, 3)


def test_foreign_files_and_other_versions_are_refused(tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / "foreign")
    train(tmp_path / "old", 3)
    rewrite(tmp_path / "old", lambda header: header | {"version": 2})
    for name, message in (("foreign", "not written by invopt"), ("old", "has version 2")):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(CheckpointError, match=message):
            train(tmp_path / name, 5)
        assert (tmp_path / name).read_bytes() == before


def rewrite(path, change):
    """Change the header of a file, and make its checksum that of what it then holds."""
    from invopt.snapshots.files import _checksum

    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["invopt"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
    text = json.dumps(change(header))
    save_file(tensors, path, metadata={"invopt": text, "sha256": _checksum(text, tensors)})


EDITS = {
    "x": lambda body: body["x"].update(value="t1"),
    "rng": lambda body: body["rng"]["value"][1].__setitem__(1, {"kind": "dict", "value": []}),
    "rng a number": lambda body: body.update(rng=7),
    "record": lambda body: body.update(record=[]),
    "unhashable tensor": lambda body: body["x"].update(value=[]),
    "unhashable class": lambda body: body.update(state={"kind": "attrs", "class": {}, "value": []}),
    "unhashable kind": lambda body: body.update(state={"kind": []}),
    "step": lambda body: entry(body, "step").__setitem__(1, "far"),
    "counts": lambda body: entry(entry(body, "counts")[1], "nfev").__setitem__(1, -1),
    "history": lambda body: entry(body, "history")[1]["value"].pop(),
    "last": lambda body: entry(body, "last").__setitem__(1, 2**70),
    "seconds": lambda body: entry(body, "seconds").__setitem__(1, None),
    "state": lambda body: body.update(state=1.5),
}


def entry(value, name):
    """The pair of a name and its value in an encoded dictionary."""
    holder = value.get("record", value)
    return next(item for item in holder["value"] if item[0] == name)


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_edited_files_whose_checksum_fits_are_refused(edit, tmp_path):
    """They ended a run by TypeError, KeyError or IndexError, some after iterations."""
    train(tmp_path / "run", 3)

    def change(header):
        edit(header["body"])
        return header

    rewrite(tmp_path / "run", change)
    with pytest.raises(CheckpointError, match="damaged|checkpoint"):
        train(tmp_path / "run", 5)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    path = tmp_path_factory.mktemp("kept") / "run"
    train(path, 4)
    return path.read_bytes()


@pytest.mark.parametrize("seed", range(100))
def test_damaged_files_are_refused(seed, kept, tmp_path):
    rng, content = np.random.default_rng(seed), bytearray(kept)
    if seed % 2:
        del content[int(rng.integers(0, len(content))) :]
    else:
        for i in rng.integers(0, len(content), int(rng.integers(1, 4))):
            content[i] ^= 1 << int(rng.integers(0, 8))
    (tmp_path / "run").write_bytes(content)
    with pytest.raises(CheckpointError):
        train(tmp_path / "run", 5)


class Evil(Enum):
    """Not a state of any part."""

    YES = "yes"


@pytest.mark.parametrize(
    "name", ["antigravity:fly", "os:system", "builtins:list", f"{__name__}:Evil", "invopt._result:OptimizeResult"]
)
def test_a_file_makes_nothing_but_states_of_the_parts_at_hand(name, tmp_path):
    """It named any class of any module; importing this one opens a browser."""
    train(tmp_path / "run", 3)

    def change(header):
        header["body"]["memory"]["class"] = name
        return header

    rewrite(tmp_path / "run", change)
    with pytest.raises(CheckpointError, match="no state of this run"):
        train(tmp_path / "run", 5)
    assert "antigravity" not in sys.modules


def test_orphans_of_dead_processes_are_removed_and_others_stay(tmp_path):
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True
    ).stdout
    orphan, other = tmp_path / f".run.{dead.strip()}.0a1b2c3d.tmp", tmp_path / f".run.{os.getpid()}.0a1b2c3d.tmp"
    orphan.touch(), other.touch()
    train(tmp_path / "run", 2)
    assert not orphan.exists()
    assert other.exists()


def test_a_file_that_cannot_be_written_costs_a_warning():
    with pytest.warns(JournalWarning, match="the checkpoint cannot be written"):
        result = train("/proc/nowhere/run", 3)
    assert np.array_equal(result.x, train(None, 3).x)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_training_with_its_result_and_its_file(number, tmp_path):
    code = """
    import os, signal, sys
    from tests.snapshots.test_checkpoint import train

    def stop(*, intermediate_result):
        if intermediate_result.nit == 5:
            os.kill(os.getpid(), int(sys.argv[2]))

    print(train(sys.argv[1], 100, callback=stop).status.name)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), tmp_path / "run", str(int(number))],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.stdout.split() == ["INTERRUPTED"], done.stderr
    assert train(tmp_path / "run", 9).nit == 9
    assert np.array_equal(train(tmp_path / "run", 9).x, train(None, 9).x)


def test_any_other_problem_is_kept_in_a_journal(tmp_path):
    """One that remembers what no snapshot could hold, too."""
    first = invopt.minimize(
        "quad", "finite-difference", optimizers.Scipy("bfgs"), maxiter=3, rng=0, checkpoint=tmp_path / "run"
    )
    assert len(Journal(tmp_path / "run").evaluations()) == first.nfev


@pytest.mark.parametrize("edit", ["visit", "pairs"])
def test_what_a_line_of_visits_lacks_is_seen_before_the_first_step(edit, tmp_path):
    def run(maxiter):
        return invopt.minimize(
            training(), "finite-difference", "lbfgs", rng=0, maxiter=maxiter, checkpoint=tmp_path / "run"
        )

    def change(header):
        last, pairs, _ = header["body"]["state"]["value"]
        if edit == "visit":
            last["value"][0] = None
        else:
            pairs["value"] = [{"kind": "tuple", "value": [last["value"][0]]}]
        return header

    run(4)
    rewrite(tmp_path / "run", change)
    with pytest.raises(CheckpointError, match="'state' does not belong to this run"):
        run(6)
