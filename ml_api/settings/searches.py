"""The settings that say what is kept of searches."""

from typing import Annotated

from pydantic import Field

LogQueries = Annotated[
    bool,
    Field(
        description="Log search texts, and keep them with searches that can be judged; otherwise only their length and a hash are "
        "logged, and the hash is kept."
    ),
]
FeedbackSearches = Annotated[
    int,
    Field(
        ge=0,
        le=10_000_000,
        description="Searches that are kept in the database so that their hits can be judged, about 1 KB each; further ones take "
        "the place of the oldest unjudged ones. 0: none is kept, and no feedback is taken. Their texts are kept only with "
        "`ML_API_LOG_QUERIES`.",
    ),
]
FeedbackDays = Annotated[float, Field(gt=0, le=3650, description="Days after which unjudged searches are deleted.")]
