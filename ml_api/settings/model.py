"""Every setting with its type, range, default and description, frozen once read.

The environment variables, the command line's options and the table in docs/settings.md are derived from this file; a test keeps
them equal.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from ml_api.settings import callers, indexes, searches, values

MIB = 2**20

RealFolder = Annotated[Path, AfterValidator(values.real_folder)]
Corpus = Annotated[Path | str, AfterValidator(values.corpus)]
File = Annotated[Path, AfterValidator(values.file)]


class Settings(BaseModel):
    """The whole configuration. Constructors elsewhere take plain values; only `services.build_services` unpacks this."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    corpus: Annotated[
        Corpus | None,
        Field(
            description="Images to index and to serve: a folder, or the URL of a bucket with or without a prefix, such as "
            "`s3://bucket/prefix`."
        ),
    ] = None
    ignore: Annotated[
        str,
        Field(
            description="Files that are not indexed: patterns in `.gitignore` syntax, separated by commas. "
            "A file `.mlapiignore` in the root of the corpus adds to them."
        ),
    ] = ""
    include: Annotated[
        str,
        Field(description="The only files that are indexed, in the same syntax, such as `/shop/**,*.jpg`; empty for all images."),
    ] = ""
    follow_links: Annotated[
        bool,
        Field(
            description="Whether symbolic links in a corpus folder may lead to folders and files outside it. Everyone who can "
            "create links there then decides what is shown."
        ),
    ] = False
    watch: Annotated[bool, Field(description="Whether the service follows a corpus folder while it serves.")] = False
    catalogue: Annotated[
        str,
        AfterValidator(values.catalogue),
        Field(
            description="Metadata beside those in the corpus: a path or an http(s) URL that ends in `.csv`, `.jsonl` or `.parquet`."
        ),
    ] = ""
    exif: Annotated[bool, Field(description="Whether date, camera and GPS position noted in files become metadata.")] = False
    model: Annotated[
        str, Field(min_length=1, description="Dual encoder: a name on the Hugging Face hub (`clip-ViT-B-32`) or a local directory.")
    ] = "clip-ViT-B-32"
    text_model: Annotated[
        str, Field(description="Text encoder for the vector space of `ML_API_MODEL`, such as `clip-ViT-B-32-multilingual-v1`.")
    ] = ""
    device: Annotated[
        Literal["auto", "cpu", "cuda"], Field(description="Device that the model runs on; `auto` uses a GPU if there is one.")
    ] = "auto"
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        Field(description="Number format of the forward pass; `auto` uses `bf16` if the hardware has it. Vectors stay comparable."),
    ] = "auto"
    embedding_url: Annotated[
        str,
        AfterValidator(values.triton_address),
        Field(description="Triton server that runs the model, `triton://host:port/name`; empty to run it in this process."),
    ] = ""

    milvus_uri: Annotated[
        str,
        AfterValidator(values.store_address),
        Field(
            description="`http(s)://host:port` of a Milvus server, or a local path ending in `.db` (Milvus Lite, embedded); "
            "empty for `milvus.db` in the data folder.",
        ),
    ] = ""
    data_dir: Annotated[
        RealFolder,
        Field(
            description="Folder of all data: the embedded store, the database, cached thumbnails, converted models, "
            "the metrics of syncs."
        ),
    ] = Path("data")
    database_url: Annotated[
        SecretStr,
        Field(
            description="PostgreSQL database for the service's own state (jobs, keys), `postgresql://user:password@host/name`; "
            "empty for a SQLite file in the data folder."
        ),
    ] = SecretStr("")
    thumbnail_cache_bytes: Annotated[
        int,
        Field(
            ge=0,
            le=2**40,
            description="Disk space for cached thumbnails, in bytes (20 to 60 KB each); least recently used go first.",
        ),
    ] = 1024 * MIB
    milvus_token: Annotated[SecretStr, Field(description="Milvus token, `user:password` or an API key.")] = SecretStr("")
    milvus_database: Annotated[
        str, AfterValidator(values.database), Field(description="Milvus database; empty for the default one.")
    ] = ""
    milvus_tls_ca: Annotated[
        File | None, Field(description="CA certificate (PEM) that an `https://` Milvus server is verified with.")
    ] = None
    milvus_tls_server_name: Annotated[
        str, Field(description="Name expected in the Milvus server's certificate, if it differs from the host's.")
    ] = ""
    collection: Annotated[
        str,
        AfterValidator(values.collection),
        Field(description="Name (Milvus alias) of the collection of vectors."),
    ] = "images"
    metric: Annotated[
        Literal["COSINE", "IP", "L2"], Field(description="Similarity metric, fixed when a collection is created.")
    ] = "COSINE"
    index: indexes.Index = "HNSW"
    hnsw_m: indexes.HnswM = 16
    hnsw_ef_construction: indexes.HnswEfConstruction = 200
    hnsw_ef: indexes.HnswEf = 64
    ivf_nlist: indexes.IvfNlist = 1024
    ivf_nprobe: indexes.IvfNprobe = 16
    pq_m: indexes.PqM = 32
    pq_nbits: indexes.PqNbits = 8
    scann_reorder_k: indexes.ScannReorderK = 256
    diskann_search_list: indexes.DiskannSearchList = 128
    recall_sample: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Share of the searches that are repeated exactly in the background, for the metric `ml_api_online_recall`; "
            "0 is none, and indexes that are exact need none.",
        ),
    ] = 0.01
    filter_fields: Annotated[
        str,
        Field(
            description="Metadata fields that filters often name, separated by commas: on a Milvus server they get columns of "
            "their own, in collections made from then on."
        ),
    ] = ""
    store_timeout_s: Annotated[float, Field(gt=0, le=600, description="Timeout of one call of the vector store, in seconds.")] = 10

    max_upload_bytes: Annotated[
        int, Field(ge=1024, le=1024 * MIB, description="Largest image file, in bytes, uploaded or in the corpus.")
    ] = 32 * MIB
    max_image_pixels: Annotated[int, Field(ge=1024, le=1_000_000_000, description="Largest image, in pixels (width x height).")] = (
        128_000_000
    )
    max_image_aspect: Annotated[
        float, Field(ge=1, le=1000, description="Largest aspect ratio of an image: longer side divided by shorter side.")
    ] = 20
    decode_timeout_s: Annotated[float, Field(ge=0.5, le=600, description="Time limit for decoding one image, in seconds.")] = 4
    decode_memory_bytes: Annotated[
        int, Field(ge=128 * MIB, le=1024 * 1024 * MIB, description="Memory limit for all images being decoded at once, in bytes.")
    ] = 1024 * MIB

    host: Annotated[str, Field(min_length=1, description="Address to listen on.")] = "127.0.0.1"
    allowed_hosts: callers.AllowedHosts = ""
    cors_origins: callers.CorsOrigins = ""
    auth: callers.Auth = "auto"
    published_host: callers.PublishedHost = ""
    root_path: callers.RootPath = ""
    trusted_proxies: callers.TrustedProxies = ""
    port: Annotated[int, Field(ge=1, le=65_535, description="Port of the API and the page.")] = 8420
    metrics_port: Annotated[int, Field(ge=1, le=65_535, description="Port of the Prometheus metrics, on the same address.")] = 9464
    threads: Annotated[int, Field(ge=1, le=256, description="Requests processed at once.")] = 32
    request_timeout_s: Annotated[
        float, Field(gt=0, le=600, description="Time limit for answering a request, in seconds; a request over it is answered 504.")
    ] = 30
    queue_limit: Annotated[
        int, Field(ge=1, le=100_000, description="Requests that may wait for a thread; further ones are answered 503 at once.")
    ] = 256
    queue_wait_s: Annotated[
        float,
        Field(
            gt=0, le=600, description="Longest expected wait for a thread, in seconds; requests over it are answered 503 at once."
        ),
    ] = 3
    text_cache: Annotated[
        int,
        Field(ge=0, le=1_000_000, description="Search texts whose vectors are cached, about 3 KB each; 0 disables the cache."),
    ] = 4096

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="Lowest level of log records that are written.")
    ] = "info"
    log_queries: searches.LogQueries = False
    feedback_searches: searches.FeedbackSearches = 100_000
    feedback_days: searches.FeedbackDays = 7
    environment: Annotated[
        str,
        AfterValidator(values.label),
        Field(description="Name of this deployment, on every log line (`service.environment`)."),
    ] = "development"
    revision: Annotated[
        str,
        AfterValidator(values.label),
        Field(description="Commit of this build, for the metric `ml_api_build_info`; container images have it set."),
    ] = "unknown"

    @property
    def store_uri(self) -> str:
        """A Milvus server's address, or the absolute path of the embedded store."""
        return self.milvus_uri or str(self.data_dir / "milvus.db")

    @property
    def store_is_embedded(self) -> bool:
        """Whether the store is a folder of Milvus Lite, which one process owns, and not a server, which answers every process."""
        return "://" not in self.store_uri

    @property
    def database_address(self) -> str:
        """A database's URL, with its password, or the path of a SQLite file."""
        return self.database_url.get_secret_value() or str(self.data_dir / "ml_api.sqlite3")

    @property
    def waiting_threads(self) -> int:
        """How many requests may wait at once for one slow part: searches need the other threads."""
        return max(1, self.threads // 2)

    @property
    def thumbnails(self) -> Path:
        """Folder of cached thumbnails; safe to delete."""
        return self.data_dir / "thumbnails"

    @property
    def converted_models(self) -> Path:
        """Folder of the model converted for OpenVINO, written at the first start; safe to delete."""
        return self.data_dir / "models"

    @property
    def sync_metrics(self) -> Path:
        """File through which syncs, which are processes of their own, pass their metrics to the service."""
        return self.data_dir / "sync.prom"

    @field_validator("model", "text_model")
    @classmethod
    def _model_may_be_at_home(cls, value: str) -> str:
        return str(values.full_path(Path(value))) if value.startswith("~") else value

    @field_validator("metrics_port")
    @classmethod
    def _metrics_have_a_port_of_their_own(cls, value: int, info: ValidationInfo) -> int:
        if value == info.data.get("port"):
            raise ValueError(f"{value} is the API's port too: the metrics need one of their own")
        return value
