"""What becomes of evaluations that fail and of values that are not finite."""

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
    """What has been spent, for all evaluators of a run.

    Attributes
    ----------
    nfev : int
        Evaluations.
    n_nonfinite : int
        Those of them without a finite value: failed, nan or infinite.
    n_failed : int
        Those that failed: by an exception or a timeout, or with nan, -inf, or residuals that are not finite.
    n_raised : int
        Those that failed by an exception or a timeout.
    last_failure : str
        What the last of these said.
    highest : float
        Largest finite value of `fun`; -inf before there is any.
    seconds : float
        Time that they took.
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
        """Note evaluations that failed; the first of a run is logged."""
        if self.n_raised == 0:
            _logger.warning("invopt: %s; it counts as a failed evaluation, as do all that follow", failure)
        self.n_raised += rows
        self.last_failure = failure

    @property
    def summary(self) -> str:
        """How many failed, and the last failure, as a sentence; empty if none did."""
        if self.n_raised == 0:
            return ""
        return f"{self.n_raised} of {self.nfev} evaluations failed, the last: {self.last_failure}"


def as_failures(value: Any, needs: Capability) -> Failures:
    """Return `failures` validated for what is asked of the objective."""
    require("failures", isinstance(value, str) and value in ("raise", "nan"), "'raise' or 'nan'", value)
    if value == "nan" and Capability.SIDES in needs:
        raise IncompatibleError("'failures' must be 'raise' where both sides of an equation are asked for: 'nan'")
    valid: Failures = value
    return valid


def counts_as_failed(error: Exception) -> bool:
    """Whether an exception may count as a failed evaluation: not where the objective or the problem is made wrong."""
    if isinstance(error, InvoptError):
        return isinstance(error, EvaluationError | NonFiniteError) and not isinstance(error, WrongValueError)
    return True


def finished(values: Tensor, counts: Counts, most: float, *, keep_inf: bool) -> Tensor:
    """Values of a call, (k,) or (k, m), in which a failed evaluation is nan, and inf is the highest value so far.

    Parameters
    ----------
    values : Tensor
        As they came.
    counts : Counts
        Of the run; what is not finite is counted.
    most : float
        Share that may have failed: of the call, or of all evaluations where a method asks for one at a time.
    keep_inf : bool
        Whether inf stays what it is, for methods that only compare.
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
    _check_share(failed, counts, most, alone=keep_inf and len(values) == 1)
    marked = values.clone()
    marked[failed] = math.nan
    if values.ndim == 1 and bool(finite.any()):
        counts.highest = max(counts.highest, float(values[finite].max()))
    return marked if keep_inf or not bool(walls.any()) else levelled(marked, counts)


def _check_share(failed: Tensor, counts: Counts, most: float, *, alone: bool) -> None:
    k, bad = len(failed), int(failed.sum())
    share = counts.n_failed / counts.nfev if alone else bad / k
    if bad == 0 or not (share > most or share == 1.0):
        return
    what = f"{counts.n_failed} of {counts.nfev} values" if alone else f"{bad} of {k} values of one call"
    last = f"; the last failure: {counts.last_failure}" if counts.last_failure else ""
    raise NonFiniteError(
        f"{what} are not finite, a share above 'max_nonfinite' = {most:g}; bound the parameters or repair the "
        f"objective{last}"
    )


def levelled(values: Tensor, counts: Counts) -> Tensor:
    """Values with the highest finite one of the run where they are inf: samples still lead away from there."""
    walls = values == math.inf
    if bool(walls.any()) and counts.highest == -math.inf:
        raise NonFiniteError("all values so far are inf: start where the objective is finite, or bound the parameters")
    return torch.where(walls, counts.highest, values)
