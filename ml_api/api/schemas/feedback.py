"""The requests and answers of `/v1/feedback`."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from ml_api.api.schemas.base import Answer, Request
from ml_api.api.schemas.filters import JsonObject
from ml_api.api.schemas.images import ID_PATTERN
from ml_api.api.schemas.search import encodable
from ml_api.vocabulary import Verdict

MAX_COMMENT_CHARS: Final = 1000
QUERY_ID_PATTERN: Final = r"^[A-Za-z0-9._-]{1,70}$"
"""The id of a query in a batch is that of the request with the number of the query."""
VERDICT: Final = (
    "`relevant`, `irrelevant`; `clicked`: looked at, which takes the place of neither; `none` takes back what was said before."
)


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds the character NUL; leave it out")
    return encodable(text)


def _query_id(text: str) -> str:
    if not re.fullmatch(QUERY_ID_PATTERN, text):
        raise ValueError("must be the `query_id` of an answer, as it stands there")
    return text


class FeedbackRequest(Request):
    query_id: Annotated[
        str,
        Field(description="`query_id` of the answer with the hit.", json_schema_extra={"pattern": QUERY_ID_PATTERN}),
        AfterValidator(_query_id),
    ]
    id: Annotated[str, Field(description="`id` of the hit.", json_schema_extra={"pattern": ID_PATTERN})]
    verdict: Annotated[Literal["relevant", "irrelevant", "clicked", "none"], Field(description=VERDICT)]
    comment: Annotated[
        str, Field(max_length=MAX_COMMENT_CHARS, description="For people who read the judgements."), AfterValidator(_storable)
    ] = ""


class FeedbackAnswer(Answer):
    query_id: str
    id: Annotated[str, Field(pattern=ID_PATTERN)]
    verdict: Annotated[Verdict, Field(description="The one that counts now.")]


class JudgementLine(Answer):
    query_id: str
    id: Annotated[str, Field(pattern=ID_PATTERN, description="Of the image.")]
    grade: Annotated[int, Field(description="2 for `relevant`, 1 for `clicked`, 0 for `irrelevant`.")]
    verdict: Verdict
    rank: Annotated[int, Field(description="Of the hit, from 1 on.")]
    query: Annotated[JsonObject, Field(description="What was asked for, as `/v1/search` takes it; texts only if they are kept.")]
    model: str
    comment: str
    judged_at: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
