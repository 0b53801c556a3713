"""Every error this application raises on purpose, and nothing about HTTP.

    MlApiError
    ├── InvalidInput            the caller sent something that can never work
    │   ├── InvalidQuery        ... a search text or parameter
    │   │   ├── InvalidCrop     ... or a part that the image does not have
    │   │   └── InvalidCursor   ... or a place in the ranking of another search, or of none
    │   ├── InvalidKey          ... a key under which no corpus keeps an image
    │   ├── InvalidMetadata     ... facts about an image that cannot be kept with it
    │   ├── InvalidEvent        ... a notification that is none
    │   ├── InvalidImage        ... bytes that are not an image we can embed
    │   │   └── TooCostly       ... or one that takes too much time or memory to decode
    │   ├── TooLarge            ... more than a limit allows
    │   │   ├── UriTooLong
    │   │   └── HeadersTooLarge
    │   ├── MalformedRequest    ... that is not HTTP
    │   ├── RequestTimeout      ... too slowly
    │   ├── UnsupportedMedia    ... in a content type we do not read
    │   └── Misdirected         ... to a host name that is not ours
    ├── AccessDenied            the caller may not do this
    │   ├── Unauthorized        ... without a valid key
    │   ├── ScopeMissing        ... with this key
    │   └── ForeignOrigin       ... from a page of another site
    ├── NotFound                no such image
    ├── PreconditionFailed      the corpus holds something else under the key than the caller said
    ├── CorpusReadOnly          images are looked at here, never written or deleted
    ├── InsufficientStorage     no room is left for what was sent
    ├── Overloaded              the queue is full; try again later
    ├── Unavailable             a part we depend on does not answer; try again later
    │   ├── Starting                ... as the service loads its model
    │   ├── ModelUnavailable
    │   │   ├── ModelOutOfMemory    ... for so many inputs at once; fewer may fit
    │   │   └── NonFiniteVector     ... for this input, of which the model makes NaN or infinity
    │   ├── StoreUnavailable
    │   ├── DatabaseUnavailable
    │   │   └── DatabaseFull        ... for what would have to be written
    │   └── CorpusUnavailable
    ├── DeadlineExceeded        the answer would have come too late
    ├── SyncRefused             a sync that looks like an accident, stopped before it changed anything
    └── ConfigError             the service cannot start as configured
        └── ModelReplaced       ... since another model has taken the place of the configured one

`code` is a stable slug that clients may switch on. `detail` is written for the person who gets it: what was wrong, and what
would be right. Adapters translate foreign exceptions into these once, with `raise ... from exc`.
"""

from typing import ClassVar, Literal


class MlApiError(Exception):
    """Root of the tree. `detail` may reach the client, so it never quotes a foreign exception blindly."""

    code: ClassVar[str] = "internal"

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.slug = code or self.code


class InvalidInput(MlApiError):
    code = "invalid-input"


class InvalidQuery(InvalidInput):
    code = "invalid-query"


class InvalidCrop(InvalidQuery):
    code = "invalid-crop"


class InvalidCursor(InvalidQuery):
    code = "invalid-cursor"


class InvalidKey(InvalidInput):
    code = "invalid-key"


class InvalidMetadata(InvalidInput):
    code = "invalid-metadata"


class InvalidEvent(InvalidInput):
    code = "invalid-event"


class InvalidImage(InvalidInput):
    code = "invalid-image"


class TooCostly(InvalidImage):
    """`needed_bytes` of memory would decode it; 0 where that is not known, or where it is time that is lacking."""

    code = "image-too-costly"

    def __init__(self, detail: str, *, lacking: Literal["time", "memory"] = "memory", needed_bytes: int = 0) -> None:
        super().__init__(f"{detail}; send a smaller or simpler one.")
        self.lacking = lacking
        self.needed_bytes = needed_bytes


class TooLarge(InvalidInput):
    code = "too-large"


class UriTooLong(TooLarge):
    code = "uri-too-long"


class HeadersTooLarge(TooLarge):
    code = "headers-too-large"


class MalformedRequest(InvalidInput):
    code = "malformed-http"


class RequestTimeout(InvalidInput):
    code = "request-timeout"


class UnsupportedMedia(InvalidInput):
    code = "unsupported-media-type"


class Misdirected(InvalidInput):
    code = "misdirected-request"


class AccessDenied(MlApiError):
    code = "access-denied"


class Unauthorized(AccessDenied):
    code = "unauthorized"


class ScopeMissing(AccessDenied):
    """`scope` is the one that a key would need."""

    code = "insufficient-scope"

    def __init__(self, detail: str, *, scope: str) -> None:
        super().__init__(detail)
        self.scope = scope


class ForeignOrigin(AccessDenied):
    code = "cross-origin"


class NotFound(MlApiError):
    code = "not-found"


class PreconditionFailed(MlApiError):
    """Nothing was written. `digest` is that of the file that is there; empty if there is none, or it is not known."""

    code = "precondition-failed"

    def __init__(self, detail: str, *, digest: str = "", code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.digest = digest


class CorpusReadOnly(MlApiError):
    code = "corpus-read-only"


class InsufficientStorage(MlApiError):
    code = "insufficient-storage"


class Overloaded(MlApiError):
    code = "overloaded"


class Unavailable(MlApiError):
    code = "unavailable"


class Starting(Unavailable):
    code = "starting"


class ModelUnavailable(Unavailable):
    code = "model-unavailable"


class ModelOutOfMemory(ModelUnavailable):
    code = "model-out-of-memory"

    def __init__(self, detail: str = "The model ran out of memory.") -> None:
        super().__init__(detail)


class NonFiniteVector(ModelUnavailable):
    """No vector to be compared or stored."""

    code = "model-not-finite"

    def __init__(self, detail: str = "The model returned a vector that is not finite.") -> None:
        super().__init__(detail)


StoreFailure = Literal["timeout", "unreachable", "refused", "closed", "failed"]


class StoreUnavailable(Unavailable):
    """`reason` is for metrics, `detail` for people."""

    code = "store-unavailable"

    def __init__(self, detail: str, *, reason: StoreFailure = "failed", code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.reason = reason


class DatabaseUnavailable(Unavailable):
    code = "database-unavailable"


class DatabaseFull(DatabaseUnavailable):
    """Nothing was changed; it goes on once there is room."""

    code = "database-full"


class CorpusUnavailable(Unavailable):
    code = "corpus-unavailable"


class DeadlineExceeded(MlApiError):
    code = "deadline-exceeded"


class SyncRefused(MlApiError):
    code = "sync-refused"


class ConfigError(MlApiError):
    """Raised at startup only. `problems` lists everything that is wrong, so that one run shows it all."""

    code = "config-error"

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ModelReplaced(ConfigError):
    """The configured model was in use until `migrate` put another in its place, which `setting` finds; empty if unknown."""

    code = "model-replaced"

    def __init__(self, problem: str, *, setting: str) -> None:
        super().__init__(problem)
        self.setting = setting
