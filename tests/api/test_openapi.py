"""The OpenAPI document: complete, valid, and kept whatever is sent."""

import io
import json
import re
import time

import pytest
import schemathesis
import schemathesis.specs.openapi.stateful.dependencies  # it would be compiled later, beside threads that compile: 3.11 fails then
from hypothesis import HealthCheck, settings
from schemathesis import checks

from ml_api.api.feedback import EXAMPLE as VERDICT
from ml_api.api.schemas.base import Answer
from ml_api.feedback import PastSearch
from tests.api.stand import picture

UNDOCUMENTED = {
    "/",
    "/apidocs/",
    "/apidocs/index.html",
    "/apidocs/assets/<filename>",
    "/openapi.json",
    "/docs",
    "/oauth2-redirect.html",
    "/session",
}
"""For browsers, not for programs."""

CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.positive_data_acceptance,
    checks.unsupported_method,
]
TAKING_MORE = {
    *("/v1/embeddings", "/v1/search/image", "/v1/search", "/v1/search/batch"),
    *("/v1/images", "/v1/images/by-key/{key}", "/v1/events"),
}
"""Random bytes are no image, random objects no notification, and a term is of one kind."""
OF_A_LANGUAGE = {"filter", "cursor", "group", "facets", "sort"}
"""Parameters that a schema does not describe to the end: conditions, places in a ranking, names of fields."""


@pytest.fixture(scope="module")
def stand(shared_stand):
    return shared_stand


@pytest.fixture(scope="module")
def api_schema(stand):
    return schemathesis.openapi.from_wsgi("/openapi.json", stand.app)


api = schemathesis.pytest.from_fixture("api_schema")


@api.parametrize()
@settings(max_examples=settings.default.max_examples // 5, suppress_health_check=list(HealthCheck))
def test_no_request_is_answered_in_a_way_that_the_document_does_not_describe(case):
    own_language = any(isinstance(part, dict) and part.keys() & OF_A_LANGUAGE for part in (case.query, case.body))
    takes_more = case.path in TAKING_MORE or own_language
    excluded = [checks.positive_data_acceptance] if takes_more else []
    response = case.call(headers={"Accept-Encoding": "identity"})  # it does not decompress what an application in its process sends
    if response.status_code == 504:
        assert "X-Request-Timeout" in case.headers
        excluded.append(checks.not_a_server_error)  # as asked for: a valid time may be a nanosecond
    conditions = {name: sent for name, sent in case.headers.items() if name in {"If-Match", "If-None-Match"}}
    # A valid condition need not hold; and where an example is completed, headers do not follow their patterns.
    if response.status_code == 412 or any('"' not in sent and sent != "*" for sent in conditions.values()):
        assert conditions
        excluded.append(checks.positive_data_acceptance)
    case.validate_response(response, checks=CHECKS, excluded_checks=excluded)


def test_every_route_is_documented(stand, document):
    rules = {re.sub("<[a-z]+:", "<", rule.rule) for rule in stand.app.url_map.iter_rules() if "static" not in rule.endpoint}
    documented = {path.replace("{", "<").replace("}", ">") for path in document["paths"]}
    assert rules - UNDOCUMENTED == documented


def test_every_reference_leads_somewhere(document):
    def references(node):
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    for reference in references(document):
        target = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]


def test_every_field_of_an_answer_is_told_to_be_there(document):
    """Clients that are made from the document would else expect of each that it may be missing."""
    answers, optional = [Answer], []
    while answers:
        answer = answers.pop()
        answers += answer.__subclasses__()
        described = document["components"]["schemas"].get(answer.__name__, {})
        optional += [(answer.__name__, name) for name in described.get("properties", {}).keys() - {*described.get("required", ())}]
    assert not optional


def test_only_what_is_required_has_an_example(document):
    """Swagger UI sends what has one, and would show another answer than the same call without it."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", []):
                told = resolved(document, parameter)
                assert told["required"] or "example" not in told, (method, path, told["name"])


def test_examples_work_as_they_stand(make_stand):
    stand = make_stand()  # the other's images may be deleted by now
    judged = PastSearch(VERDICT["query_id"], "fake", {"query": [{"text": "red"}]}, (VERDICT["id"],), 1, time.time())
    stand.services.judgements.searches.note(judged)
    document = stand.client.get("/openapi.json").get_json()
    ways = [(path, *way) for path, operations in document["paths"].items() for way in operations.items()]
    for path, method, operation in sorted(ways, key=lambda way: way[1] == "delete"):  # last of all
        parameters = [resolved(document, parameter) for parameter in operation.get("parameters", [])]
        examples = {parameter["in"]: {} for parameter in parameters}
        for parameter in parameters:
            if "example" in parameter:
                examples[parameter["in"]][parameter["name"]] = parameter["example"]
        url = path.format(**examples.get("path", {}))
        for media_type, body in operation.get("requestBody", {"content": {"": {}}})["content"].items():
            sent = example_body(document, media_type, body)
            response = stand.client.open(url, method=method, query_string=examples.get("query"), **sent)
            assert response.status_code // 100 == 2, (method, url, response.get_data(as_text=True))
            answer = response.get_json(silent=True) or {}
            assert answer.get("hits", True), (method, url, "finds nothing")
            assert answer.get("images", True), (method, url, "lists nothing")


def resolved(document, parameter):
    return document["components"]["parameters"][parameter["$ref"].rpartition("/")[2]] if "$ref" in parameter else parameter


def example_body(document, media_type, body):
    match media_type:
        case "application/cloudevents+json" | "application/cloudevents-batch+json" | "application/merge-patch+json":
            return {"data": json.dumps(body["example"]), "content_type": media_type}
        case "application/json":
            return {"json": body.get("example") or schema_example(document, body["schema"])}
        case "multipart/form-data":
            fields = body.get("example") or {"image": (io.BytesIO(picture()), "x.png")}
            return {"data": fields, "content_type": media_type}
        case "application/octet-stream":
            return {"data": picture(), "content_type": "image/png"}
        case _:
            return {}


def schema_example(document, schema):
    properties = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"]
    return {name: field["examples"][0] for name, field in properties.items() if "examples" in field}
