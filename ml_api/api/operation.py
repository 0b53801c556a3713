"""The declaration of an operation at its view: what the OpenAPI document says of it, and the scope that its callers need."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from flasgger import swag_from
from pydantic import BaseModel

from ml_api.access import PUBLIC, Scope
from ml_api.api import examples, problems
from ml_api.api.authorization import SCOPE
from ml_api.api.schemas import JsonObject
from ml_api.api.schemas.base import Problem
from ml_api.api.urls import MODEL, PARAMETERS

View = TypeVar("View", bound=Callable[..., Any])
REF = "#/components/schemas/{model}"
SUCCESSES = {200: "Success.", 202: "Accepted; it goes on in the background."}
PROBLEMS = {
    400: "The request is invalid; `detail` says which field and why.",
    401: "The service asks for an API key, and there is none, or one that is not valid.",
    403: "The API key lacks the scope, or a page of another site sent the request; or images cannot be written here.",
    404: "There is no such image, search or sync.",
    409: "Another corpus is being synced into the same collection.",
    412: "`If-Match` or `If-None-Match` does not hold: `detail` says what is there, `ETag` is its tag; nothing was changed.",
    413: "The body, or the image in it, is larger than allowed.",
    415: "The body comes in a content type that is not read.",
    416: "`Range` lies behind the end of the file; `Content-Range` has its length.",
    421: "`Host` is a name that `ML_API_ALLOWED_HOSTS` does not list.",
    422: "The body is not an image that can be decoded, within the limits on time and memory.",
    503: "The model, the store or the database cannot answer, or too many requests wait; try again after `Retry-After` seconds.",
    507: "No room is left for the image, or in the database; nothing was written.",
    504: "The answer would have taken longer than the service, or `X-Request-Timeout`, allows.",
}
LATE = ("invalid-timeout", "deadline-exceeded")
"""Error codes of routes that take `TIMEOUT`."""
EVERYWHERE = ("misdirected-request",)
"""Error codes of every route."""
REFUSED = ("unauthorized", "invalid-api-key", "insufficient-scope", "cross-origin", "database-unavailable")
"""Error codes of every route that is not public."""
NO_MODEL = ("overloaded", "model-unavailable")
NO_DATABASE = ("database-unavailable",)
NO_NOTE = (*NO_DATABASE, "database-full")
"""Error codes of routes that write into the database."""
NO_STORE = ("store-unavailable",)
NO_DECODING = ("image-format", "image-truncated", "image-too-costly", "decoding-unavailable", "insufficient-storage")
IMAGE_ID: JsonObject = {"$ref": "#/components/parameters/image_id"}
MODEL_ID: JsonObject = {"$ref": "#/components/parameters/model_id"}
TIMEOUT: JsonObject = {"$ref": "#/components/parameters/request_timeout"}
"""The parameter of every view that calls `parsing.request_deadline`."""


def operation(  # noqa: PLR0913 - named after the fields of an OpenAPI operation, each optional but five
    name: str,
    summary: str,
    *,
    tag: str,
    scope: Scope | None,
    answer: type[BaseModel] | Mapping[str, Any],
    description: str = "",
    parameters: tuple[JsonObject, ...] = (),
    query: type[BaseModel] | None = None,
    body: JsonObject | None = None,
    fails: tuple[str, ...] = (),
    status: int = 200,
    body_required: bool = True,
    also: Mapping[str, JsonObject] | None = None,
) -> Callable[[View], View]:
    """Document a view, and declare the scope that its callers need (PUBLIC for none).

    `answer` is the model of its JSON answer, or the media types of its content; `fails` are its error codes. `name` is the name of
    the method in generated clients. `query` is the model of the query string, whose fields become parameters.

    `also` adds further answers, such as a 304, or a 503 that is not a problem.
    """
    parameters = (*(query_parameters_of(query) if query else ()), *parameters)
    responses: JsonObject = {str(status): {"description": SUCCESSES[status], "content": _content(answer)}}
    responses |= _problems((*fails, *(REFUSED if scope else ()), *EVERYWHERE))
    responses |= also or {}
    spec: JsonObject = {
        "operationId": name,
        "summary": summary,
        "description": " ".join(filter(None, (description, f"Scope: `{scope}`." if scope else ""))),
        "tags": [tag],
        "parameters": list(parameters),
    }
    if scope is PUBLIC:
        spec["security"] = []
    if body is not None:
        spec["requestBody"] = {"required": body_required, "content": body}
    names = frozenset(parameter["name"] for parameter in parameters if parameter.get("in") == "query")

    def document(view: View) -> View:
        documented: View = swag_from(spec | {"responses": responses})(view)
        setattr(documented, PARAMETERS, names)
        setattr(documented, MODEL, query)
        setattr(documented, SCOPE, scope)
        return documented

    return document


def query_parameters_of(model: type[BaseModel]) -> tuple[JsonObject, ...]:
    """A request model's fields as parameters of the query string, required ones first.

    Only those have an example: Swagger UI sends it, and one of an optional parameter would give another answer than a call without
    it.
    """
    schema = model.model_json_schema(ref_template=REF)
    required = set(schema.get("required", ()))
    fields = sorted(schema["properties"].items(), key=lambda item: item[0] not in required)
    return tuple(
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": field.pop("description", ""),
            **({"example": given[0]} if (given := field.pop("examples", None)) and name in required else {}),
            "schema": field,
        }
        for name, field in fields
    )


def ref(model: type[BaseModel]) -> JsonObject:
    return {"$ref": REF.format(model=model.__name__)}


def _content(answer: type[BaseModel] | Mapping[str, Any]) -> JsonObject:
    if isinstance(answer, Mapping):
        return dict(answer)
    return {"application/json": {"schema": ref(answer), "example": examples.ANSWERS[answer]}}


def _problems(codes: tuple[str, ...]) -> JsonObject:
    """The error answers by status, each with an example for each of the `codes`."""
    answers: JsonObject = {}
    for code in codes:
        example = examples.problem(code)
        status = str(example["status"])
        content = {problems.MEDIA_TYPE: {"schema": ref(Problem), "examples": {}}}
        answer = answers.setdefault(status, {"description": PROBLEMS[example["status"]], "content": content})
        answer["content"][problems.MEDIA_TYPE]["examples"][code] = {"value": example}
        if status == "503":
            answer["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return answers
