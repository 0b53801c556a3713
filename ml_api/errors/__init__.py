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
    ├── Overloaded              there is too much to do; try again later
    ├── Unavailable             a part we depend on does not answer; try again later
    │   ├── Starting                ... as the service loads its model
    │   ├── ShuttingDown            ... as it stops
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
        ├── NothingIndexed      ... for what only reads, as there is no collection yet
        └── ModelReplaced       ... since another model has taken the place of the configured one

`code` is a stable slug that clients may switch on. `detail` is written for the person who gets it: what was wrong, and what
would be right. Adapters translate foreign exceptions into these once, with `raise ... from exc`.
"""

from ml_api.errors.base import MlApiError
from ml_api.errors.requests import (
    AccessDenied,
    CorpusReadOnly,
    ForeignOrigin,
    HeadersTooLarge,
    InsufficientStorage,
    InvalidCrop,
    InvalidCursor,
    InvalidEvent,
    InvalidImage,
    InvalidInput,
    InvalidKey,
    InvalidMetadata,
    InvalidQuery,
    MalformedRequest,
    Misdirected,
    NotFound,
    PreconditionFailed,
    RequestTimeout,
    ScopeMissing,
    TooCostly,
    TooLarge,
    Unauthorized,
    UnsupportedMedia,
    UriTooLong,
)
from ml_api.errors.service import (
    ConfigError,
    CorpusUnavailable,
    DatabaseFull,
    DatabaseUnavailable,
    DeadlineExceeded,
    ModelOutOfMemory,
    ModelReplaced,
    ModelUnavailable,
    NonFiniteVector,
    NothingIndexed,
    Overload,
    Overloaded,
    ShuttingDown,
    Starting,
    StoreFailure,
    StoreUnavailable,
    SyncRefused,
    Unavailable,
)

__all__ = [
    "AccessDenied",
    "ConfigError",
    "CorpusReadOnly",
    "CorpusUnavailable",
    "DatabaseFull",
    "DatabaseUnavailable",
    "DeadlineExceeded",
    "ForeignOrigin",
    "HeadersTooLarge",
    "InsufficientStorage",
    "InvalidCrop",
    "InvalidCursor",
    "InvalidEvent",
    "InvalidImage",
    "InvalidInput",
    "InvalidKey",
    "InvalidMetadata",
    "InvalidQuery",
    "MalformedRequest",
    "Misdirected",
    "MlApiError",
    "ModelOutOfMemory",
    "ModelReplaced",
    "ModelUnavailable",
    "NonFiniteVector",
    "NotFound",
    "NothingIndexed",
    "Overload",
    "Overloaded",
    "PreconditionFailed",
    "RequestTimeout",
    "ScopeMissing",
    "ShuttingDown",
    "Starting",
    "StoreFailure",
    "StoreUnavailable",
    "SyncRefused",
    "TooCostly",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
    "UnsupportedMedia",
    "UriTooLong",
]
