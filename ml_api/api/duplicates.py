"""The route of duplicates, `GET /v1/duplicates`."""

from flask import Blueprint, Response

from ml_api.access import Scope
from ml_api.api import services
from ml_api.api.answers import duplicates_answer
from ml_api.api.operation import LATE, NO_STORE, TIMEOUT, operation
from ml_api.api.parsing import query_parameters, request_deadline
from ml_api.api.schemas.duplicates import DuplicatesAnswer, DuplicatesParameters
from ml_api.duplicates import DuplicateFinder, DuplicateThresholds

blueprint = Blueprint("duplicates", __name__, url_prefix="/v1")


@blueprint.get("/duplicates")
@operation(
    "find_duplicates",
    "Find images that are stored more than once",
    tag="images",
    scope=Scope.SEARCH,
    description="Page by page, in the order of ids: with `next` as the `cursor` of the following request, until `next` is null. A "
    "page compares `limit` images with all others, and ends early when half of its time is over; it may have no groups. "
    "Each pair is listed once; groups that share an image belong together.",
    answer=DuplicatesAnswer,
    query=DuplicatesParameters,
    parameters=(TIMEOUT,),
    fails=("invalid-query", *NO_STORE, *LATE),
)
def duplicates() -> Response:
    wanted, deadline = query_parameters(DuplicatesParameters), request_deadline()
    thresholds = DuplicateThresholds(wanted.near_bits, wanted.near_similarity, wanted.similarity)
    finder = DuplicateFinder(services().engine.store, services().facts.metric)
    return duplicates_answer(finder.page(wanted.cursor or "", wanted.limit, thresholds, deadline))
