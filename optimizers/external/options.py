"""Check of the options of scipy's methods."""

from __future__ import annotations

import warnings
from typing import Any

import scipy.optimize

from invopt.exceptions import UnknownNameError

__all__ = ["check_options"]


class _EnoughError(Exception):
    """Ends the trial run of `check_options` at its first evaluation."""


def check_options(name: str, options: dict[str, Any]) -> None:
    """Raise for options that scipy does not know.

    They are found by a trial run up to its first evaluation.
    """

    def stop(*_: Any) -> Any:
        raise _EnoughError

    complaint = ""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            arguments: dict[str, Any] = {"method": name, "jac": stop, "hess": stop, "options": dict(options)}
            scipy.optimize.minimize(stop, [0.0], **arguments)
        except _EnoughError:
            pass
        except (TypeError, ValueError) as error:
            # Other errors may depend on the number of parameters; the run will show them.
            complaint = str(error) if "unexpected keyword" in str(error) else ""
    unknown = [str(w.message) for w in caught if issubclass(w.category, scipy.optimize.OptimizeWarning)]
    complaint = next((text for text in unknown if "nknown solver option" in text), complaint)
    if complaint:
        raise UnknownNameError(f"scipy's {name!r} does not take these 'options' {sorted(options)}: {complaint}")
