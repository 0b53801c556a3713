"""The request and the answer of `/v1/duplicates`."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from ml_api.api.schemas.base import Answer, Request, whole
from ml_api.api.schemas.images import ID_PATTERN, StoredImage, cursor
from ml_api.duplicates import NEAR_BITS, NEAR_SIMILARITY, SIMILARITY, Kind
from ml_api.images.perceptual import HASH_BITS, Turn

MAX_COMPARED = 1000


class DuplicatesParameters(Request):
    near_bits: Annotated[
        int,
        Field(
            ge=0,
            le=HASH_BITS,
            description=f"Near: most bits, of {HASH_BITS}, in which the perceptual hashes differ.",
            examples=[NEAR_BITS],
        ),
        BeforeValidator(whole),
    ] = NEAR_BITS
    near_similarity: Annotated[
        float,
        Field(ge=-1, le=1, description="Near: least cosine of the embeddings; depends on the model.", examples=[NEAR_SIMILARITY]),
    ] = NEAR_SIMILARITY
    similarity: Annotated[
        float,
        Field(ge=-1, le=1, description="Similar: least cosine of the embeddings; depends on the model.", examples=[SIMILARITY]),
    ] = SIMILARITY
    limit: Annotated[
        int,
        Field(ge=1, le=MAX_COMPARED, description="How many images to compare at most, each with all others.", examples=[100]),
        BeforeValidator(whole),
    ] = 256
    cursor: Annotated[
        str | None,
        Field(description="Where to continue: `next` of the answer before.", json_schema_extra={"pattern": ID_PATTERN}),
        AfterValidator(lambda text: text if text is None else cursor(text)),
    ] = None


class SizedImage(StoredImage):
    size_bytes: Annotated[
        int | None,
        Field(description="Size of the file when it was indexed; null for objects of buckets, whose ETags do not tell it."),
    ]


class DuplicateAnswer(SizedImage):
    similarity: Annotated[float, Field(description="Cosine of the two embeddings, 1 at most.")]
    bits: Annotated[
        int | None,
        Field(
            description=f"Bits, of {HASH_BITS}, in which the perceptual hashes differ: the most of those of the pictures and of "
            "their middles, or of one's middles and the other; null if one is not known."
        ),
    ]
    turn: Annotated[Turn | None, Field(description="How the group's image has to be turned to look like this one.")]


class DuplicateGroup(Answer):
    kind: Annotated[
        Kind,
        Field(
            description="`exact`: the same bytes. `near`: probably the same picture, by perceptual hash and embedding together. "
            "`similar`: alike by the embedding alone."
        ),
    ]
    image: Annotated[
        SizedImage,
        Field(description="Of equal files the one to keep: not below `uploads/`, where the page adds files, and indexed first."),
    ]
    duplicates: list[DuplicateAnswer]
    more: Annotated[bool, Field(description="Whether there are more than are listed.")]


class DuplicatesAnswer(Answer):
    groups: list[DuplicateGroup]
    compared: Annotated[int, Field(description="How many images were compared.")]
    without_hash: Annotated[
        int, Field(description="How many of them have no perceptual hash yet, so that no near duplicate of theirs is found.")
    ]
    next: Annotated[str | None, Field(description="`cursor` of the next page; null on the last one.")]
