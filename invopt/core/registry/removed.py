"""What was removed, and what replaced it: classes, and options of classes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

__all__ = ["REMOVED", "without"]

T = TypeVar("T")

# Removed public names.
REMOVED = {
    "SampleHistory": "it has been removed: leave the estimator out, or use SharedSamples",
    "AdaptiveSigma": "it has been removed: give 'sigma' a schedule, such as Exponential(start)",
    "AdaptiveWidth": "it has been removed: give 'sigma' a schedule, such as Exponential(start)",
}


def without(**options: str) -> Callable[[type[T]], type[T]]:
    """Decorate a class so that removed options are errors that say why.

    Parameters
    ----------
    **options : str
        What replaced each option.
    """

    def decorated(cls: type[T]) -> type[T]:
        # attrs has made the constructor.
        made, changed = cls.__init__, cast(Any, cls)

        @functools.wraps(made)
        def init(self: T, *args: Any, **given: Any) -> None:
            for name in given.keys() & options.keys():
                raise TypeError(f"{cls.__name__} has no option {name!r} any longer: {options[name]}")
            made(self, *args, **given)

        changed.__init__ = init
        return cls

    return decorated
