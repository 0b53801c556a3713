"""Carries out calls, tries them again, and goes through pages: synchronously, and asynchronously with the same methods."""

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import wraps
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar

import anyio
import anyio.to_thread
import httpx2

from ml_api_client import models, operations
from ml_api_client.errors import ClientError, Unreachable, error_of
from ml_api_client.operations import Call
from ml_api_client.retrying import Retries

P = ParamSpec("P")
Answer = TypeVar("Answer")

TIMEOUT_S: Final = 60.0
"""Longer than the service's own limit, so that its answer is seen."""
PIECE_BYTES: Final = 256 * 1024
SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".jxl"})
"""Of files that `upload_folder` sends."""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What became of one file of a folder: `image`, or the `error`, of the service or of reading it, which ends nothing else."""

    key: str
    image: models.UploadedImage | None
    error: ClientError | OSError | None


class _Settings:
    """What both clients are made with. `api_key` is sent with every request."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8420",
        *,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: Retries = Retries(),  # noqa: B008 - frozen
    ) -> None:
        self._url = url.rstrip("/")
        self._headers = {"X-API-Key": api_key} if api_key else {}
        self._timeout_s = timeout_s
        self._retries = retries
        self._open()

    def _open(self) -> None:
        """Make the HTTP client."""

    def _request(self, call: Call[Any]) -> dict[str, Any]:
        request: dict[str, Any] = {"method": call.method, "url": self._url + call.path, "params": dict(call.query)}
        if call.form:
            return request | {
                "files": [(name, (label, operations.whole(file), operations.BINARY)) for name, label, file in call.form]
            }
        if call.body is None:
            return request
        headers = {"Content-Type": call.media_type}
        if isinstance(call.body, Path):
            headers["Content-Length"] = str(call.body.stat().st_size)
        return request | {"headers": headers}

    def _after(self, attempt: int, answer: httpx2.Response | httpx2.TransportError) -> float | None:
        """Seconds until the next attempt, or None."""
        if isinstance(answer, httpx2.TransportError):
            return self._retries.wait_s(attempt, None, {})
        return self._retries.wait_s(attempt, answer.status_code, answer.headers)

    def _outcome(self, call: Call[Answer], answer: httpx2.Response | httpx2.TransportError) -> Answer:
        """Raises ClientError."""
        if isinstance(answer, httpx2.TransportError):
            raise Unreachable(f"{self._url} does not answer: {answer or type(answer).__name__}") from answer
        if answer.is_success:
            return call.read(answer.content)
        raise error_of(answer.status_code, answer.content)


def _now(build: Callable[P, Call[Answer]]) -> Callable[Concatenate["Client", P], Answer]:
    @wraps(build)
    def method(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        return self.send(build(*args, **kwargs))

    return method


def _later(build: Callable[P, Call[Answer]]) -> Callable[Concatenate["AsyncClient", P], Awaitable[Answer]]:
    @wraps(build)
    async def method(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        return await self.send(build(*args, **kwargs))

    return method


class Client(_Settings):
    """For threads: one may be shared by many. Every method raises ClientError."""

    search = _now(operations.search)
    search_batch = _now(operations.search_batch)
    search_by_text = _now(operations.search_by_text)
    search_by_image = _now(operations.search_by_image)
    find_similar = _now(operations.find_similar)
    list_images = _now(operations.list_images)
    get_image = _now(operations.get_image)
    get_image_content = _now(operations.get_image_content)
    get_image_thumbnail = _now(operations.get_image_thumbnail)
    patch_image = _now(operations.patch_image)
    put_image = _now(operations.put_image)
    delete_image = _now(operations.delete_image)
    find_duplicates = _now(operations.find_duplicates)
    start_sync = _now(operations.start_sync)
    list_syncs = _now(operations.list_syncs)
    get_sync = _now(operations.get_sync)
    cancel_sync = _now(operations.cancel_sync)
    list_sync_files = _now(operations.list_sync_files)
    create_embeddings = _now(operations.create_embeddings)
    get_model = _now(operations.get_model)
    get_metadata_fields = _now(operations.get_metadata_fields)
    get_stats = _now(operations.get_stats)

    def _open(self) -> None:
        self._http = httpx2.Client(timeout=self._timeout_s, headers=self._headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def send(self, call: Call[Answer]) -> Answer:
        attempt = 1
        while True:
            answer = self._sent_once(call)
            wait_s = self._after(attempt, answer)
            if wait_s is None:
                return self._outcome(call, answer)
            time.sleep(wait_s)
            attempt += 1

    def _sent_once(self, call: Call[Any]) -> httpx2.Response | httpx2.TransportError:
        content = _pieces(call.body) if isinstance(call.body, Path) else call.body
        try:
            return self._http.request(**self._request(call), content=content)
        except httpx2.TransportError as exc:
            return exc

    def hits(self, q: str, *, page: int = 50, **options: Any) -> Iterator[models.HitAnswer]:
        """The whole ranking for a text, page by page, as far as it is asked for."""
        offset: int | None = 0
        while offset is not None:
            answer = self.search_by_text(q, limit=page, offset=offset, **options)
            yield from answer.hits
            offset = answer.next

    def images(self, *, prefix: str = "", page: int = 500, **options: Any) -> Iterator[models.StoredImage]:
        """All stored images, or those whose keys begin with `prefix`."""
        cursor: str | None = None
        while True:
            answer = self.list_images(prefix=prefix, limit=page, cursor=cursor, **options)
            yield from answer.images
            if (cursor := answer.next) is None:
                return

    def duplicates(self, *, page: int = 256) -> Iterator[models.DuplicateGroup]:
        cursor: str | None = None
        while True:
            answer = self.find_duplicates(limit=page, cursor=cursor)
            yield from answer.groups
            if (cursor := answer.next) is None:
                return

    def upload_folder(self, folder: Path, *, prefix: str = "", at_once: int = 4) -> Iterator[Uploaded]:
        """Put every image below `folder` under its path there, after `prefix`; `at_once` are sent at a time, each in pieces.

        In no order. What was sent before is recognised by the service, so a second time costs little.
        """
        files = _files(folder)
        with ThreadPoolExecutor(at_once) as pool:
            begun: list[Future[Uploaded]] = [pool.submit(self._upload, prefix + key, file) for key, file in islice(files, at_once)]
            while begun:
                done = begun.pop(0)
                yield done.result()
                begun += [pool.submit(self._upload, prefix + key, file) for key, file in islice(files, 1)]

    def _upload(self, key: str, file: Path) -> Uploaded:
        try:
            return Uploaded(key, self.put_image(key, file), None)
        except (ClientError, OSError) as exc:
            return Uploaded(key, None, exc)

    def wait_for_sync(self, job: int, *, every_s: float = 1.0) -> models.SyncJob:
        """The sync when it is over."""
        while (sync := self.get_sync(job)).state in ACTIVE:
            time.sleep(every_s)
        return sync


class AsyncClient(_Settings):
    """The same for asyncio and trio. Every method raises ClientError."""

    search = _later(operations.search)
    search_batch = _later(operations.search_batch)
    search_by_text = _later(operations.search_by_text)
    search_by_image = _later(operations.search_by_image)
    find_similar = _later(operations.find_similar)
    list_images = _later(operations.list_images)
    get_image = _later(operations.get_image)
    get_image_content = _later(operations.get_image_content)
    get_image_thumbnail = _later(operations.get_image_thumbnail)
    patch_image = _later(operations.patch_image)
    put_image = _later(operations.put_image)
    delete_image = _later(operations.delete_image)
    find_duplicates = _later(operations.find_duplicates)
    start_sync = _later(operations.start_sync)
    list_syncs = _later(operations.list_syncs)
    get_sync = _later(operations.get_sync)
    cancel_sync = _later(operations.cancel_sync)
    list_sync_files = _later(operations.list_sync_files)
    create_embeddings = _later(operations.create_embeddings)
    get_model = _later(operations.get_model)
    get_metadata_fields = _later(operations.get_metadata_fields)
    get_stats = _later(operations.get_stats)

    def _open(self) -> None:
        self._http = httpx2.AsyncClient(timeout=self._timeout_s, headers=self._headers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def send(self, call: Call[Answer]) -> Answer:
        attempt = 1
        while True:
            answer = await self._sent_once(call)
            wait_s = self._after(attempt, answer)
            if wait_s is None:
                return self._outcome(call, answer)
            await anyio.sleep(wait_s)
            attempt += 1

    async def _sent_once(self, call: Call[Any]) -> httpx2.Response | httpx2.TransportError:
        content = _async_pieces(call.body) if isinstance(call.body, Path) else call.body
        try:
            return await self._http.request(**self._request(call), content=content)
        except httpx2.TransportError as exc:
            return exc

    async def hits(self, q: str, *, page: int = 50, **options: Any) -> AsyncIterator[models.HitAnswer]:
        """The whole ranking for a text, page by page, as far as it is asked for."""
        offset: int | None = 0
        while offset is not None:
            answer = await self.search_by_text(q, limit=page, offset=offset, **options)
            for hit in answer.hits:
                yield hit
            offset = answer.next

    async def images(self, *, prefix: str = "", page: int = 500, **options: Any) -> AsyncIterator[models.StoredImage]:
        """All stored images, or those whose keys begin with `prefix`."""
        cursor: str | None = None
        while True:
            answer = await self.list_images(prefix=prefix, limit=page, cursor=cursor, **options)
            for image in answer.images:
                yield image
            if (cursor := answer.next) is None:
                return

    async def duplicates(self, *, page: int = 256) -> AsyncIterator[models.DuplicateGroup]:
        cursor: str | None = None
        while True:
            answer = await self.find_duplicates(limit=page, cursor=cursor)
            for group in answer.groups:
                yield group
            if (cursor := answer.next) is None:
                return

    async def upload_folder(self, folder: Path, *, prefix: str = "", at_once: int = 4) -> list[Uploaded]:
        """As `Client.upload_folder`; all results at the end."""
        uploaded: list[Uploaded] = []
        limit = anyio.Semaphore(at_once)

        async def upload(key: str, file: Path) -> None:
            try:
                uploaded.append(Uploaded(key, await self.put_image(key, file), None))
            except (ClientError, OSError) as exc:
                uploaded.append(Uploaded(key, None, exc))
            finally:
                limit.release()

        async with anyio.create_task_group() as tasks:
            for key, file in _files(folder):
                await limit.acquire()
                tasks.start_soon(upload, prefix + key, file)
        return uploaded

    async def wait_for_sync(self, job: int, *, every_s: float = 1.0) -> models.SyncJob:
        """The sync when it is over."""
        while (sync := await self.get_sync(job)).state in ACTIVE:  # noqa: ASYNC110 - it is another machine's
            await anyio.sleep(every_s)
        return sync


ACTIVE: Final = frozenset({"queued", "running"})


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


async def _async_pieces(path: Path) -> AsyncIterator[bytes]:
    async with await anyio.open_file(path, "rb") as file:
        while piece := await file.read(PIECE_BYTES):
            yield piece


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Keys and files, in order, without what is hidden. Raises NotADirectoryError."""
    if not folder.is_dir():
        raise NotADirectoryError(folder)
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if path.suffix.lower() in SUFFIXES and not name.startswith("."):
                yield path.relative_to(folder).as_posix(), path
