"""Routes of the state of the service: the model, the number of images, the fields of the metadata, liveness and readiness."""

from flask import Blueprint, Response

from ml_api.access import PUBLIC, Scope
from ml_api.api import services
from ml_api.api.answers import json_answer, timestamp
from ml_api.api.examples import NOT_READY
from ml_api.api.operation import LATE, NO_STORE, TIMEOUT, operation, ref
from ml_api.api.parsing import request_deadline
from ml_api.api.schemas import AliveAnswer, CalibrationAnswer, ModelAnswer, ReadyAnswer, StatsAnswer
from ml_api.api.schemas.fields import FieldValue, MetadataAnswer, MetadataField
from ml_api.calibration.storage import WANTED
from ml_api.errors import DatabaseUnavailable
from ml_api.search.fields import FRESH_S, SAMPLE

blueprint = Blueprint("status", __name__)


@blueprint.get("/v1/model")
@operation("get_model", "Which model embeds", tag="service", scope=Scope.SEARCH, answer=ModelAnswer, fails=("invalid-query",))
def model() -> Response:
    loaded = services().engine.embedder.model
    return json_answer(
        ModelAnswer(
            name=loaded.name,
            revision=loaded.revision,
            dim=loaded.dim,
            device=loaded.device,
            precision=loaded.precision,
            text_model=loaded.text_model or None,
        )
    )


@blueprint.get("/v1/stats")
@operation(
    "get_stats",
    "How much is stored, and how",
    tag="service",
    scope=Scope.SEARCH,
    answer=StatsAnswer,
    parameters=(TIMEOUT,),
    fails=("invalid-query", *NO_STORE, *LATE),
)
def stats() -> Response:
    facts, count = services().facts, services().engine.store.count(request_deadline())
    return json_answer(
        StatsAnswer(
            images=count,
            collection=facts.collection,
            backend=facts.backend,
            metric=facts.metric,
            calibration=_calibration(),
        )
    )


def _calibration() -> CalibrationAnswer | None:
    """The calibration; None if there is none, or the database is away, as the page still needs the number of images."""
    try:
        made = services().engine.calibration.kept.row()
    except DatabaseUnavailable:
        return None
    if made is None or not made.measures.get("tells"):
        return None
    measures = made.measures
    return CalibrationAnswer(
        made_at=None if made.made_at == WANTED else timestamp(made.made_at),
        images=made.images,
        searches=measures["queries"],
        auc=round(measures["auc"], 3),
        calibration_error=round(measures["calibration_error"], 3),
        verdicts=measures["verdicts"],
        judged_texts=measures["judged_texts"],
        used_texts=measures["used_texts"],
    )


@blueprint.get("/v1/metadata")
@operation(
    "get_metadata_fields",
    "Which fields the metadata have",
    tag="images",
    scope=Scope.SEARCH,
    description=f"What filters can ask for: types, ranges and frequent values, from {SAMPLE:,} images at most, up to {FRESH_S:g} "
    "seconds old.",
    answer=MetadataAnswer,
    parameters=(TIMEOUT,),
    fails=("invalid-query", *NO_STORE, *LATE),
)
def metadata() -> Response:
    overview = services().engine.searcher.fields.overview(request_deadline())
    fields = [
        MetadataField(
            name=name,
            images=summary.images,
            types=dict(summary.types),
            least=summary.least,
            most=summary.most,
            values=[FieldValue(value=value, images=images) for value, images in summary.frequent()],
            distinct=len(summary.values) if summary.complete else None,
        )
        for name, summary in overview.fields.items()
    ]
    return json_answer(MetadataAnswer(over=overview.over, whole=overview.whole, fields=fields))


@blueprint.get("/livez")
@operation("get_liveness", "Is the process alive", tag="service", scope=PUBLIC, answer=AliveAnswer, fails=("invalid-query",))
def alive() -> Response:
    return json_answer(AliveAnswer())


@blueprint.get("/readyz")
@operation(
    "get_readiness",
    "Can it answer a search",
    tag="service",
    scope=PUBLIC,
    description="Runs a real embedding and a real search.",
    answer=ReadyAnswer,
    fails=("invalid-query",),
    also={
        "503": {
            "description": "At least one part is not ready; `parts` says which and why.",
            "content": {"application/json": {"schema": ref(ReadyAnswer), "example": NOT_READY}},
        }
    },
)
def ready() -> Response:
    parts = services().engine.health.readiness()
    is_ready = all(state == "ok" for state in parts.values())
    return json_answer(ReadyAnswer(ready=is_ready, parts=parts), 200 if is_ready else 503)
