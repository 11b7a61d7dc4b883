"""Registry of problems, estimators and methods by name.

Those of other packages are included.
"""

from invopt.core.registry.names import BASES, find, kebab, names, resolve

__all__ = ["BASES", "find", "kebab", "names", "resolve"]
