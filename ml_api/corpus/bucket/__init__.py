"""A corpus in a bucket, or at any other URL that fsspec opens.

corpus       BucketCorpus: a Corpus over Objects, with the same rules for keys as a folder
objects      Objects: the contract of an object store
s3           Objects by the S3 protocol, with paged listings, conditional requests and time limits
filesystem   Objects by fsspec's interface alone: Google Cloud Storage, Azure, memory and others
opening      opens the Objects at a URL
"""

from ml_api.corpus.bucket.corpus import BucketCorpus
from ml_api.corpus.bucket.opening import open_objects

__all__ = ["BucketCorpus", "open_objects"]
