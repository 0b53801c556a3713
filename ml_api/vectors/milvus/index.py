"""Defines the kinds of index, where each is available, and the parameters of building and searching it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from ml_api.errors import ConfigError
from ml_api.vectors.base import SEARCH_PARAMETERS, MetricType

Kind = Literal["HNSW", "FLAT", "IVF_FLAT", "IVF_SQ8", "IVF_PQ", "SCANN", "DISKANN"]

EMBEDDED_KINDS: Final[tuple[Kind, ...]] = ("HNSW", "FLAT", "IVF_FLAT", "IVF_SQ8")
"""The kinds of Milvus Lite 3.2 (its `index/factory.py`). It accepts other names, and fails when it builds them in the
background."""

SERVER_KINDS: Final[tuple[Kind, ...]] = (*EMBEDDED_KINDS, "IVF_PQ", "SCANN", "DISKANN")
"""The kinds of servers from 2.3 on (https://milvus.io/docs/v2.3.x/index.md). A server may refuse some, such as DISKANN without a
disk."""

MAX_EF: Final = 32_768


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """The index and its parameters, with the names of the settings. MetricType and kind are fixed when a collection is created."""

    metric: MetricType = "COSINE"
    kind: Kind = "HNSW"
    hnsw_m: int = 16
    hnsw_ef_construction: int = 200
    hnsw_ef: int = 64
    ivf_nlist: int = 1024
    ivf_nprobe: int = 16
    pq_m: int = 32
    pq_nbits: int = 8
    scann_reorder_k: int = 256
    diskann_search_list: int = 128

    def check(self, dim: int, *, embedded: bool) -> None:
        """Raise ConfigError for an index that cannot be built."""
        if embedded and self.kind not in EMBEDDED_KINDS:
            raise ConfigError(
                f"ML_API_INDEX: Milvus Lite has no {self.kind} index; it has {_listed(EMBEDDED_KINDS)}. Choose one of these, or a "
                "Milvus server (ML_API_MILVUS_URI)"
            )
        if self.kind == "IVF_PQ" and dim % self.pq_m:
            raise ConfigError(
                f"ML_API_PQ_M: {self.pq_m} parts do not divide the model's {dim} dimensions evenly; choose a divisor of {dim}"
            )

    @property
    def exact(self) -> bool:
        """Whether every search compares the query with every vector."""
        return self.kind == "FLAT"

    @property
    def build(self) -> dict[str, int]:
        """The parameters with which Milvus builds the index."""
        clusters = {"nlist": self.ivf_nlist}
        match self.kind:
            case "HNSW":
                return {"M": self.hnsw_m, "efConstruction": self.hnsw_ef_construction}
            case "IVF_FLAT" | "IVF_SQ8" | "SCANN":
                return clusters
            case "IVF_PQ":
                return clusters | {"m": self.pq_m, "nbits": self.pq_nbits}
            case "FLAT" | "DISKANN":  # a server builds DISKANN with the parameters of its own configuration
                return {}

    def search(self, window: int, *, embedded: bool) -> dict[str, Any]:
        """The parameters of a search for the `window` nearest vectors, which is the least number of candidates of HNSW, SCANN and
        DISKANN.

        It is also the least number of clusters for IVF on Milvus Lite, where a segment of a thousand rows can have a thousand
        clusters.
        """
        clusters = {"nprobe": min(max(self.ivf_nprobe, window if embedded else 0), self.ivf_nlist)}
        params: dict[str, int] = {}
        match self.kind:
            case "HNSW":
                params = {"ef": max(self.hnsw_ef, window)}
            case "IVF_FLAT" | "IVF_SQ8" | "IVF_PQ":
                params = clusters
            case "SCANN":
                params = clusters | {"reorder_k": max(self.scann_reorder_k, window)}
            case "DISKANN":
                params = {"search_list": max(self.diskann_search_list, window)}
            case "FLAT":
                pass
        return {"metric_type": self.metric, "params": params}

    def wider(self, times: int) -> "VectorIndex":
        """The index with its search parameter multiplied by `times`."""
        effort = SEARCH_PARAMETERS.get(self.kind)
        return self if effort is None else self.with_effort(min(times * int(getattr(self, effort.setting)), MAX_EF))

    def with_effort(self, value: int | None) -> "VectorIndex":
        """The index with another value of its SearchParameter; unchanged for FLAT, which has none."""
        effort = SEARCH_PARAMETERS.get(self.kind)
        if value is None or effort is None:
            return self
        return replace(self, **{effort.setting: value})  # type: ignore[arg-type]  # each of these fields is an int


def _listed(kinds: Sequence[str]) -> str:
    return f"{', '.join(kinds[:-1])} and {kinds[-1]}"
