"""Programs of tests: each runs in a process of its own, as by `python`, without importing torch once more."""

from __future__ import annotations

import array
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

HERE = str(Path(__file__).parent)
BOOT = "import sys; sys.path[0] = sys.argv[2]; from python_server import serve; exec(serve(int(sys.argv[1])))"
# End of the command by which `invopt.evaluate.processes.forked` starts its fork server.
SERVES_FORKS = "serve_forks(requests)"


class Program:
    """A running program, with the methods of a `subprocess.Popen` that tests use."""

    def __init__(self, command: list[str], status: int, *printed: int) -> None:
        self.args = self.command = command
        self.returncode: int | None = None
        self._status = open(status, "rb", buffering=0)  # noqa: SIM115 - closed with its end
        self._printed = [_Reader(pipe) for pipe in printed]
        self.pid = _number(self._status)

    def poll(self) -> int | None:
        """Exit code; None while it runs."""
        if self.returncode is None and select.select([self._status], [], [], 0)[0]:
            with self._status:
                self.returncode = _number(self._status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM if it still runs."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL if it still runs."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Exit code; raises `subprocess.TimeoutExpired` if it runs longer."""
        if self.poll() is None:
            select.select([self._status], [], [], timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired(self.command, timeout or 0.0)
        return self.returncode or 0

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; return stdout and stderr."""
        try:
            self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            self.wait()
            raise
        out, err = (reader.text() for reader in self._printed)
        return out, err


class _Reader(threading.Thread):
    """Reads a pipe to its end."""

    def __init__(self, pipe: int) -> None:
        super().__init__(daemon=True)
        self._pipe, self._read = pipe, b""
        self.start()

    def run(self) -> None:
        with open(self._pipe, "rb") as file:
            self._read = file.read()

    def text(self) -> str:
        self.join()
        return self._read.decode(errors="replace")


def start_python(
    *arguments: str | Path,
    flags: tuple[str, ...] = (),
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Program | subprocess.Popen[str]:
    """Start ``python flags arguments``; what it prints is captured.

    The arguments begin with ``-c`` and a program, ``-m`` and a module, or a script. On Linux the process is forked from
    one that has imported torch, numpy and scipy, and nothing else; that takes a tenth of the time. Programs whose claim
    is about starting an interpreter do not belong here.
    """
    environment = dict(os.environ if env is None else env)
    folder = str(Path(cwd or ".").resolve())
    command = [sys.executable, *flags, *map(str, arguments)]
    if sys.platform != "linux":
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)
    server = _server(flags, environment.get("PYTHONHASHSEED")).socket
    pipes = [os.pipe() for _ in range(2)]
    with open(os.devnull) as nothing:
        # What is read when an interpreter starts is the server's.
        standard = [nothing.fileno(), *(writer for _, writer in pipes)]
        further = [server.fileno()] if not flags and "PYTHONHASHSEED" not in environment else []
        facts = {"arguments": command[1 + len(flags) :], "folder": folder, "environment": environment}
        status = request_fork(server, facts, standard, further)
    for _, writer in pipes:
        os.close(writer)
    return Program(command, status, *(reader for reader, _ in pipes))


def request_fork(
    server: socket.socket,
    facts: dict[str, Any],
    standard: Sequence[int],
    further: Iterable[int] = (),
    *,
    kept: Sequence[int] = (),
    new_session: bool = False,
) -> int:
    """Ask a server for a process; return where its number and its exit code are to be read."""
    reader, writer = os.pipe()
    descriptors = array.array("i", [*standard, writer, *kept, *further])
    body = pickle.dumps({**facts, "kept": list(kept), "new_session": new_session})
    server.sendmsg([body], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
    os.close(writer)
    return reader


def run_python(
    *arguments: str | Path,
    flags: tuple[str, ...] = (),
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 120.0,
    check: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run ``python flags arguments`` to its end, as `subprocess.run` does."""
    process = start_python(*arguments, flags=flags, cwd=cwd, env=env)
    out, err = process.communicate(timeout=timeout)
    command = [sys.executable, *flags, *map(str, arguments)]
    done = subprocess.CompletedProcess(command, process.returncode or 0, out, err)
    if check and done.returncode:
        raise AssertionError(f"the program ended with {done.returncode}:\n{err}")
    return done


def start_program(program: str, *arguments: str | Path, **options: Any) -> Program | subprocess.Popen[str]:
    """Start ``python -c program arguments``: see `start_python`."""
    return start_python("-c", program, *arguments, **options)


def run_program(program: str, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run ``python -c program arguments`` to its end."""
    return run_python("-c", program, *arguments, **options)


def _number(status: IO[bytes]) -> int:
    data = status.read(4)
    if len(data) < 4:
        raise RuntimeError("the process that forks programs has died")
    return int.from_bytes(data, "little", signed=True)


class _Server(NamedTuple):
    """A process that forks programs, and where to ask it for them."""

    process: subprocess.Popen[bytes]
    socket: socket.socket


_SERVERS: dict[tuple[tuple[str, ...], str | None], _Server] = {}


def _server(flags: tuple[str, ...], hash_seed: str | None) -> _Server:
    """The server with these settings, started if it is not there or has ended."""
    server = _SERVERS.get((flags, hash_seed))
    if server is None or server.process.poll() is not None:
        _SERVERS[flags, hash_seed] = _start_server(flags, hash_seed)
    return _SERVERS[flags, hash_seed]


def _start_server(flags: tuple[str, ...], hash_seed: str | None) -> _Server:
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHASHSEED")}
    if hash_seed is not None:
        environment["PYTHONHASHSEED"] = hash_seed
    # Threads of torch would wait for each other on cores that others use.
    environment.update(OMP_WAIT_POLICY="passive", OMP_NUM_THREADS="1")
    with theirs:
        process = subprocess.Popen(
            [sys.executable, *flags, "-c", BOOT, str(theirs.fileno()), HERE],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env=environment,
            start_new_session=True,
        )
    return _Server(process, ours)


def stop_servers() -> None:
    """End the servers, each of which waits for its programs."""
    while _SERVERS:
        _, server = _SERVERS.popitem()
        server.socket.close()
        try:
            server.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            server.process.kill()
            server.process.wait()


class _Popen(subprocess.Popen):  # type: ignore[type-arg]
    """As that of `subprocess`, but invopt's fork servers are forked as well: importing torch takes seconds."""

    server: socket.socket

    def __new__(cls, args: Any, *rest: Any, **options: Any) -> Any:
        if not (isinstance(args, list) and args[:3] == [sys.executable, "-P", "-c"] and args[3].endswith(SERVES_FORKS)):
            return super().__new__(cls)
        return cls._forked(args, **options)

    @classmethod
    def _forked(
        cls,
        command: list[str],
        *,
        env: Mapping[str, str],
        pass_fds: Sequence[int],
        start_new_session: bool,
        stdin: int,
        stdout: int,
    ) -> Program:
        assert stdin == stdout == subprocess.DEVNULL
        facts = {"arguments": command[2:], "folder": os.getcwd(), "environment": dict(env)}
        with open(os.devnull, "r+") as nothing:
            standard = [nothing.fileno(), nothing.fileno(), 2]
            status = request_fork(cls.server, facts, standard, kept=pass_fds, new_session=start_new_session)
        return Program(command, status)


def fork_fork_servers(server: socket.socket) -> None:
    """Have fork servers that this process starts forked by a server of programs."""
    _Popen.server = server
    subprocess.Popen = _Popen  # type: ignore[misc]
