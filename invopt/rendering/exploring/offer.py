"""Offers: what can be unknown in a scene, with a binding to copy."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

__all__ = ["Exploration", "Offer"]

_COLUMNS = ("", "kind", "name", "present value", "binding")


@frozen
class Offer:
    """Something of a scene that can be unknown.

    Attributes
    ----------
    kind : str
        Shape, camera, light, material or medium.
    name : str
        Name of the object or parameter.
    value : str
        Its present value.
    binding : str
        A binding to copy; empty if there is none.
    number : int or None
        Number of a shape in `Exploration.map`.
    """

    kind: str
    name: str
    value: str
    binding: str
    number: int | None = None


@frozen(eq=False)
class Exploration:
    """What a scene offers as unknowns; a table in a terminal and in a notebook.

    Attributes
    ----------
    offers : tuple of Offer
        Shapes, cameras, lights, materials, media.
    map : ndarray of int, shape (height, width)
        Number of the shape that each pixel of the first camera shows; 0 for none.
    """

    offers: tuple[Offer, ...]
    map: NDArray[np.int64]

    def __str__(self) -> str:
        rows = [_COLUMNS, *self._rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
        lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        cells = ["".join(f"<td>{html.escape(text)}</td>" for text in row) for row in self._rows()]
        head = "".join(f"<th>{text}</th>" for text in _COLUMNS)
        return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"

    def plot(self, ax: Any = None) -> Any:
        """Draw the shapes that the first camera sees, each with its number.

        Returns the matplotlib axes.
        """
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots()
        ax.imshow(np.ma.masked_equal(self.map, 0), cmap="tab20", interpolation="nearest")
        for number in np.unique(self.map[self.map > 0]):
            rows, columns = np.nonzero(self.map == number)
            # The pixel of the shape that is nearest to its middle: a ring has none there.
            middle = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
            ax.text(columns[middle], rows[middle], str(number), ha="center", va="center")
        ax.axis("off")
        return ax

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            ("" if offer.number is None else str(offer.number), offer.kind, offer.name, offer.value, offer.binding)
            for offer in self.offers
        ]
