"""The request and the answer of `/v1/images/{id}/heatmap`: where in a stored image a text is found."""

from typing import Annotated

from pydantic import Field

from ml_api.api.schemas.base import Answer
from ml_api.api.schemas.search import Described


class HeatmapParameters(Described):
    """In a query string."""


class HeatmapAnswer(Answer):
    rows: Annotated[int, Field(description="Of the grid, which covers the whole picture, as displayed.")]
    columns: int
    heat: Annotated[
        list[list[float]],
        Field(description="Row by row from the top: 0 where the text is found least, 1 where it is found most, in this picture."),
    ]
    least: Annotated[float, Field(description="Cosine similarity of the text and the part of the picture where `heat` is 0.")]
    greatest: Annotated[
        float, Field(description="The same where `heat` is 1. Hardly more than `least`: the text is everywhere, or nowhere.")
    ]
    whole: Annotated[float, Field(description="Cosine similarity of the text and the whole picture.")]
