"""A sync whose process is killed once files that moved are written, before the images that they were are deleted:
`python -m tests.e2e.killed_sync FOLDER.db IMAGES`.
"""

import os
import signal
import sys
from contextlib import closing
from pathlib import Path

from ml_api.corpus.folder import FolderCorpus
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.images import ImageLimits, InlineDecoder
from ml_api.indexing.sync import Indexer
from ml_api.metrics import Metrics
from ml_api.vectors.milvus import MilvusEndpoint, MilvusStore, VectorIndex


class Killed(MilvusStore):
    def delete(self, ids, deadline=None):
        os.kill(os.getpid(), signal.SIGKILL)


def open_store(uri, kind=MilvusStore):
    store = kind(MilvusEndpoint(str(uri)), "images", VectorIndex(), Metrics())
    store.ensure(FakeEncoder().model.model_id, FakeEncoder().model.dim)
    return store


def sync(store, images):
    decoder = InlineDecoder(ImageLimits(100_000, 1_000_000, 20))
    indexer = Indexer(FolderCorpus(Path(images)), store, lambda: (FakePreprocessor(), FakeEncoder()), decoder, Metrics())
    return indexer.run(indexer.plan())


if __name__ == "__main__":
    with closing(open_store(sys.argv[1], Killed)) as opened:
        sync(opened, sys.argv[2])
