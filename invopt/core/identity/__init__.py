"""What tells a problem, a function or a part from others: digests of their contents, the same in every process."""

from invopt.core.identity.digest import Digests, digest, digests, digests_with_surroundings

__all__ = ["Digests", "digest", "digests", "digests_with_surroundings"]
