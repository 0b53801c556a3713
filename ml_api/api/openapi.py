"""Builds the OpenAPI document with flasgger, from the declaration at each view (`operation`) and the models that validate
requests."""

from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from flasgger import Swagger, swag_from
from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from werkzeug.routing import Rule

from ml_api import __version__
from ml_api.access import PUBLIC, Scope
from ml_api.api import authorization, examples, problems, schemas
from ml_api.api.authorization import SCOPE
from ml_api.api.parsing import REQUEST_TIMEOUT
from ml_api.api.schemas import JsonObject
from ml_api.api.schemas.base import Problem
from ml_api.api.urls import MODEL, PARAMETERS

View = TypeVar("View", bound=Callable[..., Any])
REF = "#/components/schemas/{model}"
TITLE = "Semantic image search"
TAGS = [
    {"name": "search", "description": "Find images."},
    {"name": "images", "description": "Look at stored images, add and delete some."},
    {"name": "sync", "description": "Make the index equal to the corpus."},
    {"name": "service", "description": "What is loaded, stored and ready."},
]
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
SERVERS = [{"url": "."}]
"""The server is where the document itself is, whatever its path."""
LATE = ("invalid-timeout", "deadline-exceeded")
"""Error codes of routes that take `TIMEOUT`."""
EVERYWHERE = ("misdirected-request",)
"""Error codes of every route."""
REFUSED = ("unauthorized", "invalid-api-key", "insufficient-scope", "cross-origin", "database-unavailable")
"""Error codes of every route that is not public."""
SECURITY_SCHEMES: JsonObject = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key: `python -m ml_api keys create NAME --scope search`.",
    },
    "header": {"type": "apiKey", "in": "header", "name": authorization.HEADER, "description": "The same key."},
}
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


def register(app: Flask, example_id: str | None, model: str, timeout_s: float, *, asks_for_keys: bool) -> None:
    """Serve the document at /openapi.json and a current Swagger UI at /apidocs/, which requests nothing from other hosts.

    `example_id` is the id of a stored image and `model` the name of the one in use, so that "Try it out" works unchanged;
    `timeout_s` is the time limit of a request.

    flasgger's own bundle dates from 2020 and loads fonts from elsewhere, so its static files and page are replaced.
    """
    config = {
        "openapi": "3.1.0",
        "title": TITLE,
        "headers": [],
        "specs": [
            {"endpoint": "apispec", "route": "/openapi.json", "rule_filter": _is_documented, "model_filter": lambda _tag: True}
        ],
        "specs_route": "/apidocs/",
        "static_folder": str(files("flask_swagger_ui") / "dist"),
        "static_url_path": "/apidocs/assets",
    }
    parameters = {"image_id": _image_id(example_id), "model_id": _model_id(model), "request_timeout": _timeout(timeout_s)}
    components = {"schemas": component_schemas(), "parameters": parameters}
    template = {"info": _info(), "servers": SERVERS, "tags": TAGS, "components": components}
    if asks_for_keys:  # Swagger UI asks for a key and has padlocks as soon as there are schemes, if only an empty object of them
        components["securitySchemes"] = SECURITY_SCHEMES
        template["security"] = [{name: []} for name in SECURITY_SCHEMES]
    Swagger(app, config=config, template=template)


def _is_documented(rule: Rule) -> bool:
    """Whether a route is in the document: those for programs are; pages, assets and the document itself are not."""
    return rule.rule.startswith("/v1/") or rule.rule in {"/livez", "/readyz"}


def _info() -> JsonObject:
    return {
        "title": TITLE,
        "version": __version__,
        "description": "Search images by what they show: in words, or with another image. "
        "Errors are `application/problem+json` (RFC 9457) with a stable `code`.",
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    }


def _image_id(example: str | None) -> JsonObject:
    return {
        "name": "image_id",
        "in": "path",
        "required": True,
        "description": "Id of a stored image, as in the hits of a search.",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        **({"example": example} if example else {}),
    }


def _model_id(example: str) -> JsonObject:
    return {
        "name": "model_id",
        "in": "path",
        "required": True,
        "description": "Name of the model as in `/v1/model`, percent-encoded; slashes may stand as they are.",
        "schema": {"type": "string", "minLength": 1},
        "example": example,
    }


def _timeout(most_s: float) -> JsonObject:
    return {
        "name": REQUEST_TIMEOUT,
        "in": "header",
        "required": False,
        "description": "Seconds, from its arrival, after which an answer to this request is no longer wanted.",
        "schema": {"type": "number", "exclusiveMinimum": 0, "maximum": most_s, "default": most_s},
    }


@cache
def component_schemas() -> JsonObject:
    """The models of requests and answers as JSON schemas, by name. The cached value must not be changed."""
    described: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "validation") for model in schemas.REQUESTS]
    described += [(model, "serialization") for model in schemas.ANSWERS]
    _, definitions = models_json_schema(described, ref_template=REF)
    by_name: JsonObject = definitions["$defs"]
    return by_name


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
