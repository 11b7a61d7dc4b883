"""Move: where a run goes after a descent. End: how it ends."""

from __future__ import annotations

from attrs import frozen
from torch import Tensor

from invopt.core.result import Status

__all__ = ["End", "Move"]


@frozen
class Move:
    """A point to which the run goes next, and why.

    Attributes
    ----------
    x : Tensor, shape (n,)
        The point, in units of `x_scale`.
    reason : str
        Why.
    """

    x: Tensor
    reason: str


@frozen
class End:
    """End of the run.

    Attributes
    ----------
    status : Status
        Its status.
    note : str, default ""
        A sentence for the message of the result.
    x_standard_error : Tensor, shape (n,), optional
        Standard error of each parameter.
    """

    status: Status
    note: str = ""
    x_standard_error: Tensor | None = None
