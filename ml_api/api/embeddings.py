"""The encoder itself, in the shape of OpenAI's API, for programs that have a store of their own."""

import base64
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from time import perf_counter
from typing import Final

import numpy as np
import numpy.typing as npt
from flask import Blueprint, Response

from ml_api import cores, stages
from ml_api.access import Scope
from ml_api.api import services
from ml_api.api.answers import json_answer
from ml_api.api.observe import elsewhere, note
from ml_api.api.operation import LATE, MODEL_ID, NO_DECODING, NO_MODEL, TIMEOUT, operation, ref
from ml_api.api.parsing import json_body, naming, request_deadline
from ml_api.api.problems import MEDIA_TYPE
from ml_api.api.query_images import bytes_of_base64
from ml_api.api.schemas.embeddings import (
    MAX_CHARS,
    MAX_IMAGES,
    MAX_TEXT_CHARS,
    EmbeddingAnswer,
    EmbeddingsAnswer,
    EmbeddingsQuery,
    EmbeddingsUsage,
    ListedModel,
    ModelsAnswer,
)
from ml_api.deadline import Deadline
from ml_api.embedding.base import Embedded, Prepared
from ml_api.errors import InvalidQuery, MlApiError, NotFound
from ml_api.images import FittedImage
from ml_api.records import ModelInfo
from ml_api.stages import stage
from ml_api.vocabulary import Operation, Stage
from ml_api.wording import got

blueprint = Blueprint("embeddings", __name__, url_prefix="/v1")

DECODED_AT_ONCE: Final = 4
"""Images of one request, at most: decoding has its own order, in which those of others come between."""


@blueprint.post("/embeddings")
@operation(
    "create_embeddings",
    "Embed texts or images",
    tag="service",
    scope=Scope.SEARCH,
    description="In the shape of OpenAI's API. Vectors of texts and of images lie in one space.",
    answer=EmbeddingsAnswer,
    parameters=(TIMEOUT,),
    body={"application/json": {"schema": ref(EmbeddingsQuery), "example": {"input": ["two dogs playing in the snow"]}}},
    fails=(
        *("invalid-query", "invalid-json", "invalid-base64", "model-not-found", "too-large", "unsupported-media-type"),
        *(*NO_DECODING, *NO_MODEL, *LATE),
    ),
)
def embeddings() -> Response:
    stages.begin(Operation.EMBED)
    deadline = request_deadline()
    with stage(Stage.FETCH):
        wanted = json_body(EmbeddingsQuery, punctuation=MAX_CHARS)
        note({"ml_api.operation": Operation.EMBED, "ml_api.modality": wanted.modality})
        model = services().engine.embedder.model
        _check(wanted, model)
    prepared = list[Prepared]()
    embedded = _embedded(_noted(_prepared(wanted, deadline), prepared), deadline)
    note({"ml_api.model": model.name, "ml_api.batch_size": max(one.batch_size for one in embedded)})
    with stage(Stage.SERIALIZE):
        return json_answer(_answer(wanted, prepared, embedded, model.name))


@blueprint.get("/models")
@operation(
    "list_models",
    "List the one model, in the shape of OpenAI's API",
    tag="service",
    scope=Scope.SEARCH,
    answer=ModelsAnswer,
    fails=("invalid-query",),
)
def models() -> Response:
    return json_answer(ModelsAnswer(data=[ListedModel(id=services().engine.embedder.model.name)]))


@blueprint.get("/models/<path:model_id>")
@operation(
    "retrieve_model",
    "Look up the one model by its id, in the shape of OpenAI's API",
    tag="service",
    scope=Scope.SEARCH,
    answer=ListedModel,
    parameters=(MODEL_ID,),
    fails=("invalid-query", "model-not-found"),
)
def retrieve(model_id: str) -> Response:
    name = services().engine.embedder.model.name
    _require(model_id, name)
    return json_answer(ListedModel(id=name))


@blueprint.after_request
def tell_openai(response: Response) -> Response:
    """An error also as OpenAI's clients read it; what is wrong would not be in their exceptions otherwise."""
    if response.mimetype == MEDIA_TYPE:
        problem = json.loads(response.get_data())
        error = {"message": problem["detail"], "type": problem["title"], "param": None, "code": problem["code"]}
        response.set_data(json.dumps(problem | {"error": error}, ensure_ascii=False) + "\n")
    return response


def _check(wanted: EmbeddingsQuery, model: ModelInfo) -> None:
    """What depends on other fields, or on the model. Raises InvalidQuery, NotFound."""
    if wanted.model is not None:
        _require(wanted.model, model.name)
    if wanted.dimensions not in {None, model.dim}:
        right = f"must be {model.dim}, as many as vectors of {model.name!r} have, or left out"
        raise InvalidQuery(f"dimensions: {right}{got(wanted.dimensions)}")
    if wanted.modality == "image":
        if len(wanted.input) > MAX_IMAGES:
            raise InvalidQuery(f"input: must have at most {MAX_IMAGES} images (got {len(wanted.input)})")
        return
    for index, text in enumerate(wanted.input):
        if len(text) > MAX_TEXT_CHARS:
            raise InvalidQuery(f"input[{index}]: must have at most {MAX_TEXT_CHARS:,} characters (got {len(text):,})")
    if (chars := sum(map(len, wanted.input))) > MAX_CHARS:
        raise InvalidQuery(f"input: all texts together must have at most {MAX_CHARS:,} characters (got {chars:,})")


def _require(wanted: str, name: str) -> None:
    """Raises NotFound unless `wanted` is the `name` of the model."""
    if wanted != name:
        raise NotFound(f"model: this service runs {name!r}; name that{got(wanted)}", code="model-not-found")


def _prepared(wanted: EmbeddingsQuery, deadline: Deadline) -> Iterator[Prepared]:
    """Each as it is asked for; an error names its input."""
    preprocessor = services().engine.preprocessor
    if wanted.modality == "text":
        for index, text in enumerate(wanted.input):
            with naming(f"input[{index}]"), stage(Stage.PREPARE):
                prepared = preprocessor.prepare_text(text)
            yield prepared
        return
    for index, picture in enumerate(_decoded(wanted.input, deadline)):
        with naming(f"input[{index}]"), stage(Stage.PREPARE):
            prepared = preprocessor.prepare_image(picture.pixels)
        yield prepared


def _decoded(files: Sequence[str], deadline: Deadline) -> Iterator[FittedImage]:
    with stage(Stage.FETCH):
        data = [_file(index, text) for index, text in enumerate(files)]
    decode = partial(services().decoder.decode, fit=services().engine.preprocessor.fit, deadline=deadline)
    pool = ThreadPoolExecutor(min(len(data), cores.usable(), DECODED_AT_ONCE), "decode")
    try:
        decoding = [pool.submit(copy_context().run, decode, one) for one in data]  # so that its log lines have the request's id
        for index, decoded in enumerate(decoding):
            with naming(f"input[{index}]"), stage(Stage.DECODE), elsewhere():
                picture = decoded.result()
            yield picture
    finally:
        pool.shutdown(cancel_futures=True)


def _file(index: int, text: str) -> bytes:
    with naming(f"input[{index}]"):
        return bytes_of_base64(text)


def _noted(items: Iterator[Prepared], seen: list[Prepared]) -> Iterator[Prepared]:
    for item in items:
        seen.append(item)
        yield item


def _embedded(items: Iterator[Prepared], deadline: Deadline) -> list[Embedded]:
    """Raises the error of the first that failed. The time that preparing takes meanwhile is no waiting for the model."""
    started, before_s = perf_counter(), sum(stages.so_far().values())
    try:
        answers = services().engine.embedder.embed_all(items, deadline.left_s())
    finally:
        stages.took(Stage.EMBED, perf_counter() - started - (sum(stages.so_far().values()) - before_s))
    embedded = [answer for answer in answers if isinstance(answer, Embedded)]
    if len(embedded) < len(answers):
        raise next(answer for answer in answers if isinstance(answer, MlApiError))
    return embedded


def _answer(wanted: EmbeddingsQuery, prepared: Sequence[Prepared], embedded: Sequence[Embedded], model: str) -> EmbeddingsAnswer:
    encode = _in_base64 if wanted.encoding_format == "base64" else _in_numbers
    tokens = sum(item.features.size for item in prepared) if wanted.modality == "text" else 0
    return EmbeddingsAnswer(
        data=[
            EmbeddingAnswer(index=index, embedding=encode(one.vector), truncated=item.truncated)
            for index, (item, one) in enumerate(zip(prepared, embedded, strict=True))
        ],
        model=model,
        usage=EmbeddingsUsage(prompt_tokens=tokens, total_tokens=tokens),
    )


def _in_base64(vector: npt.NDArray[np.float32]) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def _in_numbers(vector: npt.NDArray[np.float32]) -> list[float]:
    numbers: list[float] = vector.tolist()
    return numbers
