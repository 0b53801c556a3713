"""Builds the OpenAPI document with flasgger, from the declaration at each view (`operation`) and the models that validate
requests."""

from functools import cache
from importlib.resources import files

from flasgger import Swagger
from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from werkzeug.routing import Rule

from ml_api import __version__
from ml_api.api import authorization, schemas, services
from ml_api.api.operation import REF
from ml_api.api.parsing import REQUEST_TIMEOUT
from ml_api.api.schemas import JsonObject
from ml_api.deadline import Deadline
from ml_api.errors import MlApiError

TITLE = "Semantic image search"
TAGS = [
    {"name": "search", "description": "Find images."},
    {"name": "images", "description": "Look at stored images, add and delete some."},
    {"name": "sync", "description": "Make the index equal to the corpus."},
    {"name": "service", "description": "What is loaded, stored and ready."},
]
SERVERS = [{"url": "."}]
"""The server is where the document itself is, whatever its path."""
SECURITY_SCHEMES: JsonObject = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key: `python -m ml_api keys create NAME --scope search`.",
    },
    "header": {"type": "apiKey", "in": "header", "name": authorization.HEADER, "description": "The same key."},
}
IMAGE_ID: JsonObject = {
    "name": "image_id",
    "in": "path",
    "required": True,
    "description": "Id of a stored image, as in the hits of a search.",
    "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
}
MODEL_ID: JsonObject = {
    "name": "model_id",
    "in": "path",
    "required": True,
    "description": "Name of the model as in `/v1/model`, percent-encoded; slashes may stand as they are.",
    "schema": {"type": "string", "minLength": 1},
}
EXAMPLE_S = 1.0
"""Longest wait for the store to name an image; the document works without this example."""


class _Document(Swagger):  # type: ignore[misc]  # flasgger has no types
    """The document with the model in use and a stored image as examples, so that "Try it out" works unchanged."""

    def get_apispecs(self, endpoint: str) -> JsonObject:
        document: JsonObject = super().get_apispecs(endpoint)  # kept by flasgger between requests
        examples = {"image_id": _stored_image(), "model_id": services().engine.embedder.model.name}
        parameters: JsonObject = document["components"]["parameters"]
        named = {name: {**parameters[name], "example": example} for name, example in examples.items() if example}
        return document | {"components": document["components"] | {"parameters": parameters | named}}


def register(app: Flask, timeout_s: float, *, asks_for_keys: bool) -> None:
    """Serve the document at /openapi.json and a current Swagger UI at /apidocs/, which requests nothing from other hosts.

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
    parameters = {"image_id": IMAGE_ID, "model_id": MODEL_ID, "request_timeout": _timeout(timeout_s)}
    components = {"schemas": component_schemas(), "parameters": parameters}
    template = {"info": _info(), "servers": SERVERS, "tags": TAGS, "components": components}
    if asks_for_keys:  # Swagger UI asks for a key and has padlocks as soon as there are schemes, if only an empty object of them
        components["securitySchemes"] = SECURITY_SCHEMES
        template["security"] = [{name: []} for name in SECURITY_SCHEMES]
    _Document(app, config=config, template=template)


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


def _stored_image() -> str | None:
    """The id of one; None if there is none, or the store does not answer."""
    try:
        return next((entry.id for entry in services().engine.store.page("", 1, Deadline.within(EXAMPLE_S))), None)
    except MlApiError:
        return None


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
