import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from invopt.exceptions import BackendError
from invopt.rendering import Backend, backend, choose, notes
from invopt.rendering.device import cuda, doctor, llvm

RENDER = """
import numpy as np
from invopt import problems
with problems.Mug(size="tiny").open() as mug:
    assert np.isfinite(mug.image(1.0)).all()
from invopt import rendering
print(rendering.active().value)
"""
WITHOUT_LLVM = "from invopt.rendering.device import llvm\nllvm._candidates = lambda: iter(())\n"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without CUDA, with no backend requested."""
    monkeypatch.setattr(cuda, "devices", lambda: (0, 0))
    monkeypatch.delenv("INVOPT_BACKEND", raising=False)
    monkeypatch.delenv(llvm.ENVIRONMENT, raising=False)


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(program: Run) -> Run:
    """Run a program with an environment of its own."""

    def call(code: str, **env: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if k not in (llvm.ENVIRONMENT, "INVOPT_BACKEND")}
        return program(code, env={**clean, **env}, timeout=200)

    return call


def _bad_libraries() -> list[str]:
    installed = [f"/usr/lib/x86_64-linux-gnu/libLLVM-{version}.so.1" for version in (14, 15, 16)]
    return [*(path for path in installed if Path(path).exists()), "/etc/passwd", "/nowhere/libLLVM.so"]


def test_importing_invopt_loads_no_renderer(run: Run) -> None:
    done = run("import sys, invopt, invopt.rendering\nassert not {'mitsuba', 'drjit'} & set(sys.modules)")
    assert done.returncode == 0, done.stderr


@pytest.mark.render
@pytest.mark.parametrize("path", _bad_libraries())
def test_a_bad_library_of_the_user_costs_one_line(path: str, run: Run) -> None:
    done = run(RENDER, **{llvm.ENVIRONMENT: path})
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert f"{llvm.ENVIRONMENT}={path} is ignored" in lines[0] or done.stdout == "cuda\n"


@pytest.mark.render
def test_without_llvm_the_scalar_backend_renders(run: Run) -> None:
    done = run(WITHOUT_LLVM + "from invopt.rendering.device import cuda\ncuda.devices = lambda: (0, 0)\n" + RENDER)
    assert (done.returncode, done.stdout) == (0, "scalar\n"), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "scalar" in done.stderr


@pytest.mark.render
def test_the_backend_asked_for_needs_no_warning(run: Run) -> None:
    done = run(RENDER, INVOPT_BACKEND="scalar")
    assert (done.returncode, done.stdout, done.stderr) == (0, "scalar\n", "")


@pytest.mark.render
def test_a_variant_the_user_set_is_kept(run: Run) -> None:
    done = run("import mitsuba\nmitsuba.set_variant('scalar_rgb')\n" + RENDER)
    assert (done.returncode, done.stdout, done.stderr) == (0, "scalar\n", "")


@pytest.mark.render
def test_mitsuba_imported_without_a_variant_does_not_matter(run: Run) -> None:
    done = run("import mitsuba, drjit\n" + RENDER)
    assert done.returncode == 0, done.stderr


@pytest.mark.render
@pytest.mark.parametrize(
    ("variant", "wanted", "message"),
    [("scalar_spectral", "None", "no RGB"), ("scalar_rgb", "'llvm'", "already renders with 'scalar'")],
)
def test_a_variant_that_does_not_fit_is_an_error(variant: str, wanted: str, message: str, run: Run) -> None:
    done = run(
        f"import mitsuba\nmitsuba.set_variant({variant!r})\nfrom invopt import rendering\nrendering.activate({wanted})"
    )
    assert done.returncode == 1
    assert "BackendError" in done.stderr.splitlines()[-1]
    assert message in done.stderr.splitlines()[-1]


@pytest.mark.usefixtures("bare")
def test_impossible_backends_are_errors_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llvm, "_candidates", lambda: iter(()))
    with pytest.raises(BackendError, match=r"'cuda' is not usable: no CUDA driver.*run: invopt doctor"):
        choose("cuda")
    with pytest.raises(BackendError, match="'llvm' is not usable: no usable LLVM library was found; run: "):
        choose("llvm")
    with pytest.raises(BackendError, match=r"unknown backend 'lvm'; did you mean 'llvm'\?"):
        choose("lvm")


@pytest.mark.usefixtures("bare")
def test_the_environment_chooses_and_an_argument_overrules_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVOPT_BACKEND", "scalar")
    assert choose().backend is Backend.SCALAR
    with pytest.raises(BackendError, match="cuda"):
        choose("cuda")


@pytest.mark.usefixtures("bare")
def test_a_missing_llvm_is_noted_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llvm, "_candidates", lambda: iter(()))
    choice = choose()
    assert choice.backend is Backend.SCALAR
    assert "\n" not in choice.note
    assert "to speed it up: " in choice.note


@pytest.mark.usefixtures("bare")
def test_cuda_comes_first_and_its_failure_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "devices", lambda: (1, 12040))
    monkeypatch.setattr(cuda.probe, "renders", lambda *_: (True, ""))
    assert choose().backend is Backend.CUDA
    monkeypatch.setattr(cuda, "verdict", lambda: (False, "no OptiX"))
    monkeypatch.setattr(llvm, "find", lambda: llvm.Library(Path("/lib/libLLVM.so.19.1"), 19))
    choice = choose()
    assert choice.backend is Backend.LLVM
    assert choice.note == "CUDA is not usable: no OptiX; rendering with LLVM 19"


def test_a_note_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        notes.warn_once("test_a_note_is_said_once")
    assert len(caplog.records) == 1


@pytest.mark.parametrize(("renderer", "torch"), [(0, 1), (1, 0)])
def test_thread_counts_are_checked(renderer: int, torch: int) -> None:
    with pytest.raises(ValueError, match="must be >= 1"):
        backend.set_threads(renderer, torch)


WRITE = """
import sys
import numpy as np
from collections.abc import Callable
from pathlib import Path
from typing import Any
from invopt.rendering.backend import activate, set_threads, two_threads
from invopt.rendering.pictures.targets import read_target
set_threads(1)
activate()
import drjit
import mitsuba as mi
with two_threads():
    mi.Bitmap(np.ones((64, 8, 3), np.float32)).write(sys.argv[1])
assert drjit.thread_count() == 1
assert read_target(Path(sys.argv[1])).shape == (64, 8, 3)
assert drjit.thread_count() == 1
"""


@pytest.mark.render
def test_one_thread_writes_and_reads_files(tmp_path: Path, program: Callable[..., Any]) -> None:
    program(WRITE, str(tmp_path / "picture.exr"), check=True, timeout=200)


def test_doctor_reports_each_item() -> None:
    rows = doctor.report()
    items = [item for item, _, _ in rows]
    assert {"python", "invopt", "torch", "mitsuba", "drjit", "cores", "cuda", "llvm", "backend"} <= set(items)
    assert all(status for _, status, _ in rows)


@pytest.mark.usefixtures("bare")
def test_doctor_advises_one_command_where_llvm_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llvm, "_candidates", lambda: iter(()))
    rows = doctor.report()
    assert [item for item, _, advice in rows if advice] == ["backend"]
    assert ("llvm", "none found", "") in rows
