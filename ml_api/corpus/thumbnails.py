"""Small re-encoded previews, made on demand and kept under the digest of the image they show.

A thumbnail carries none of the original's metadata, and what is kept can always be deleted: it is made again.
"""

from ml_api.corpus.previews import EDGE_PX, Previews
from ml_api.deadline import Deadline
from ml_api.images import Decoder


class Thumbnails:
    def __init__(self, previews: Previews, decoder: Decoder) -> None:
        self._previews = previews
        self._decoder = decoder

    def cached(self, digest: str) -> bytes | None:
        return self._previews.get(digest)

    def make(self, digest: str, data: bytes, deadline: Deadline | None = None) -> bytes:
        """Draw and keep the thumbnail of the image file `data`, whose sha256 is `digest`. Raises as `Decoder.thumbnail` does."""
        thumbnail = self._decoder.thumbnail(data, EDGE_PX, deadline)
        self._previews.put(digest, thumbnail)
        return thumbnail
