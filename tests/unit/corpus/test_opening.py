"""From a URL to a corpus: what is missing is said with the command that installs it."""

import builtins
import subprocess
import sys
from pathlib import Path

import pytest

from ml_api.corpus.bucket import open_objects
from ml_api.corpus.bucket.filesystem import FilesystemObjects
from ml_api.corpus.bucket.s3 import S3Objects
from ml_api.errors import ConfigError

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("url", "root", "key", "object_key"),
    [
        ("s3://bucket", "bucket", "a.jpg", "a.jpg"),
        ("s3://bucket/", "bucket", "a.jpg", "a.jpg"),
        ("s3://bucket/some/prefix", "bucket/some/prefix", "a.jpg", "some/prefix/a.jpg"),
        ("s3a://bucket/some/prefix/", "bucket/some/prefix", "a.jpg", "some/prefix/a.jpg"),
    ],
)
def test_an_s3_url_names_a_bucket_and_a_prefix(url, root, key, object_key):
    objects = open_objects(url)
    assert isinstance(objects, S3Objects)
    assert objects.root == root
    assert objects.location == url.rstrip("/")
    assert objects.writable


def test_anonymous_access_is_asked_for_by_the_librarys_variable_and_writes_nothing():
    code = "from ml_api.corpus.bucket import open_objects; print(open_objects('s3://bucket').writable)"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"FSSPEC_S3_ANON": "true"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert found.stdout == "False\n"


def test_other_schemes_are_opened_by_fsspec():
    objects = open_objects("memory://corpus/sub")
    assert isinstance(objects, FilesystemObjects)
    assert (objects.root, objects.location) == ("corpus/sub", "memory://corpus/sub")


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [("s3://b", "s3fs", "s3"), ("gs://b", "gcsfs", "gcs"), ("az://b", "adlfs", "azure"), ("abfs://b/p", "adlfs", "azure")],
)
def test_a_missing_library_is_named_with_the_command_that_installs_it(monkeypatch, url, package, extra):
    found = builtins.__import__

    def without(name, *arguments, **named):
        if name.partition(".")[0] in {"s3fs", "gcsfs", "adlfs", "botocore"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return found(name, *arguments, **named)

    for loaded in [name for name in sys.modules if name.partition(".")[0] in {"s3fs", "botocore"} or name.endswith("bucket.s3")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError) as missing:
        open_objects(url)
    assert missing.value.problems == (
        f"ML_API_CORPUS: the package {package} is not installed: pip install -r requirements-{extra}.txt -c constraints.txt",
    )


def test_a_scheme_that_nobody_knows_is_refused():
    with pytest.raises(ConfigError, match="ML_API_CORPUS: nonsense:// cannot be opened"):
        open_objects("nonsense://bucket")
