"""Identity of problems, functions and parts: digests of their contents.

Digests are the same in every process.
"""

from invopt.core.identity.digest import Digests, digest, digests, digests_with_surroundings

__all__ = ["Digests", "digest", "digests", "digests_with_surroundings"]
