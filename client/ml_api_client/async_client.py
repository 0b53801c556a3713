"""The client for asyncio and trio. scripts/client_twin.py writes the one for threads (client.py) from this."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import anyio
import httpx2

from ml_api_client import models, operations
from ml_api_client.calls import Call
from ml_api_client.connection import ACTIVE, Connection
from ml_api_client.uploading import AsyncUploads, async_pieces

P = ParamSpec("P")
Answer = TypeVar("Answer")


def _method(build: Callable[P, Call[Answer]]) -> Callable[Concatenate["AsyncClient", P], Awaitable[Answer]]:
    @wraps(build)
    async def method(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        return await self.send(build(*args, **kwargs))

    return method


class AsyncClient(Connection, AsyncUploads):
    """A client for asyncio and trio, and their tasks, which may share one. Every method raises ClientError."""

    search = _method(operations.search)
    search_batch = _method(operations.search_batch)
    search_by_text = _method(operations.search_by_text)
    search_by_image = _method(operations.search_by_image)
    find_similar = _method(operations.find_similar)
    list_images = _method(operations.list_images)
    get_image = _method(operations.get_image)
    get_image_content = _method(operations.get_image_content)
    get_image_thumbnail = _method(operations.get_image_thumbnail)
    get_image_heatmap = _method(operations.get_image_heatmap)
    patch_image = _method(operations.patch_image)
    patch_images = _method(operations.patch_images)
    put_image = _method(operations.put_image)
    delete_image = _method(operations.delete_image)
    find_duplicates = _method(operations.find_duplicates)
    start_sync = _method(operations.start_sync)
    list_syncs = _method(operations.list_syncs)
    get_sync = _method(operations.get_sync)
    cancel_sync = _method(operations.cancel_sync)
    list_sync_files = _method(operations.list_sync_files)
    create_embeddings = _method(operations.create_embeddings)
    get_model = _method(operations.get_model)
    get_metadata_fields = _method(operations.get_metadata_fields)
    give_feedback = _method(operations.give_feedback)
    export_feedback = _method(operations.export_feedback)
    get_stats = _method(operations.get_stats)

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
        content = async_pieces(call.body) if isinstance(call.body, Path) else call.body
        try:
            return await self._http.request(**self._request(call), content=content)
        except httpx2.TransportError as exc:
            return exc

    async def hits(
        self, what: str | bytes | Path | Sequence[operations.Term], *, page: int = 50, **options: Any
    ) -> AsyncIterator[models.HitAnswer]:
        """Yield the ranking for a text (a string), an image or several terms, of which the service gives at most 10,000 hits, and
        some 512 where it found them by their words, too. Pages are requested as needed. None of the first 512 is repeated, whatever
        is added or deleted meanwhile.
        """
        cursor: str | None = None
        while True:
            answer = await self.send(operations.search_for(what, limit=page, cursor=cursor, **options))
            for hit in answer.hits:
                yield hit
            if (cursor := answer.next_cursor) is None:
                return

    async def images(self, *, prefix: str = "", page: int = 500, **options: Any) -> AsyncIterator[models.StoredImage]:
        """Yield all stored images, or those whose keys begin with `prefix`."""
        cursor: str | None = None
        while True:
            answer = await self.list_images(prefix=prefix, limit=page, cursor=cursor, **options)
            for image in answer.images:
                yield image
            if (cursor := answer.next) is None:
                return

    async def duplicates(self, *, page: int = 256) -> AsyncIterator[models.DuplicateGroup]:
        """Yield all groups of images that are stored more than once."""
        cursor: str | None = None
        while True:
            answer = await self.find_duplicates(limit=page, cursor=cursor)
            for group in answer.groups:
                yield group
            if (cursor := answer.next) is None:
                return

    async def wait_for_sync(self, job: int, *, every_s: float = 1.0) -> models.SyncJob:
        """Wait until a sync is over, and return it."""
        while (sync := await self.get_sync(job)).state in ACTIVE:  # noqa: ASYNC110 - it is another machine's
            await anyio.sleep(every_s)
        return sync
