"""Screen of a notebook."""

from __future__ import annotations

import importlib
from types import TracebackType
from typing import Any, Self

from invopt.report.live.glimpse import Glimpse
from invopt.report.live.page import fragment

__all__ = ["NotebookScreen"]


class NotebookScreen:
    """Curve, pictures and table below a cell of a notebook."""

    def __init__(self) -> None:
        self._tools: Any = importlib.import_module("IPython.display")
        self._handle: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def show(self, glimpse: Glimpse) -> None:
        """Draw a glimpse in place of the one before."""
        content = self._tools.HTML(fragment(glimpse))
        if self._handle is None:
            self._handle = self._tools.display(content, display_id=True)
        else:
            self._handle.update(content)
