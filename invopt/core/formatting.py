"""Values as messages show them, whatever they are."""

from __future__ import annotations

import math

__all__ = ["digits", "shown"]


def shown(value: object) -> str:
    """``repr(value)``, or what it is where it has none: a huge integer, a list too deep, a class whose own fails."""
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - whatever a class of the user's raises
        if isinstance(value, int):
            return f"an integer of {digits(value)} digits"
        return f"a {type(value).__name__} that cannot be shown"


def digits(value: int) -> int:
    """Decimal digits of an integer that may be too long to be printed, to within one."""
    return int(abs(value).bit_length() * math.log10(2)) + 1
