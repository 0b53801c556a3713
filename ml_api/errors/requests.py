"""What is wrong with a request: with what was sent, with who sent it, or with what it asks of the corpus."""

from typing import Literal

from ml_api.errors.base import MlApiError


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
