"""What a change of the corpus may depend on: which file is under its key, by the digest of its bytes (RFC 9110, 13.1)."""

from dataclasses import dataclass
from typing import Final

from ml_api.errors import PreconditionFailed

ANY: Final = frozenset({"*"})
"""In place of digests: whichever file there is."""


@dataclass(frozen=True, slots=True)
class Held:
    """A file in the corpus. `digest` is empty if it is not known, as of a file that is too large to be read."""

    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class Precondition:
    """None asks for nothing; where both are given, both have to hold."""

    match: frozenset[str] | None = None
    """There is a file, with one of these digests."""
    none_match: frozenset[str] | None = None
    """There is no file with one of these digests."""

    def require(self, key: str, held: Held | None, sent: str = "") -> None:
        """`sent` is the digest of what is to take the place of `held`. Raises PreconditionFailed: what is there, what would do."""
        is_kept = held is not None and self.none_match is not None and (self.none_match == ANY or held.digest in self.none_match)
        is_other = self.match is not None and (held is None or (self.match != ANY and held.digest not in self.match))
        if not is_kept and not is_other:
            return
        if held is None:
            raise PreconditionFailed(f"the corpus holds no file {key!r} that If-Match could mean; send If-None-Match: * to add one")
        if sent and held.digest == sent:
            raise PreconditionFailed(f"{key!r} holds these very bytes already", digest=sent, code="already-there")
        tag = f'"{held.digest}"' if held.digest else "*"
        which = "another version than If-Match says" if is_other else "there already"
        raise PreconditionFailed(
            f"{key!r} is {which}; to change what is there now send If-Match: {tag}, or choose another key", digest=held.digest
        )
