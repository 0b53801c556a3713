"""What a key may do. Each route declares one scope, or that it is public."""

from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """`WRITE` does not include `SEARCH`: a program that delivers images need not see others."""

    SEARCH = "search"
    """Search, and look at images and their metadata."""
    WRITE = "write"
    """Add, change and delete images, and start syncs."""
    ADMIN = "admin"
    """Everything, the other scopes included."""

    def is_granted_by(self, held: frozenset["Scope"]) -> bool:
        return self in held or Scope.ADMIN in held


PUBLIC: Final = None
"""In place of a scope, for routes that need no key."""
