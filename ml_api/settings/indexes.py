"""The settings of the vector index: which there are, and which of them each index type uses."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field


@dataclass(frozen=True)
class OfIndex:
    """Marks a setting that only these index types use: given beside another one it is a problem, not a silently ignored wish."""

    kinds: tuple[str, ...]

    def __init__(self, *kinds: str) -> None:
        object.__setattr__(self, "kinds", kinds)


Index = Annotated[
    Literal["HNSW", "FLAT", "IVF_FLAT", "IVF_SQ8", "IVF_PQ", "SCANN", "DISKANN"],
    Field(
        description="Index type, fixed when a collection is created; the last three are of Milvus servers. "
        "The settings of another index type are refused."
    ),
]
HnswM = Annotated[int, Field(ge=4, le=64, description="HNSW: links per node, fixed with the collection."), OfIndex("HNSW")]
HnswEfConstruction = Annotated[
    int, Field(ge=8, le=512, description="HNSW: candidates while building, fixed with the collection."), OfIndex("HNSW")
]
HnswEf = Annotated[
    int,
    Field(ge=1, le=32_768, description="HNSW: candidates while searching; at least the number of results requested."),
    OfIndex("HNSW"),
]
IvfNlist = Annotated[
    int,
    Field(ge=1, le=65_536, description="IVF and SCANN: number of clusters, fixed with the collection."),
    OfIndex("IVF_FLAT", "IVF_SQ8", "IVF_PQ", "SCANN"),
]
IvfNprobe = Annotated[
    int,
    Field(ge=1, le=65_536, description="IVF and SCANN: clusters searched."),
    OfIndex("IVF_FLAT", "IVF_SQ8", "IVF_PQ", "SCANN"),
]
PqM = Annotated[
    int,
    Field(
        ge=1,
        le=4096,
        description="IVF_PQ: parts that a vector is cut into, a divisor of its dimensions, fixed with the collection.",
    ),
    OfIndex("IVF_PQ"),
]
PqNbits = Annotated[int, Field(ge=1, le=16, description="IVF_PQ: bits of each part, fixed with the collection."), OfIndex("IVF_PQ")]
ScannReorderK = Annotated[
    int,
    Field(
        ge=1,
        le=32_768,
        description="SCANN: candidates whose exact scores are computed; at least the number of results requested.",
    ),
    OfIndex("SCANN"),
]
DiskannSearchList = Annotated[
    int,
    Field(ge=1, le=32_768, description="DISKANN: candidates while searching; at least the number of results requested."),
    OfIndex("DISKANN"),
]
