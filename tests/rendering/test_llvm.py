import subprocess
from pathlib import Path

import pytest

from invopt.exceptions import BackendError
from invopt.rendering import choose, report
from invopt.rendering.device import install, llvm, probe


@pytest.mark.parametrize(
    ("path", "version"),
    [
        ("/usr/lib/x86_64-linux-gnu/libLLVM-14.so.1", 14),
        ("/usr/lib/x86_64-linux-gnu/libLLVM-14.0.6.so.1", 14),
        ("/usr/lib/x86_64-linux-gnu/libLLVM-19.so", 19),
        ("/usr/lib/x86_64-linux-gnu/libLLVM.so.19.1", 19),
        ("/usr/lib/x86_64-linux-gnu/libLLVM.so.22.1-rc", None),
        ("/usr/lib/llvm-18/lib/libLLVM.so", 18),
        ("/opt/homebrew/opt/llvm@19/lib/libLLVM.dylib", 19),
        ("/opt/homebrew/Cellar/llvm/21.1.0/lib/libLLVM.dylib", 21),
        ("/opt/local/libexec/llvm-20/lib/libLLVM.dylib", 20),
        ("/opt/lib/libLLVM-20.dylib", 20),
        ("/opt/lib/libLLVM.so", None),
        ("/opt/lib/libLLVMCore.a", None),
    ],
)
def test_version_from_name(path: str, version: int | None) -> None:
    assert llvm.version_in_name(path) == version


def _fake_library(path: Path, contents: bytes = b"") -> Path:
    path.write_bytes(b"\x7fELF" + contents)
    return path


@pytest.mark.parametrize("contents", [b"\0libLLVM-15.so.1\0", b"\0libLLVM.so.15.0\0", b"\0LLVM version 15.0.7\0"])
def test_contents_overrule_a_wrong_name(tmp_path: Path, contents: bytes) -> None:
    assert llvm.version_of(_fake_library(tmp_path / "libLLVM.so.19.1", contents)) == 15


def test_links_are_followed(tmp_path: Path) -> None:
    real = _fake_library(tmp_path / "libLLVM-14.so.1")
    link = tmp_path / "libLLVM-19.so"
    link.symlink_to(real)
    assert llvm.version_of(link) == 14


def test_order_of_preference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [_fake_library(tmp_path / f"libLLVM.so.{v}.1") for v in (14, 15, 17, 18, 19, 20, 22, 23)]
    monkeypatch.setattr(llvm, "_candidates", lambda: iter(files))
    assert [library.version for library in llvm.libraries()] == [19, 22, 23, 20, 18, 17, 15, 14]


@pytest.mark.parametrize("version", [14, 15, 16])
def test_bad_versions_are_refused_without_a_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    monkeypatch.setattr(probe, "renders", lambda *_: pytest.fail("a bad version was tried"))
    library = _fake_library(tmp_path / f"libLLVM-{version}.so.1")
    monkeypatch.setattr(llvm, "_candidates", lambda: iter([library]))
    monkeypatch.setenv(llvm.ENVIRONMENT, str(library))
    assert llvm.find() is None
    usable, why = llvm.libraries()[0].verdict()
    assert not usable
    assert f"LLVM {version} is too old" in why


def test_library_of_the_environment_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [_fake_library(tmp_path / f"libLLVM.so.{v}.1") for v in (18, 19)]
    monkeypatch.setattr(probe, "renders", lambda *_: (True, ""))
    monkeypatch.setattr(llvm, "_candidates", lambda: iter(files))
    monkeypatch.setenv(llvm.ENVIRONMENT, str(files[0]))
    found = llvm.find()
    assert found is not None
    assert found.version == 18


class _Trial:
    """Replaces the subprocess and counts its runs."""

    def __init__(self, code: int) -> None:
        self.code, self.runs = code, 0

    def __call__(self, *_: object, **__: object) -> subprocess.CompletedProcess[str]:
        self.runs += 1
        return subprocess.CompletedProcess([], self.code, "", "noise\nRuntimeError: bad\n")


@pytest.mark.parametrize(("code", "expected"), [(0, (True, "")), (-6, (False, "6"))])
def test_trial_runs_once_and_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, expected: tuple[bool, str]
) -> None:
    trial = _Trial(code)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(subprocess, "run", trial)
    answers = [probe.renders("llvm_ad_rgb", "key", {}) for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0][0] is expected[0]
    assert expected[1] in answers[0][1]
    assert trial.runs == 1
    probe.renders("llvm_ad_rgb", "another key", {})
    assert trial.runs == 2


def test_a_trial_that_only_failed_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing dependency may have been installed since."""
    trial = _Trial(1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(subprocess, "run", trial)
    for _ in range(2):
        usable, why = probe.renders("llvm_ad_rgb", "key", {})
        assert not usable
        assert "RuntimeError: bad" in why
    assert trial.runs == 2


@pytest.mark.parametrize("contents", [None, "not json", "[1]"])
def test_a_useless_cache_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contents: str | None) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if contents is None:
        (tmp_path / "cache").write_text("a file where the folder should be")
    else:
        probe.cache_file().parent.mkdir(parents=True)
        probe.cache_file().write_text(contents)
    monkeypatch.setattr(subprocess, "run", _Trial(0))
    assert probe.renders("llvm_ad_rgb", "key", {}) == (True, "")


class _Apt:
    """Replaces apt: knows packages only after an update, and installs one."""

    def __init__(self, known: set[str], after_update: set[str], *, sudo: bool = True) -> None:
        self.known, self.after_update, self.sudo = known, after_update, sudo
        self.installed: str | None = None
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str]) -> tuple[bool, str]:
        self.commands.append(command)
        if command[:3] == ["sudo", "-n", "true"]:
            return self.sudo, ""
        if "policy" in command:
            return True, f"Candidate: {'1.0' if command[-1] in self.known else '(none)'}"
        if "update" in command:
            self.known = self.after_update
        if "install" in command:
            self.installed = command[-1]
        return True, ""

    def find(self) -> llvm.Library | None:
        return None if self.installed is None else llvm.Library(Path("/lib/x"), int(self.installed[-2:]))


def _use(monkeypatch: pytest.MonkeyPatch, apt: _Apt, *, root: bool) -> None:
    monkeypatch.setattr(install, "_run", apt)
    monkeypatch.setattr(install, "_is_root", lambda: root)
    monkeypatch.setattr(install.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(install.sys, "platform", "linux")
    monkeypatch.setattr(llvm, "find", apt.find)


def test_install_does_nothing_where_llvm_is_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    apt = _Apt(set(), set())
    _use(monkeypatch, apt, root=True)
    apt.installed = "libllvm19"
    assert install.install().library is not None
    assert apt.commands == []


def test_install_takes_the_first_known_package(monkeypatch: pytest.MonkeyPatch) -> None:
    apt = _Apt({"libllvm18", "libllvm21"}, set())
    _use(monkeypatch, apt, root=True)
    assert "libllvm21" in install.install().message
    assert not any("update" in command for command in apt.commands)
    assert not any("sudo" in command for command in apt.commands)


def test_install_updates_where_no_package_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    apt = _Apt(set(), {"libllvm19"})
    _use(monkeypatch, apt, root=False)
    assert install.install().library is not None
    assert ["sudo", "-n", "apt-get", "update", "-q"] in apt.commands


def test_install_without_privileges_says_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    apt = _Apt({"libllvm18"}, set(), sudo=False)
    _use(monkeypatch, apt, root=False)
    done = install.install()
    assert done.library is None
    assert done.message.endswith("run: sudo apt-get install -y libllvm18")
    assert apt.installed is None


def test_install_brings_the_libraries_that_dr_jit_links_to(monkeypatch: pytest.MonkeyPatch) -> None:
    apt = _Apt({"libllvm19"}, set())
    _use(monkeypatch, apt, root=True)
    monkeypatch.setattr(install, "missing_packages", lambda: ["libatomic1"])
    monkeypatch.setattr(llvm, "find", lambda: apt.find() if apt.installed == "libllvm19" else None)
    assert "libatomic1 libllvm19" in install.install().message
    assert [command[-1] for command in apt.commands if "install" in command] == ["libatomic1", "libllvm19"]
    assert install.advice() == "apt-get install -y libatomic1 libllvm19"


def test_a_missing_library_is_an_error_that_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("invopt.rendering.choice.missing_packages", lambda: ["libatomic1"])
    with pytest.raises(BackendError, match="without libatomic1; run: "):
        choose()
    assert any("libatomic1" in advice for _, _, advice in report())


def test_nothing_is_missing_where_dr_jit_loads() -> None:
    assert probe.missing_packages() == []
