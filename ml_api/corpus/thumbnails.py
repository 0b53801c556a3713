"""Small re-encoded previews, made on demand and cached on disk under the digest of the image they show.

A thumbnail carries none of the original's metadata, and what is cached can always be deleted: it is made again.
"""

import tempfile
from pathlib import Path

from ml_api import images
from ml_api.deadline import Deadline
from ml_api.images import ImageLimits

EDGE_PX = 512
"""Sharp at the 256 or so pixels of a grid's cell on a screen of double density."""


class Thumbnails:
    def __init__(self, folder: Path, limits: ImageLimits) -> None:
        self._folder = folder
        self._limits = limits

    def cached(self, digest: str) -> bytes | None:
        try:
            return self._path(digest).read_bytes()
        except OSError:
            return None

    def make(self, digest: str, data: bytes, deadline: Deadline | None = None) -> bytes:
        """Draw the thumbnail of the image file `data`, whose sha256 is `digest`, and keep it. Raises as `images.decode` does."""
        decoded = images.decode(data, self._limits, for_edge_px=EDGE_PX, deadline=deadline)
        thumbnail = images.thumbnail(decoded.image, EDGE_PX)
        self._keep(digest, thumbnail)
        return thumbnail

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / f"{digest}-{EDGE_PX}.webp"

    def _keep(self, digest: str, thumbnail: bytes) -> None:
        path = self._path(digest)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                file.write(thumbnail)
            Path(file.name).replace(path)
        except OSError:
            return  # a full or read-only disk costs speed, never an answer
