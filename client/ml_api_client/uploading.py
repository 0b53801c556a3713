"""Uploads folders of images, for both clients, and reads files in pieces as bodies of requests."""

import os
from collections.abc import AsyncIterator, Awaitable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

import anyio
import anyio.to_thread

from ml_api_client import models
from ml_api_client.errors import ClientError

PIECE_BYTES: Final = 256 * 1024
SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".jxl"})
"""The file name extensions of files that `upload_folder` sends."""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The result for one file of a folder: `image`, or the `error` of the service or of reading the file. The others go on."""

    key: str
    image: models.UploadedImage | None
    error: ClientError | OSError | None


class _Puts(Protocol):
    def put_image(self, key: str, image: Path, /) -> models.UploadedImage: ...


class _AsyncPuts(Protocol):
    def put_image(self, key: str, image: Path, /) -> Awaitable[models.UploadedImage]: ...


class Uploads:
    """The methods of `Client` for folders."""

    def upload_folder(self: _Puts, folder: str | Path, *, prefix: str = "", at_once: int = 4) -> Iterator[Uploaded]:
        """Upload every image below `folder`, with `prefix` and its path there as the key; `at_once` are sent concurrently.

        Results are in no order. The service recognises files that it has already, so repeating an upload costs little.
        """

        def upload(key: str, file: Path) -> Uploaded:
            try:
                return Uploaded(key, self.put_image(key, file), None)
            except (ClientError, OSError) as exc:
                return Uploaded(key, None, exc)

        files = _files(Path(folder))
        with ThreadPoolExecutor(at_once) as pool:
            begun: list[Future[Uploaded]] = [pool.submit(upload, prefix + key, file) for key, file in islice(files, at_once)]
            while begun:
                done = begun.pop(0)
                yield done.result()
                begun += [pool.submit(upload, prefix + key, file) for key, file in islice(files, 1)]


class AsyncUploads:
    """The methods of `AsyncClient` for folders."""

    async def upload_folder(self: _AsyncPuts, folder: str | Path, *, prefix: str = "", at_once: int = 4) -> list[Uploaded]:
        """As `Uploads.upload_folder`, but returns all results at the end."""
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
            for key, file in _files(Path(folder)):
                await limit.acquire()
                tasks.start_soon(upload, prefix + key, file)
        return uploaded


def pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


async def async_pieces(path: Path) -> AsyncIterator[bytes]:
    async with await anyio.open_file(path, "rb") as file:
        while piece := await file.read(PIECE_BYTES):
            yield piece


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the keys and paths of image files, in order, without hidden ones. Raises NotADirectoryError."""
    if not folder.is_dir():
        raise NotADirectoryError(folder)
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if path.suffix.lower() in SUFFIXES and not name.startswith("."):
                yield path.relative_to(folder).as_posix(), path
