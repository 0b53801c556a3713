"""A model and a store that can be made to fail."""

import time

from ml_api.embedding.fake import FakeEncoder
from ml_api.vectors.memory import MemoryStore


class FailingEncoder(FakeEncoder):
    """Embeds as long as nothing is wrong with it."""

    error = None
    spoiled = False

    def embed(self, items):
        if self.error is not None:
            raise self.error
        vectors = super().embed(items)
        if self.spoiled:
            vectors[0, 0] = float("nan")
        return vectors


class FailingStore(MemoryStore):
    error = None
    delay_s = 0.0

    def search(self, *args, **kwargs):
        time.sleep(self.delay_s)
        self._fail()
        return super().search(*args, **kwargs)

    def count(self, *args, **kwargs):
        self._fail()
        return super().count(*args, **kwargs)

    def ping(self):
        time.sleep(self.delay_s)
        self._fail()
        super().ping()

    def _fail(self):
        if self.error is not None:
            raise self.error
