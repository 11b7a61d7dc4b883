"""Registry: problems, estimators and methods by name, those of other packages included."""

from invopt.core.registry.names import BASES, find, kebab, names, resolve

__all__ = ["BASES", "find", "kebab", "names", "resolve"]
