"""What came of a case, and whether it is documented."""

import dis
import linecache
import math
import re
import sys
import traceback
import warnings
from pathlib import Path

import numpy as np
from attrs import frozen
from values import Own

import invopt

HERE = Path(__file__).resolve().parent
_ROOT = HERE.parent.parent
_OURS = tuple(str(_ROOT / name) + "/" for name in ("invopt", "problems", "estimators", "optimizers"))
# Python's words for arguments that do not fit a signature.
_BINDING = re.compile(r"unexpected keyword|missing \d+ required|takes .*argument|multiple values|must be strings")
# Functions of cases, called with what they do not take.
_USERS = re.compile(r"(sphere|residuals|.*<lambda>|junk.*)\(\)")
_WARNINGS = (invopt.JournalWarning,)


class TooLong(BaseException):
    """Raised by the alarm in a case that takes too long."""


@frozen
class Outcome:
    """`kind` is "result", "error" or "finding"."""

    kind: str
    name: str
    text: str = ""
    place: str = ""


def judge(call):
    """Run a case and say what came of it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = call()
        except TooLong:
            raise
        except BaseException as error:  # noqa: BLE001 - see below
            # Whatever comes is looked at: that is what a fuzzer is for.
            outcome = of_error(error)
        else:
            outcome = of_value(found)
    raw = [item for item in caught if not _is_documented(item)]
    if raw and outcome.kind != "finding":
        item = raw[0]
        place = f"{Path(item.filename).name}:{item.lineno}"
        return Outcome("finding", f"warning {item.category.__name__}", str(item.message), place)
    return outcome


def _is_documented(item):
    if issubclass(item.category, _WARNINGS) or item.filename.startswith(str(HERE)):
        # Ours, or of what a case's own function does.
        return True
    return item.category is UserWarning and "saturated" in str(item.message)  # of a target picture


def of_error(error):
    """Documented are ours, those that our code raises in so many words, the user's, and Python's of a signature."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception as bad:  # noqa: BLE001 - a message that cannot be made is a finding
        return Outcome("finding", f"{name} without text", repr(bad), place_of(error))
    if isinstance(error, Own):
        return Outcome("error", "the user's own")
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
        # Only the functions of cases raise these, but for the command's exit, which its own cases look at.
        fine = isinstance(getattr(error, "result", None), invopt.OptimizeResult)
        return Outcome("error" if fine else "finding", name, "" if fine else "without .result", place_of(error))
    if not text.strip() or "Traceback (most" in text:
        return Outcome("finding", f"{name} with a bad text", text, place_of(error))
    if isinstance(error, invopt.InvoptError):
        cause = error.__cause__
        executors = isinstance(cause, RuntimeError) and "executor" in text
        if isinstance(cause, Exception) and not executors and not _is_raised_on_purpose(cause):
            return Outcome("finding", f"{name} hides {type(cause).__name__}", text, place_of(cause))
        return Outcome("error", name, text)
    ours = bool(_frames(error)) and _frames(error)[-1].filename.startswith(_OURS)
    if (ours and isinstance(error, AssertionError | NotImplementedError)) or not _is_raised_on_purpose(error):
        return Outcome("finding", name, text, place_of(error))
    return Outcome("error", name, text)


def _frames(error):
    return traceback.extract_tb(error.__traceback__)


def _is_raised_on_purpose(error):
    """Whether the innermost frame is a raise statement of ours, a case's own code, or a call's binding."""
    if isinstance(error, Own):
        return True
    frames = _frames(error)
    if not frames:
        return True
    last = frames[-1]
    if isinstance(error, TypeError) and _BINDING.search(str(error)) and _USERS.match(str(error)):
        return True
    if last.filename.startswith(_OURS):
        return _is_raise(error)
    if last.filename.startswith(str(HERE)):
        # A function of a case, called from the library; or the case's own call, whose arguments do not fit.
        inside = any(frame.filename.startswith(_OURS) for frame in frames)
        return inside or (isinstance(error, TypeError) and bool(_BINDING.search(str(error))))
    # attrs' own validators name the field; what it generates binds arguments.
    if "/attr/" in last.filename or last.filename.startswith("<attrs generated"):
        return isinstance(error, TypeError | ValueError)
    return False


def _is_raise(error):
    """Whether the innermost instruction raises, so that no other, on the same line, has failed."""
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    if "__traceback_maker" in trace.tb_frame.f_code.co_names:
        # Pickled, which dask.distributed arranges for all of a process: the code itself is gone.
        return linecache.getline(trace.tb_frame.f_code.co_filename, trace.tb_lineno).lstrip().startswith("raise ")
    return dis.opname[trace.tb_frame.f_code.co_code[trace.tb_lasti]] == "RAISE_VARARGS"


def place_of(error):
    """The innermost line of ours that an error came through."""
    frames = _frames(error)
    ours = [frame for frame in frames if frame.filename.startswith(_OURS)]
    if not ours and not frames:
        return ""
    frame = ours[-1] if ours else frames[-1]
    last = frames[-1]
    where = f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
    return where if frame is last else f"{where} ({Path(last.filename).name}:{last.lineno})"


def of_value(found):
    """What is returned must hold what is promised."""
    if isinstance(found, invopt.OptimizeResult) and (broken := broken_promise(found)):
        return Outcome("finding", f"result {broken}", f"{found.status.name} {found.message}")
    return Outcome("result", "result")


def broken_promise(result):
    """What a result lacks of what every result has; empty if nothing."""
    x = np.asarray(result.x)
    if result.nfev > 0 and not np.isfinite(x).all():
        return "x not finite"
    box = getattr(result.problem, "bounds", None)
    if box is not None and result.nfev > 0 and ((x < box.lb - 1e-9).any() or (x > box.ub + 1e-9).any()):
        return "x outside the bounds"
    # Interrupted within the first estimate, or held by its bounds and failed, a run knows no value.
    unknown = result.nit == 0 and not result.success
    if (
        result.nfev > 0
        and not unknown
        and not (math.isfinite(result.fun) or result.fun == math.inf or result.n_nonfinite > 0)
    ):
        return "fun not finite"
    if not isinstance(result.success, bool):
        return "success no bool"
    if result.success and not math.isfinite(result.fun) and result.nfev > 0:
        return "success with fun not finite"
    return "" if isinstance(result.message, str) and result.message.strip() else "without message"


def too_long(*_):
    """Handler of the alarms."""
    raise TooLong(place_now(sys._getframe(1)))


def place_now(frame):
    """The innermost line of ours of a stack."""
    stack = traceback.extract_stack(frame)
    ours = [item for item in stack if item.filename.startswith(_OURS)]
    last = stack[-1]
    inner = f"{Path(last.filename).name}:{last.lineno} {last.name}"
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno} {ours[-1].name} ({inner})" if ours else inner
