"""What tests of indexing share: a decoder without processes, and a model that tells what it was given."""

from ml_api.embedding.fake import FakeEncoder
from ml_api.images import ImageLimits, InlineDecoder

DECODER = InlineDecoder(ImageLimits(100_000, 1_000_000, 20))


class RecordingEncoder(FakeEncoder):
    """`before` is called with each batch, and may raise."""

    def __init__(self):
        super().__init__()
        self.batches = []
        self.before = lambda items: None

    def embed(self, items):
        self.batches.append(len(items))
        self.before(items)
        return super().embed(items)
