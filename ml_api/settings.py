"""Everything that can be configured, read once from `ML_API_*` environment variables and frozen.

Every field is typed, ranged and described here; the table in Introduction.md is generated from this file and checked by a test.
All problems of a configuration are reported together, and a misspelt variable is a problem, not a silently ignored wish.
"""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from ml_api.browsers import listed
from ml_api.errors import ConfigError

PREFIX = "ML_API_"

MIB = 2**20


class Settings(BaseModel):
    """The whole configuration. Constructors elsewhere take plain values; only `services.build_services` unpacks this."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    corpus: Annotated[Path | None, Field(description="Folder of images to sync and to serve. Needed by `serve`.")] = None
    model: Annotated[
        str,
        Field(
            min_length=1,
            description="CLIP model: a sentence-transformers name on the hub (`clip-ViT-B-32`) or a local directory.",
        ),
    ] = "clip-ViT-B-32"
    device: Annotated[
        Literal["auto", "cpu", "cuda"], Field(description="Where the model runs; `auto` takes a GPU if there is one.")
    ] = "auto"
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        Field(description="Numbers the model computes in; `auto` takes `bf16` where the hardware has it. Vectors stay comparable."),
    ] = "auto"
    embedding_url: Annotated[
        str,
        Field(description="A Triton server that runs the model, `triton://host:port/name`; empty to run it in this process."),
    ] = ""

    milvus_uri: Annotated[
        str,
        Field(
            min_length=1,
            description="A local path ending in `.db` (Milvus Lite, embedded) or `http(s)://host:port` (a Milvus server).",
        ),
    ] = "data/milvus.db"
    milvus_token: Annotated[SecretStr, Field(description="Milvus token, `user:password` or an API key.")] = SecretStr("")
    milvus_database: Annotated[str, Field(pattern=r"^\w*$", description="Milvus database; empty for the default one.")] = ""
    milvus_tls_ca: Annotated[
        Path | None, Field(description="CA certificate (PEM) to check an `https://` Milvus server against.")
    ] = None
    milvus_tls_server_name: Annotated[
        str, Field(description="Name expected in the Milvus server's certificate, if it differs from the host's.")
    ] = ""
    collection: Annotated[
        str,
        Field(pattern=r"^[A-Za-z_]\w{0,99}$", description="Name (Milvus alias) of the collection that holds the vectors."),
    ] = "images"
    metric: Annotated[
        Literal["COSINE", "IP", "L2"], Field(description="Similarity of vectors, fixed when a collection is created.")
    ] = "COSINE"
    index: Annotated[
        Literal["HNSW", "IVF_FLAT", "FLAT"], Field(description="Milvus index, fixed when a collection is created.")
    ] = "HNSW"
    hnsw_m: Annotated[int, Field(ge=4, le=64, description="HNSW: links per node.")] = 16
    hnsw_ef_construction: Annotated[int, Field(ge=8, le=512, description="HNSW: candidates while building.")] = 200
    hnsw_ef: Annotated[
        int,
        Field(ge=1, le=32_768, description="HNSW: candidates while searching; raised to the number of results wanted."),
    ] = 64
    ivf_nlist: Annotated[int, Field(ge=1, le=65_536, description="IVF_FLAT: number of clusters.")] = 1024
    ivf_nprobe: Annotated[int, Field(ge=1, le=65_536, description="IVF_FLAT: clusters searched.")] = 16
    store_timeout_s: Annotated[
        float, Field(gt=0, le=600, description="Longest wait for one call of the vector store, in seconds.")
    ] = 10

    max_upload_bytes: Annotated[
        int, Field(ge=1024, le=1024 * MIB, description="Largest image file, in bytes, uploaded or in the corpus.")
    ] = 20 * MIB
    max_image_pixels: Annotated[int, Field(ge=1024, le=1_000_000_000, description="Largest image, in pixels (width x height).")] = (
        100_000_000
    )
    max_image_aspect: Annotated[
        float, Field(ge=1, le=1000, description="Most elongated image: longer side divided by shorter.")
    ] = 20

    host: Annotated[str, Field(min_length=1, description="Address to listen on.")] = "127.0.0.1"
    allowed_hosts: Annotated[
        str,
        Field(
            description="Names by which the service may be asked, beyond loopback's and `ML_API_HOST`, separated by commas; "
            "`.example.org` for all below it, `*` for any. Other requests are answered with 421."
        ),
    ] = ""
    port: Annotated[int, Field(ge=1, le=65_535, description="Port of the API and the page.")] = 5000
    metrics_port: Annotated[int, Field(ge=1, le=65_535, description="Port of the Prometheus metrics, on the same address.")] = 9464
    threads: Annotated[int, Field(ge=1, le=256, description="Requests handled at once.")] = 32
    request_timeout_s: Annotated[
        float,
        Field(gt=0, le=600, description="Longest time a request may take before it is answered with 504, in seconds."),
    ] = 30
    queue_limit: Annotated[
        int,
        Field(ge=1, le=100_000, description="Requests that may wait for their turn; more get a 503 at once."),
    ] = 256
    queue_wait_s: Annotated[
        float,
        Field(
            gt=0,
            le=600,
            description="Longest expected wait for a request's turn, in seconds; those it is longer for get a 503 at once.",
        ),
    ] = 3
    text_cache: Annotated[
        int, Field(ge=0, le=1_000_000, description="Search texts whose vectors are remembered, about 3 KB each; 0 for none.")
    ] = 4096
    thumbnail_dir: Annotated[Path, Field(description="Folder of cached thumbnails; safe to delete.")] = Path("data/thumbnails")

    sync_metrics: Annotated[
        Path, Field(description="File through which syncs, which come and go, pass their metrics to the service.")
    ] = Path("data/sync.prom")

    log_level: Annotated[Literal["debug", "info", "warning", "error"], Field(description="Least severe log record written.")] = (
        "info"
    )
    log_queries: Annotated[bool, Field(description="Log search texts; otherwise only their length and a hash.")] = False
    environment: Annotated[
        str,
        Field(pattern=r"^[\w.-]{1,64}$", description="Name of this deployment, on every log line (`service.environment`)."),
    ] = "development"
    revision: Annotated[
        str,
        Field(
            pattern=r"^[\w.-]{1,64}$", description="Commit that this was built from, for `ml_api_build_info`; images have it set."
        ),
    ] = "unknown"

    @field_validator("corpus")
    @classmethod
    def _corpus_is_a_folder(cls, value: Path | None) -> Path | None:
        if value is not None and not value.expanduser().is_dir():
            raise ValueError(f"{value} is not a folder")
        return value.expanduser().resolve() if value is not None else None

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts_are_names(cls, value: str) -> str:
        listed(value)
        return value

    @field_validator("embedding_url")
    @classmethod
    def _embedding_url_names_a_model_on_triton(cls, value: str) -> str:
        if value and not re.fullmatch(r"triton://(\[[\da-fA-F:.]+\]|[\w.-]+):\d{1,5}/[\w.-]+", value):
            raise ValueError("must be triton://host:port/name, with Triton's gRPC port (8001 as a rule)")
        return value

    @field_validator("milvus_uri")
    @classmethod
    def _uri_is_a_path_or_http(cls, value: str) -> str:
        scheme, separator, rest = value.partition("://")
        if separator and (scheme not in {"http", "https"} or not rest):
            raise ValueError("must be http://host:port, https://host:port or a local path ending in .db")
        if not separator and not value.endswith(".db"):
            raise ValueError("a local path must end in .db, such as data/milvus.db")
        return value

    @field_validator("milvus_tls_ca")
    @classmethod
    def _certificate_exists(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"{value} is not a file")
        return value


def environment_name(field: str) -> str:
    return PREFIX + field.upper()


def settings_table() -> str:
    """Every setting as a row of a Markdown table, in the order of this file: the one that Introduction.md shows."""
    rows = ["| Variable | Default | Values | Meaning |", "|---|---|---|---|"]
    for field, schema in Settings.model_json_schema()["properties"].items():
        default = schema.get("default")
        cells = (
            f"`{environment_name(field)}`",
            f"`{default}`" if default not in (None, "") else "",
            _values(schema),
            schema["description"],
        )
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _values(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    least, above, most = (schema.get(bound) for bound in ("minimum", "exclusiveMinimum", "maximum"))
    if most is None:
        return "yes or no" if schema.get("type") == "boolean" else "text"
    return f"{least:,} to {most:,}" if least is not None else f"over {above:,}, to {most:,}"


def load_settings(environ: Mapping[str, str] | None = None, *, corpus: Path | None = None) -> Settings:
    """Read the environment (`os.environ` unless given); a `corpus` named on the command line wins.

    Raises ConfigError naming every problem at once. An empty variable counts as unset, as compose files and shells produce them so.
    """
    environ = os.environ if environ is None else environ
    given = {name: value for name, value in environ.items() if name.startswith(PREFIX) and value.strip()}
    known = {environment_name(field): field for field in Settings.model_fields}
    problems = [_unknown(name, list(known)) for name in sorted(given.keys() - known.keys())]
    values: dict[str, Any] = {known[name]: value for name, value in given.items() if name in known}
    try:
        settings = Settings(**(values | ({"corpus": corpus} if corpus else {})))
    except ValidationError as exc:
        problems += [_problem(error) for error in exc.errors()]
        raise ConfigError(*problems) from None
    if problems:
        raise ConfigError(*problems)
    return settings


def _unknown(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"{name} is not a setting" + (f"; did you mean {close[0]}?" if close else "")


def _problem(error: Any) -> str:
    name = environment_name(str(error["loc"][0]))
    message = error["msg"].removeprefix("Value error, ")
    given = "" if name == environment_name("milvus_token") else f" (got {str(error['input'])!r})"
    return f"{name}: {message[0].lower()}{message[1:]}{given}"
