"""Warnings of the renderer that are logged once in a process."""

from __future__ import annotations

import logging

__all__ = ["warn_once"]

# Without a handler of the user's, Python prints its warnings to stderr as they are: one line.
_logger = logging.getLogger("invopt.rendering")
_logged: set[str] = set()


def warn_once(line: str) -> None:
    """Log a warning, unless it is empty or was logged before."""
    if line and line not in _logged:
        _logged.add(line)
        _logger.warning("invopt: %s", line)
