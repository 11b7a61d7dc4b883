"""Screen of a terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.style import Style
from rich.table import Table
from rich.text import Text

from invopt.report.live.glimpse import Glimpse

__all__ = ["TerminalScreen", "drawn", "half_blocks"]

# Columns of a small picture: three of them and a margin fit into the usual 80. Pictures shown, of those of a glimpse.
_COLUMNS = 24
_SHOWN = ("start", "now", "target")
# Upper half of a character's cell, which shows one pixel above another.
_HALF = "\u2580"


class TerminalScreen:
    """A table and small pictures in a terminal, on stderr."""

    def __init__(self, console: Console | None = None) -> None:
        # Drawn when shown, and never by a thread of its own.
        self._live = Live(console=console or Console(stderr=True), auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, glimpse: Glimpse) -> None:
        """Draw a glimpse in place of the one before."""
        self._live.update(drawn(glimpse), refresh=True)


def drawn(glimpse: Glimpse) -> RenderableType:
    """Return a table of the parameters, with the pictures below."""
    table = Table(title=glimpse.title)
    for column in ("", "start", "now"):
        table.add_column(column, justify="left" if column == "" else "right")
    for row in glimpse.rows:
        table.add_row(*row)
    table.add_section()
    for name, text in glimpse.facts.items():
        table.add_row(name, "", text)
    pictures = [(name, glimpse.pictures[name]) for name in _SHOWN if name in glimpse.pictures]
    if not pictures:
        return table
    grid = Table.grid(padding=(0, 1))
    grid.add_row(*(name for name, _ in pictures))
    grid.add_row(*(half_blocks(picture) for _, picture in pictures))
    return Group(table, grid)


def half_blocks(picture: NDArray[np.float64], columns: int = _COLUMNS) -> Text:
    """Return a picture as text, two pixels in a character.

    Parameters
    ----------
    picture : ndarray, shape (height, width, 3)
        Numbers in [0, 1], as a screen shows them.
    columns : int, default 24
        Characters in a line, at most.
    """
    height, width = picture.shape[:2]
    across = min(columns, width)
    down = max(round(height * across / width / 2), 1)
    levels = np.round(255 * _averaged(picture, 2 * down, across)).astype(int)
    text = Text(no_wrap=True)
    for above, below in zip(levels[::2], levels[1::2], strict=True):
        for one, other in zip(above.tolist(), below.tolist(), strict=True):
            text.append(_HALF, Style(color=Color.from_rgb(*one), bgcolor=Color.from_rgb(*other)))
        text.append("\n")
    return text


def _averaged(picture: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """Means of the pixels of each cell; the nearest pixel where a cell has none."""
    rows = np.unique(np.arange(height) * picture.shape[0] // height, return_inverse=True)
    columns = np.unique(np.arange(width) * picture.shape[1] // width, return_inverse=True)
    summed = np.add.reduceat(np.add.reduceat(picture, rows[0], axis=0), columns[0], axis=1)
    counts = np.outer(_sizes(rows[0], picture.shape[0]), _sizes(columns[0], picture.shape[1]))[:, :, None]
    found: NDArray[np.float64] = (summed / counts)[rows[1]][:, columns[1]]
    return found


def _sizes(starts: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    return np.diff(np.append(starts, total))
