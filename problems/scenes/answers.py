"""Base class of scenes: their answers by name, developed, as tables."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from invopt.plugin import as_integer, as_vector, require

from .columns import Columns
from .developed import Developed
from .development import developed, fitted_errors, fitted_values
from .tables import Row, rows_of, written

__all__ = ["Answers"]


@frozen(kw_only=True, eq=False, repr=False)
class Answers(Columns):
    """Scene whose answers have names, units and error bars."""

    @property
    @abc.abstractmethod
    def fits_exposure(self) -> bool:
        """Whether something of a photograph's exposure is solved in every evaluation."""

    def parameters(self, x: NDArray[np.float64]) -> dict[str, Any]:
        """Values at `x` by name, in scene units; a fitted exposure too, from 16 renders."""
        return self.layout.decode(x) | (fitted_values(self, x) if self.fits_exposure else {})

    def parameter_errors(self, result: Any) -> dict[str, Any]:
        """Standard errors of `parameters`, in scene units; empty if the result has none.

        Those of a fitted exposure contain those of the columns, by at most 33 further renders.
        """
        errors = getattr(result, "x_standard_error", None)
        if errors is None:
            return {}
        found = self.layout.split(self.spread(result.x, errors))
        return found | (fitted_errors(self, result) if self.fits_exposure else {})

    def developed(self, result: Any, *, renders: int = 16) -> list[Developed]:
        """Render the answer and compare it with each photograph.

        Parameters
        ----------
        result : OptimizeResult or array_like of shape (n,)
            The answer. With a result that has error bars, those of a fitted exposure contain them, by at most 17
            further renders.
        renders : int, default 16
            Renders that are averaged. Their noise makes a fitted exposure smaller, by its share of the squared light.
        """
        require("renders", as_integer("renders", renders) >= 1, ">= 1", renders)
        return developed(self, result, renders)

    def table(self, result: Any, *, kind: str = "markdown") -> str:
        """Return the answer as a table, with error bars if the result has them.

        Parameters
        ----------
        result : OptimizeResult or array_like of shape (n,)
            The answer.
        kind : {"markdown", "json", "csv"}, default "markdown"
            Form of the table.
        """
        x = as_vector("x", getattr(result, "x", result), size=self.n)
        rows = rows_of(self.names, self.flat(x), self._spread_of(result, x), x, self.bounds, self.x_scale)
        return written([*rows, *self._fitted_rows(result, x)], kind)

    def _spread_of(self, result: Any, x: NDArray[np.float64]) -> NDArray[np.float64] | None:
        errors = getattr(result, "x_standard_error", None)
        return None if errors is None else self.spread(x, errors)

    def _fitted_rows(self, result: Any, x: NDArray[np.float64]) -> list[Row]:
        """Rows of what was fitted of the exposure; a result knows it already."""
        if not self.fits_exposure:
            return []
        known = getattr(result, "parameters", None)
        values = self.parameters(x) if known is None else known
        errors = getattr(result, "parameter_errors", None)
        errors = self.parameter_errors(result) if errors is None else errors
        columns = self.layout.decode(x)
        return [Row(name, float(values[name]), errors.get(name)) for name in values if name not in columns]
