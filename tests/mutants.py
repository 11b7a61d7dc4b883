"""Plant faults, one at a time, and see whether the tests notice: `make mutants`.

The faults are in mutants.toml beside this file. Each replaces a text that is unique in the code, in a temporary copy of
the tree, and names the tests that must fail. The exit code is 1 if fewer faults than `--least` are killed, or if one
can no longer be planted, and 2 if the tests fail without any.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from attrs import frozen

ROOT = Path(__file__).resolve().parents[1]
CODE = ("invopt", "estimators", "optimizers", "problems")
WINGS = CODE[1:]
# What a copy does not need, or may not share with the checkout.
LEFT_OUT = shutil.ignore_patterns(
    ".*", "__pycache__", "build", "dist", "out", "_build", "gallery", "api", "*.egg-info", "benchmarks"
)
# pytest's exit codes.
PASSED, FAILED = 0, 1
KILLED = ("killed", "timed out")
LEAST = 38
TIMEOUT = 240.0


@frozen
class Fault:
    """A fault, and the tests that notice it.

    Attributes
    ----------
    name : str
        What is wrong.
    file : str
        Name of the file, without folder, leading underscore and ending. Files move: if none of this name holds the
        text, any file of the code may.
    old, new : str
        What is there, and what replaces it.
    tests : list of str
        Files, or tests in them, relative to the root.
    """

    name: str
    file: str
    old: str
    new: str
    tests: list[str]


@frozen
class Verdict:
    """What came of a run of tests: "killed", "timed out", "survived", "cannot be planted", or what went wrong."""

    said: str
    seconds: float
    output: str = ""


class CannotPlantError(Exception):
    """The text of a fault is not in the code, or not once."""


def faults() -> list[Fault]:
    """All faults of the file."""
    with Path(__file__).with_suffix(".toml").open("rb") as file:
        return [Fault(**each) for each in tomllib.load(file)["fault"]]


def place(root: Path, fault: Fault) -> Path:
    """The one file in which the text of a fault stands, once."""
    files = {path.resolve() for folder in CODE for path in (root / folder).rglob("*.py")}
    counts = {path: count for path in files if (count := path.read_text(encoding="utf-8").count(fault.old))}
    named = {path: count for path, count in counts.items() if path.stem.lstrip("_") == fault.file}
    chosen = named or counts
    if list(chosen.values()) != [1]:
        raise CannotPlantError(f"found {sum(chosen.values())} times: {fault.old.strip()!r}")
    return next(iter(chosen))


@contextmanager
def planted(root: Path, fault: Fault) -> Iterator[None]:
    """A tree with the fault, which is taken out again."""
    path = place(root, fault)
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace(fault.old, fault.new), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(whole, encoding="utf-8")


def copied(target: Path) -> Path:
    """A copy of the checkout in which `invopt` and its wings are found, and nothing of the checkout's own."""
    shutil.copytree(ROOT, target, symlinks=True, ignore=LEFT_OUT)
    for wing in WINGS:
        link = target / "invopt" / wing
        if not link.exists():
            link.symlink_to(Path("..") / wing, target_is_directory=True)
    code = "import invopt, invopt.optimizers as o, invopt.problems as p; print(invopt.__file__, o.__file__, p.__file__)"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, cwd=target, env=environment(target), capture_output=True, text=True)
    if found.returncode or any(not Path(path).resolve().is_relative_to(target) for path in found.stdout.split()):
        raise SystemExit(f"the copy does not import itself: {found.stdout}{found.stderr}")
    return target


def environment(root: Path) -> dict[str, str]:
    """Variables with which Python imports from a copy, and leaves no compiled file of a fault behind."""
    # One thread each, for as many tests run at once as there are cores.
    alone = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {**os.environ, **alone, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}


def run_tests(root: Path, tests: Iterable[str], timeout: float) -> Verdict:
    """Whether tests of a copy fail."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    began = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=root,
        env=environment(root),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return Verdict("timed out", time.monotonic() - began)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    said = {PASSED: "survived", FAILED: "killed"}.get(process.returncode, f"pytest exit {process.returncode}")
    return Verdict(said, time.monotonic() - began, output)


def judge(copies: SimpleQueue[Path], fault: Fault | None, tests: Iterable[str], timeout: float) -> Verdict:
    """What tests say of a fault, or of the code as it is, in a copy that is free."""
    root = copies.get()
    try:
        if fault is None:
            return run_tests(root, tests, timeout)
        with planted(root, fault):
            return run_tests(root, tests, timeout)
    except CannotPlantError as error:
        return Verdict("cannot be planted", 0.0, str(error))
    finally:
        copies.put(root)


def arguments() -> Any:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("words", nargs="*", help="only faults whose name or file contains one of these words")
    parser.add_argument("-n", type=int, default=os.cpu_count() or 1, help="faults at once (default: one a core)")
    parser.add_argument("--timeout", type=float, default=TIMEOUT, help="seconds for the tests of one fault")
    parser.add_argument("--least", type=int, help=f"faults that must be killed (default: {LEAST}, or all chosen)")
    parser.add_argument("--no-baseline", action="store_true", help="do not run the tests without a fault")
    parser.add_argument("-v", action="store_true", help="show the end of pytest's output for what is not killed")
    return parser.parse_args()


def is_chosen(fault: Fault, words: list[str]) -> bool:
    return not words or any(word in f"{fault.file} {fault.name}" for word in words)


def report(fault: Fault, verdict: Verdict, *, verbose: bool) -> None:
    print(f"{verdict.said:18} {verdict.seconds:5.0f} s  {fault.file}: {fault.name}", flush=True)
    if verdict.said not in KILLED and (verbose or verdict.said != "survived"):
        print("    " + verdict.output.strip()[-1500:].replace("\n", "\n    "), flush=True)


def main() -> int:
    """Run, print a line a fault as it comes, and a sum."""
    options = arguments()
    chosen = [fault for fault in faults() if is_chosen(fault, options.words)]
    least = options.least if options.least is not None else (len(chosen) if options.words else LEAST)
    copies: SimpleQueue[Path] = SimpleQueue()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mutants"))).resolve()
        for i in range(options.n):
            copies.put(copied(folder / f"copy{i}"))
        pool = stack.enter_context(ThreadPoolExecutor(options.n))
        # After Ctrl-C no more are begun.
        stack.callback(pool.shutdown, cancel_futures=True)
        baseline = None
        if not options.no_baseline:
            # Each test once; a file holds the tests that are named in it.
            named = dict.fromkeys(test for fault in chosen for test in fault.tests)
            once = [test for test in named if "::" not in test or test.partition("::")[0] not in named]
            baseline = pool.submit(judge, copies, None, once, 5 * options.timeout)
        jobs = {pool.submit(judge, copies, fault, fault.tests, options.timeout): fault for fault in chosen}
        verdicts = {}
        for job in as_completed(jobs):
            verdicts[jobs[job].name] = job.result().said
            report(jobs[job], job.result(), verbose=options.v)
        if baseline is not None and baseline.result().said != "survived":
            print(f"the tests fail without a fault:\n{baseline.result().output[-3000:]}")
            return 2
    killed = sum(said in KILLED for said in verdicts.values())
    lost = sum(said not in (*KILLED, "survived") for said in verdicts.values())
    print(f"{killed} of {len(chosen)} killed, at least {least} must be" + (f"; {lost} could not be tried" * (lost > 0)))
    return int(killed < least or lost > 0)


if __name__ == "__main__":
    sys.exit(main())
