"""Failed evaluations and values that are not finite: counted, replaced, raised."""

from __future__ import annotations

import logging
import math
from typing import Any, Literal, TypeAlias

import torch
from attrs import define
from torch import Tensor

from invopt.core.objective import Capability
from invopt.core.validators import require
from invopt.exceptions import EvaluationError, IncompatibleError, InvoptError, NonFiniteError, WrongValueError

__all__ = ["Counts", "Failures", "as_failures", "counts_as_failed", "finished", "levelled"]

Failures: TypeAlias = Literal["raise", "nan"]

_logger = logging.getLogger("invopt.evaluations")


@define
class Counts:
    """Counts of a run, shared by its evaluators.

    Attributes
    ----------
    nfev : int
        Evaluations.
    n_nonfinite : int
        Evaluations without a finite value: failed, nan or infinite.
    n_failed : int
        Failed evaluations: by an exception or a timeout, or with nan, -inf, or residuals that are not finite.
    n_raised : int
        Evaluations that failed by an exception or a timeout.
    last_failure : str
        Message of the last exception or timeout.
    highest : float
        Largest finite value of `fun`; -inf before there is any.
    seconds : float
        Time of all evaluations.
    reserved : int
        Evaluations of the budget that are kept for the answer.
    """

    nfev: int = 0
    n_nonfinite: int = 0
    n_failed: int = 0
    n_raised: int = 0
    last_failure: str = ""
    highest: float = -math.inf
    seconds: float = 0.0
    reserved: int = 0

    def note(self, failure: str, rows: int) -> None:
        """Note evaluations that failed by an exception or a timeout.

        The first of a run is logged.
        """
        if self.n_raised == 0:
            _logger.warning("invopt: %s; it counts as a failed evaluation, as do all that follow", failure)
        self.n_raised += rows
        self.last_failure = failure

    @property
    def summary(self) -> str:
        """How many evaluations failed, and the last failure, as a sentence.

        Empty if none failed.
        """
        if self.n_raised == 0:
            return ""
        return f"{self.n_raised} of {self.nfev} evaluations failed, the last: {self.last_failure}"

    @property
    def last_said(self) -> str:
        """The last failure as the end of a message; empty if there was none."""
        return f"; the last failure: {self.last_failure}" if self.last_failure else ""


def as_failures(value: Any, needs: Capability) -> Failures:
    """Return `failures` validated for a run with these needs."""
    require("failures", isinstance(value, str) and value in ("raise", "nan"), "'raise' or 'nan'", value)
    if value == "nan" and Capability.SIDES in needs:
        raise IncompatibleError("'failures' must be 'raise' where both sides of an equation are asked for: 'nan'")
    valid: Failures = value
    return valid


def counts_as_failed(error: Exception) -> bool:
    """Whether an exception may count as a failed evaluation.

    One that shows a mistake in the problem may not.
    """
    if isinstance(error, InvoptError):
        return isinstance(error, EvaluationError | NonFiniteError) and not isinstance(error, WrongValueError)
    return True


def finished(values: Tensor, counts: Counts, most: float, *, keep_inf: bool) -> Tensor:
    """Values of a call with failed evaluations and inf replaced.

    Failed evaluations become nan, and inf the highest finite value so far.

    Parameters
    ----------
    values : Tensor
        Values as the objective returned them.
    counts : Counts
        Counts of the run; values that are not finite are added to them.
    most : float
        Largest share that may have failed: of the call, or of all evaluations for methods that only compare values.
    keep_inf : bool
        Whether inf stays inf, for methods that only compare values.
    """
    finite = torch.isfinite(values)
    if bool(finite.all()):
        if values.ndim == 1:
            counts.highest = max(counts.highest, float(values.max()))
        return values
    walls = values == math.inf if values.ndim == 1 else torch.zeros(len(values), dtype=torch.bool)
    failed = ~finite & ~walls if values.ndim == 1 else ~finite.all(1)
    counts.n_nonfinite += int((failed | walls).sum())
    counts.n_failed += int(failed.sum())
    _check_share(failed, counts, most, alone=keep_inf)
    marked = values.clone()
    marked[failed] = math.nan
    if values.ndim == 1 and bool(finite.any()):
        counts.highest = max(counts.highest, float(values[finite].max()))
    return marked if keep_inf or not bool(walls.any()) else levelled(marked, counts)


def _check_share(failed: Tensor, counts: Counts, most: float, *, alone: bool) -> None:
    """Raise if too large a share of the evaluations has failed."""
    k, bad = len(failed), int(failed.sum())
    share = counts.n_failed / counts.nfev if alone else bad / k
    if bad == 0 or not (share > most or share == 1.0):
        return
    what = f"{counts.n_failed} of {counts.nfev} values" if alone else f"{bad} of {k} values of one call"
    raise NonFiniteError(
        f"{what} are not finite, a share above 'max_nonfinite' = {most:g}; bound the parameters or repair the "
        f"objective{counts.last_said}"
    )


def levelled(values: Tensor, counts: Counts) -> Tensor:
    """Replace inf by the highest finite value of the run.

    Samples then still lead away from there.
    """
    walls = values == math.inf
    if bool(walls.any()) and counts.highest == -math.inf:
        raise NonFiniteError("all values so far are inf: start where the objective is finite, or bound the parameters")
    return torch.where(walls, counts.highest, values)
