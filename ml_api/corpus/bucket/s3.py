"""Implements Objects by the S3 protocol, with the botocore client of s3fs: variables of these two name endpoint and credentials.

fsspec's own interface lists a whole tree at once and has no conditional requests, so pages, ETags and `If-Match` go through the
client.
"""

import mimetypes
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from io import BytesIO
from typing import Any, BinaryIO, Final, TypeVar

from aiohttp import ClientError as HttpError
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError
from fsspec.asyn import sync
from fsspec.exceptions import FSTimeoutError

from ml_api.corpus.base import CorpusFile, no_file, too_large
from ml_api.corpus.bucket.objects import CALL_TIMEOUT_S, WRITE_TIMEOUT_S
from ml_api.corpus.versions import MISSING, changed_meanwhile, require_version
from ml_api.errors import CorpusReadOnly, CorpusUnavailable, InsufficientStorage, MlApiError, NotFound, PreconditionFailed, TooLarge

CLIENT: Final = {
    "connect_timeout": 5,
    "read_timeout": 10,  # between two parts of an answer
    "max_pool_connections": 32,
    "retries": {"mode": "standard", "total_max_attempts": 3},  # of refused connections, timeouts, 5xx and 429
}
"""Configuration of botocore (https://docs.aws.amazon.com/botocore/latest/reference/config.html)."""

PAGE: Final = 1000
"""Keys in one page of a listing, S3's maximum."""

LISTING = frozenset({"Name", "KeyCount", "IsTruncated", "Contents"})
"""Every answer to a listing has at least one of these."""

CHUNK_BYTES: Final = 2**18
BODIES: Final = 4
"""How many requests read one object: each after the first continues where the body broke off, or starts anew if the object was
replaced."""

NO_ROOM = frozenset({"QuotaExceeded", "InsufficientCapacity", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "507"})
"""Error codes of Ceph, Garage and MinIO; S3 itself is never full."""

NOT_THERE = frozenset({"NoSuchKey", "404", "KeyTooLongError"})

Answer = TypeVar("Answer")


class S3Objects:
    """Objects in `bucket` whose keys begin with `prefix`, which ends in a slash or is empty. `fs` is an s3fs.S3FileSystem."""

    def __init__(self, fs: Any, bucket: str, prefix: str, location: str) -> None:
        self._fs = fs
        self._bucket = bucket
        self._prefix = prefix
        self.root = f"{bucket}/{prefix}".rstrip("/")
        self.location = location

    @property
    def writable(self) -> bool:
        return not self._fs.anon

    def list(self, prefix: str) -> Iterator[CorpusFile]:
        more: dict[str, Any] = {}
        while True:
            page = self._call("list_objects_v2", "", Prefix=f"{self._prefix}{prefix}", MaxKeys=PAGE, **more)
            if not LISTING & page.keys():  # botocore parses any document, even an empty one, as an empty listing
                raise CorpusUnavailable(f"{self.location}: what answers there is no S3 server")
            for described in page.get("Contents", ()):
                yield CorpusFile(described["Key"].removeprefix(self._prefix), _version(described))
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def version(self, key: str) -> str:
        return _version(self._call("head_object", key))

    def read(self, key: str, to: BinaryIO, max_bytes: int, timeout_s: float) -> None:
        self._run(lambda: self._fetch(key, to, max_bytes), key, timeout_s)

    def write(self, key: str, data: bytes, expected: str | None = None) -> str:
        media_type = mimetypes.guess_type(key)[0] or "application/octet-stream"
        with _changing(key):
            try:
                put = self._change("put_object", key, expected, timeout_s=WRITE_TIMEOUT_S, Body=data, ContentType=media_type)
            except PreconditionFailed:
                if (written := self._version_of(key, data)) is None:
                    raise
                return written
            return _version(put)

    def delete(self, key: str, expected: str | None = None) -> None:
        require_version(key, self.version(key), expected)  # raises NotFound; deleting a missing object would succeed
        with _changing(key):
            try:
                self._change("delete_object", key, expected)
            except PreconditionFailed:
                if self._is_there(key):
                    raise
                # A request whose answer was lost is repeated, and its condition then meets no object.

    def _is_there(self, key: str) -> bool:
        try:
            self.version(key)
        except NotFound:
            return False
        return True

    def _version_of(self, key: str, data: bytes) -> str | None:
        """Return the version of the object if it holds `data`. A request whose answer was lost is repeated, and its condition then
        meets what it wrote itself.
        """
        there = BytesIO()
        try:
            version = self._run(lambda: self._fetch(key, there, len(data)), key, WRITE_TIMEOUT_S)
        except (NotFound, TooLarge):
            return None
        return version if there.getvalue() == data else None

    async def _fetch(self, key: str, to: BinaryIO, max_bytes: int) -> str:
        """Fetch the body of one version, and return that: a request for the rest of it is conditional on the same ETag."""
        version = ""
        for _ in range(BODIES):
            rest = {"Range": f"bytes={to.tell()}-", "IfMatch": version} if to.tell() else {}
            try:
                answer = await self._request("get_object", Key=f"{self._prefix}{key}", **rest)
            except ClientError as exc:
                if _status(exc) not in {HTTPStatus.PRECONDITION_FAILED, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}:
                    raise
                _empty(to)  # it was replaced meanwhile
                continue
            if answer["ResponseMetadata"]["HTTPStatusCode"] != HTTPStatus.PARTIAL_CONTENT:
                _empty(to)
            version, whole = answer["ETag"], to.tell() + answer["ContentLength"]
            async with answer["Body"] as body:
                if whole > max_bytes:
                    raise too_large(max_bytes)
                try:
                    while chunk := await body.read(CHUNK_BYTES):
                        to.write(chunk)
                except (HttpError, HTTPClientError):
                    continue
            if to.tell() == whole:
                return str(version).strip('"')
        raise CorpusUnavailable(f"cannot be read: its body broke off, or it was replaced, {BODIES} times")

    def _change(self, operation: str, key: str, expected: str | None, **arguments: Any) -> Any:
        """Call an operation that changes an object, on the condition that it is as `expected`: AWS, MinIO and others compare and
        change in one step. Where a server does not implement that, the last look at the object counts."""
        if expected is None:
            return self._call(operation, key, **arguments)
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if expected == MISSING else {"IfMatch": f'"{expected}"'}
        try:
            return self._call(operation, key, **arguments, **condition)
        except (CorpusUnavailable, NotFound) as exc:
            refused = _status(exc.__cause__) if isinstance(exc.__cause__, ClientError) else 0
            if refused == HTTPStatus.NOT_IMPLEMENTED:
                return self._call(operation, key, **arguments)
            if refused in {HTTPStatus.PRECONDITION_FAILED, HTTPStatus.CONFLICT} or isinstance(exc, NotFound):
                raise changed_meanwhile(key) from exc
            raise

    def _call(self, operation: str, key: str, *, timeout_s: float = CALL_TIMEOUT_S, **arguments: Any) -> Any:
        """Call an operation of the client; `key` is "" for operations on the bucket."""
        if key:
            arguments["Key"] = f"{self._prefix}{key}"
        return self._run(lambda: self._request(operation, **arguments), key, timeout_s)

    async def _request(self, operation: str, **arguments: Any) -> Any:
        client = await self._fs.set_session()
        return await getattr(client, operation)(Bucket=self._bucket, **arguments, **self._fs.req_kw)

    def _run(self, start: Callable[[], Awaitable[Answer]], key: str, timeout_s: float) -> Answer:
        try:
            return sync(self._fs.loop, start, timeout=timeout_s)  # type: ignore[no-any-return] # fsspec has no types
        except ClientError as exc:
            raise self._translated(exc, key) from exc
        except FSTimeoutError as exc:
            raise CorpusUnavailable(f"{self.location} did not answer within {timeout_s:.1f} s") from exc
        except NoCredentialsError as exc:
            raise CorpusUnavailable(
                f"{self.location}: no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or FSSPEC_S3_ANON=true for a "
                "bucket that anybody may read"
            ) from exc
        except RecursionError as exc:  # botocore requests the bucket's region at each redirect, and that request is redirected, too
            raise CorpusUnavailable(f"{self.location}: the endpoint only redirects; does it want https?") from exc
        except (BotoCoreError, HttpError, OSError) as exc:
            raise CorpusUnavailable(f"{self.location} cannot be reached: {type(exc).__name__}") from exc

    def _translated(self, exc: ClientError, key: str) -> MlApiError:
        code, status = exc.response.get("Error", {}).get("Code", ""), _status(exc)
        if code == "NoSuchBucket":
            return CorpusUnavailable(f"{self.location}: there is no bucket {self._bucket!r}")
        if code in NOT_THERE and key:
            return no_file(key)
        if code in NO_ROOM or status == HTTPStatus.INSUFFICIENT_STORAGE:
            return InsufficientStorage(f"no room is left in the corpus for {key!r}; nothing was written")
        if status == HTTPStatus.FORBIDDEN:
            return CorpusUnavailable(f"{self.location} denies access to {repr(key) if key else 'its listing'} ({code})")
        return CorpusUnavailable(f"{self.location} answered {status} ({code})")


@contextmanager
def _changing(key: str) -> Iterator[None]:
    """Turn a denied request into CorpusReadOnly."""
    try:
        yield
    except CorpusUnavailable as exc:
        if not (isinstance(exc.__cause__, ClientError) and _status(exc.__cause__) == HTTPStatus.FORBIDDEN):
            raise
        raise CorpusReadOnly(f"the corpus cannot be changed at {key!r}: {exc.detail}") from exc


def _version(described: dict[str, Any]) -> str:
    return str(described["ETag"]).strip('"')


def _status(exc: ClientError) -> int:
    return int(exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _empty(file: BinaryIO) -> None:
    file.seek(0)
    file.truncate()
