"""A catalogue: metadata that lie elsewhere than the images, in a file or behind a URL."""

import math
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from ml_api.corpus.versions import version_of

TIMEOUT_S: Final = 30.0
"""A connection that brings nothing for so long is given up."""

VERSION_TIMEOUT_S: Final = 5.0
VERSION_EVERY_S: Final = 10.0
"""How often a server is asked whether its catalogue has changed: each batch of changes wants to know, uploads of one file too."""
DOWNLOAD_S: Final = 1800.0
CHUNK_BYTES: Final = 2**20


class Catalogue:
    """CSV, JSON lines or Parquet by the ending of `address`: a path, or an http(s) URL."""

    def __init__(self, address: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._url = urlsplit(address) if "://" in address else None
        self._clock = clock
        self._seen = ""
        self._ask_at = -math.inf

    @property
    def name(self) -> str:
        """For messages: its file name. A URL may hold a password."""
        return PurePosixPath(self._url.path if self._url else self._address).name

    def version(self) -> str:
        """Differs once the catalogue has changed, behind a URL within VERSION_EVERY_S. Reads none of it; while a server does not
        say, the version stays what it was.
        """
        with suppress(OSError, HTTPException):
            if self._url is None:
                self._seen = version_of(Path(self._address).stat())
            elif self._clock() >= self._ask_at:
                self._ask()
        return self._seen

    def _ask(self) -> None:
        try:
            with urlopen(self._request("HEAD"), timeout=VERSION_TIMEOUT_S) as answer:  # noqa: S310 - as below
                told = (answer.headers.get(name, "") for name in ("ETag", "Last-Modified", "Content-Length"))
                self._seen = " ".join(told)
        finally:
            self._ask_at = self._clock() + VERSION_EVERY_S

    def open(self) -> BinaryIO:
        """The file, whole: what comes from elsewhere is first brought here, so that half of it is none. Raises OSError."""
        if self._url is None:
            path = Path(self._address)
            if not path.is_file():  # a FIFO would be waited for
                raise FileNotFoundError(path)
            return path.open("rb")
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        try:
            self._download(file)
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return file

    def _download(self, file: BinaryIO) -> None:
        until = time.monotonic() + DOWNLOAD_S
        try:
            with urlopen(self._request(), timeout=TIMEOUT_S) as answer:  # noqa: S310 - http or https, as the setting checks
                expected = answer.headers.get("Content-Length")
                while chunk := answer.read(CHUNK_BYTES):
                    file.write(chunk)
                    if time.monotonic() > until:
                        raise TimeoutError(0, f"it took more than {DOWNLOAD_S:g} s")
        except HTTPError as exc:
            raise OSError(0, f"the server answered {exc.code}") from exc
        except (URLError, HTTPException) as exc:
            raise OSError(0, f"the server cannot be reached ({getattr(exc, 'reason', type(exc).__name__)})") from exc
        if expected is not None and file.tell() != int(expected):
            raise OSError(0, f"only {file.tell():,} of {int(expected):,} bytes came")

    def _request(self, method: str = "GET") -> Request:
        """With the name and password of the URL, which a redirect does not pass on."""
        assert self._url is not None
        access, _, place = self._url.netloc.rpartition("@")
        request = Request(self._url._replace(netloc=place, fragment="").geturl(), method=method)  # noqa: S310 - as above
        if access:
            request.add_unredirected_header("Authorization", "Basic " + b64encode(unquote(access).encode()).decode())
        return request
