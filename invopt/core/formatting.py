"""Format values of any type for messages."""

from __future__ import annotations

import math

__all__ = ["digits", "shown"]


def shown(value: object) -> str:
    """Return ``repr(value)``, or a description where that fails.

    It fails for a huge integer, a deep list or a broken class.
    """
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - whatever a class of the user's raises
        if isinstance(value, int):
            return f"an integer of {digits(value)} digits"
        return f"a {type(value).__name__} that cannot be shown"


def digits(value: int) -> int:
    """Number of decimal digits of an integer, exact to within one.

    The integer may be too long to print.
    """
    return int(abs(value).bit_length() * math.log10(2)) + 1
