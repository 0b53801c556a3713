"""The request and the answer of `/v1/embeddings`, as in OpenAI's API; `modality` and images as data URIs are as in infinity's."""

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from ml_api.api.schemas.base import Answer, Request, whole
from ml_api.vocabulary import Modality

MAX_TEXTS: Final = 2048
MAX_IMAGES: Final = 32
MAX_TEXT_CHARS: Final = 8192
MAX_CHARS: Final = 1_000_000
"""The most characters of all texts of a request, which take about a second to tokenise."""


def _inputs(given: Any) -> Any:
    """Make a single input a list. Raises ValueError for token ids, which OpenAI's API accepts, as they depend on its tokenizer."""
    if isinstance(given, str):
        return [given]
    if not isinstance(given, list):
        raise ValueError("must be a text, or an array of texts")  # noqa: TRY004 - pydantic converts only ValueError to its own error
    if given and isinstance(given[0], int | list):
        raise ValueError("holds numbers; token ids are those of another model's tokenizer, so send the texts themselves")
    return given


class EmbeddingsQuery(Request):
    input: Annotated[
        list[str],
        BeforeValidator(_inputs),
        Field(
            min_length=1,
            max_length=MAX_TEXTS,
            description=f"One or several: texts of at most {MAX_TEXT_CHARS:,} characters, {MAX_CHARS:,} together, always taken as "
            f"plain text; or at most {MAX_IMAGES} image files in base64, bare or as `data:image/...;base64,` URIs.",
            examples=[["two dogs playing in the snow", "a red car"]],
        ),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string"},
                    {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MAX_TEXTS},
                ]
            }
        ),
    ]
    modality: Annotated[Modality, Field(description="What all inputs are.")] = "text"
    model: Annotated[
        str | None, Field(description="Name of the model as in `/v1/model`, or nothing; another one is answered 404.")
    ] = None
    encoding_format: Annotated[
        Literal["float", "base64"], Field(description="Lists of numbers, or base64 of little-endian float32.")
    ] = "float"
    dimensions: Annotated[
        int | None,
        Field(description="The model's own number of dimensions, as in `/v1/model`, or nothing: vectors are not shortened."),
        BeforeValidator(whole),
    ] = None
    user: Annotated[str | None, Field(description="Taken for compatibility, and not used.")] = None


class EmbeddingAnswer(Answer):
    object: Literal["embedding"] = "embedding"
    index: Annotated[int, Field(description="Place of the input in the request, from 0.")]
    embedding: Annotated[list[float] | str, Field(description="L2-normalised; comparable across texts and images.")]
    truncated: Annotated[bool, Field(description="Whether the text was longer than the model reads.")]


class EmbeddingsUsage(Answer):
    prompt_tokens: Annotated[int, Field(description="Tokens of the texts that the model read; 0 for images.")]
    total_tokens: int


class EmbeddingsAnswer(Answer):
    object: Literal["list"] = "list"
    data: list[EmbeddingAnswer]
    model: Annotated[str, Field(description="Name of the model, as in `/v1/model`.")]
    usage: EmbeddingsUsage


class ListedModel(Answer):
    id: Annotated[str, Field(description="Name of the model, as in `/v1/model`.")]
    object: Literal["model"] = "model"
    created: Annotated[int, Field(description="Not known, and 0.")] = 0
    owned_by: Literal["ml_api"] = "ml_api"


class ModelsAnswer(Answer):
    object: Literal["list"] = "list"
    data: list[ListedModel]
