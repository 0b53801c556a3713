"""Small re-encoded previews, made on demand and kept under the digest of the image they show.

A thumbnail carries none of the original's metadata, and what is kept can always be deleted: it is made again.
"""

from ml_api import images
from ml_api.corpus.previews import EDGE_PX, Previews
from ml_api.deadline import Deadline
from ml_api.images import ImageLimits


class Thumbnails:
    def __init__(self, previews: Previews, limits: ImageLimits) -> None:
        self._previews = previews
        self._limits = limits

    def cached(self, digest: str) -> bytes | None:
        return self._previews.get(digest)

    def make(self, digest: str, data: bytes, deadline: Deadline | None = None) -> bytes:
        """Draw the thumbnail of the image file `data`, whose sha256 is `digest`, and keep it. Raises as `images.decode` does."""
        decoded = images.decode(data, self._limits, for_edge_px=EDGE_PX, deadline=deadline)
        thumbnail = images.thumbnail(decoded.image, EDGE_PX)
        self._previews.put(digest, thumbnail)
        return thumbnail
