"""Programs of tests run as by `python -c`, whichever process they are forked from."""

import os
import signal
import subprocess
import sys

import pytest

TOLD = """
import os, sys
print(sys.argv, sys.path, os.getcwd(), __name__, os.environ.get("TOLD"), sorted(globals()))
print("invopt" in sys.modules, sys.warnoptions, file=sys.stderr)
sys.exit(3)
"""


def test_a_program_is_run_as_by_python(program, tmp_path):
    env, flags = {**os.environ, "TOLD": "yes"}, ("-W", "error")
    found = program(TOLD, "a", "b c", cwd=tmp_path, env=env, flags=flags)
    command = [sys.executable, *flags, "-c", TOLD, "a", "b c"]
    expected = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (3, expected.stdout, expected.stderr)


def test_errors_signals_and_timeouts(program, started_program):
    with pytest.raises(AssertionError, match="ended with 1:\n(.*\n)*ValueError: wrong"):
        program("raise ValueError('wrong')", check=True)
    assert program("import os; os.kill(os.getpid(), 11)").returncode == -signal.SIGSEGV
    process = started_program("print('here', flush=True); import time; time.sleep(600)")
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == -signal.SIGTERM
    with pytest.raises(subprocess.TimeoutExpired):
        program("import time; time.sleep(600)", timeout=0.1)
