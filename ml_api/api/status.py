"""What is loaded, what is stored, and whether it works."""

from flask import Blueprint, Response

from ml_api.api.answers import json_answer
from ml_api.api.openapi import TIMEOUT, operation, ref
from ml_api.api.parsing import request_deadline
from ml_api.api.schemas import AliveAnswer, ModelAnswer, ReadyAnswer, StatsAnswer
from ml_api.api.state import services

blueprint = Blueprint("status", __name__)


@blueprint.get("/v1/model")
@operation("Which model embeds", tag="service", answer=ModelAnswer, fails=(400,))
def model() -> Response:
    loaded = services().embedder.model
    return json_answer(
        ModelAnswer(name=loaded.name, revision=loaded.revision, dim=loaded.dim, device=loaded.device, precision=loaded.precision)
    )


@blueprint.get("/v1/stats")
@operation("How much is stored, and how", tag="service", answer=StatsAnswer, parameters=(TIMEOUT,), fails=(400, 503, 504))
def stats() -> Response:
    facts, count = services().facts, services().store.count(request_deadline())
    return json_answer(StatsAnswer(images=count, collection=facts.collection, backend=facts.backend, metric=facts.metric))


@blueprint.get("/livez")
@operation("Is the process alive", tag="service", answer=AliveAnswer, fails=(400,))
def alive() -> Response:
    return json_answer(AliveAnswer())


@blueprint.get("/readyz")
@operation(
    "Can it answer a search",
    tag="service",
    description="Runs a real embedding and a real search.",
    answer=ReadyAnswer,
    fails=(400,),
    also={
        "503": {
            "description": "At least one part is not ready; `parts` says which and why.",
            "content": {"application/json": {"schema": ref(ReadyAnswer)}},
        }
    },
)
def ready() -> Response:
    parts = services().health.readiness()
    is_ready = all(state == "ok" for state in parts.values())
    return json_answer(ReadyAnswer(ready=is_ready, parts=parts), 200 if is_ready else 503)
