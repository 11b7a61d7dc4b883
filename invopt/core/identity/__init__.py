"""What tells a problem, a function or a part from others: digests of their contents, the same in every process."""

from invopt.core.identity.digest import digest, digests

__all__ = ["digest", "digests"]
