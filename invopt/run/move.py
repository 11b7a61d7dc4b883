"""Move: where a run goes after a descent. End: how it ends."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.result import Status

__all__ = ["End", "Move"]


@frozen
class Move:
    """Point of shape (n,), in units of `x_scale`, from which the run goes on."""

    x: Tensor


@frozen(eq=False)
class End:
    """End of the run.

    Attributes
    ----------
    status : Status
        Its status.
    note : str, default ""
        A sentence for the message of the result.
    covariance : ndarray, shape (n, n), optional
        Covariance of the parameters' errors.
    """

    status: Status
    note: str = ""
    covariance: NDArray[np.float64] | None = None
