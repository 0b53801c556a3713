"""Opens the Objects at a URL; a missing library becomes a ConfigError that names the package to install."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import fsspec

from ml_api.corpus.base import location_at
from ml_api.corpus.bucket.filesystem import FilesystemObjects
from ml_api.corpus.bucket.objects import Objects
from ml_api.errors import ConfigError

EXTRAS: Final[Mapping[str, tuple[str, str]]] = {
    **dict.fromkeys(("s3", "s3a"), ("s3fs", "s3")),
    **dict.fromkeys(("gs", "gcs"), ("gcsfs", "gcs")),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), ("adlfs", "azure")),
}
"""The package for a scheme, and the name of its requirements file and extra."""

S3: Final = ("s3", "s3a")


def open_objects(url: str) -> Objects:
    """Return the Objects at `url`, without a request yet. Raises ConfigError for a scheme that is unknown, or whose library is not
    installed."""
    scheme = urlsplit(url).scheme
    try:
        options: dict[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
        if scheme in S3:
            from ml_api.corpus.bucket.s3 import CLIENT

            options["config_kwargs"] = CLIENT
        fs, path = fsspec.url_to_fs(url, **options)
    except ImportError as exc:
        raise ConfigError(f"ML_API_CORPUS: {_to_install(scheme)}") from exc
    except ValueError as exc:
        known = "s3://, gs://, az:// and others that fsspec knows"
        raise ConfigError(f"ML_API_CORPUS: {scheme}:// cannot be opened ({known}): {exc}") from exc
    if scheme in S3:
        from ml_api.corpus.bucket.s3 import S3Objects

        bucket, _, prefix = path.partition("/")
        return S3Objects(fs, bucket, f"{prefix}/" if prefix else "", location_at(url))
    return FilesystemObjects(fs, path, location_at(url))


def _to_install(scheme: str) -> str:
    if scheme not in EXTRAS:
        return f"{scheme}:// needs a package that is not installed; https://filesystem-spec.readthedocs.io names it"
    package, extra = EXTRAS[scheme]
    return f"the package {package} is not installed: pip install -r requirements-{extra}.txt -c constraints.txt"
