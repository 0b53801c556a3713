"""The requests and answers of uploads, deletions and notifications."""

from typing import Annotated, Final, Literal

from pydantic import Field

from ml_api.api.schemas.base import Answer, Problem, Request
from ml_api.vocabulary import UploadState

MAX_WAIT_S: Final = 600


class WaitParameters(Request):
    wait: Annotated[
        float,
        Field(ge=0, le=MAX_WAIT_S, description="Seconds to wait for the index to follow; 0 to hear at once that it will."),
    ] = 0


class UploadParameters(WaitParameters):
    overwrite: Annotated[
        bool,
        Field(
            description="false: a file whose name is taken is not written, and its result is a 412, as with `If-None-Match: *` in "
            "`PUT`. true: it takes the place of what is there.",
            examples=[False],
        ),
    ] = True


class UploadedImage(Answer):
    id: Annotated[str, Field(pattern="^[0-9a-f]{32}$", description="The first 32 hex digits of the SHA-256 of the key, in UTF-8.")]
    key: Annotated[str, Field(description="Path of the file below the corpus root.")]
    state: Annotated[
        UploadState,
        Field(
            description="`searchable`; `queued`: safe in the corpus, and searchable soon; `superseded`: another upload, or a "
            "deletion, under its key came after it; `failed`: kept, but the model makes no vector of it."
        ),
    ]
    unchanged: Annotated[
        bool, Field(description="Whether these bytes were there already under this key, so that nothing was written.")
    ]
    duplicate_of: Annotated[
        str | None, Field(description="Key of another indexed image with the same bytes; null if none is known.")
    ]
    digest: Annotated[str, Field(description="sha256 of the file's bytes.")]
    width: Annotated[int, Field(description="Pixels, as displayed.")]
    height: Annotated[int, Field(description="Pixels, as displayed.")]


class RemovedImage(Answer):
    id: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    key: str
    state: Annotated[
        Literal["removed", "queued"],
        Field(description="`queued`: the file is deleted, and no longer found soon."),
    ]


class UploadResult(Answer):
    key: Annotated[str, Field(description="Name of the file in the form.")]
    status: Annotated[int, Field(description="The status that this file alone would have been answered with.")]
    image: UploadedImage | None
    problem: Problem | None


class UploadsAnswer(Answer):
    results: Annotated[list[UploadResult], Field(description="One for each file, in their order.")]


class EventsAnswer(Answer):
    accepted: Annotated[int, Field(description="Notifications of this corpus, which are durable now.")]
    ignored: Annotated[int, Field(description="Notifications about other buckets, prefixes or things.")]
