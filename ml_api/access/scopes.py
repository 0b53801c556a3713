"""What a key may do. Each route declares one scope, or that it is public."""

from enum import StrEnum
from typing import Final, Self


class Scope(StrEnum):
    """`ADMIN` includes the others. `WRITE` does not include `SEARCH`: who delivers images need not see those of others."""

    SEARCH = "search", "search, and look at images and their metadata"
    WRITE = "write", "add, change and delete images, and start syncs"
    ADMIN = "admin", "everything"

    meaning: str

    def __new__(cls, name: str, meaning: str) -> Self:
        member = str.__new__(cls, name)
        member._value_ = name
        member.meaning = meaning
        return member

    def is_granted_by(self, held: frozenset["Scope"]) -> bool:
        return self in held or Scope.ADMIN in held


PUBLIC: Final = None
"""In place of a scope, for routes that need no key."""
