"""Where the vectors are kept and how they are indexed, as plain values."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from ml_api.vectors.base import Metric


@dataclass(frozen=True, slots=True)
class Connection:
    """A Milvus server (`http(s)://host:port`) or a folder of Milvus Lite (a path ending in `.db`)."""

    uri: str
    token: str = field(default="", repr=False)
    database: str = ""
    tls_ca: Path | None = None
    tls_server_name: str = ""

    @property
    def embedded(self) -> bool:
        return "://" not in self.uri

    @property
    def address(self) -> str:
        """For messages: without the password that a URI can carry."""
        if self.embedded:
            return self.uri
        parts = urlsplit(self.uri)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """The index and its parameters, named as Milvus does. Metric and kind are fixed when a collection is created."""

    metric: Metric = "COSINE"
    kind: Literal["HNSW", "IVF_FLAT", "FLAT"] = "HNSW"
    hnsw_m: int = 16
    hnsw_ef_construction: int = 200
    hnsw_ef: int = 64
    ivf_nlist: int = 1024
    ivf_nprobe: int = 16

    @property
    def build(self) -> dict[str, int]:
        match self.kind:
            case "HNSW":
                return {"M": self.hnsw_m, "efConstruction": self.hnsw_ef_construction}
            case "IVF_FLAT":
                return {"nlist": self.ivf_nlist}
            case "FLAT":
                return {}

    def search(self, window: int, *, embedded: bool) -> dict[str, Any]:
        """`window` is the number of nearest vectors wanted; HNSW must look at as many candidates at least.

        So must IVF_FLAT on Milvus Lite, where a segment of a thousand rows can have as many clusters, of one row each.
        """
        params = {}
        match self.kind:
            case "HNSW":
                params = {"ef": max(self.hnsw_ef, window)}
            case "IVF_FLAT":
                params = {"nprobe": min(max(self.ivf_nprobe, window if embedded else 0), self.ivf_nlist)}
            case "FLAT":
                pass
        return {"metric_type": self.metric, "params": params}
