"""A corpus in a bucket, or behind any other URL that fsspec opens.

corpus       BucketCorpus: the rules of keys, the same as in a folder
objects      what it asks of a place that keeps objects
s3           ... by the S3 protocol: pages, conditions, bounded waits
filesystem   ... by fsspec's interface alone: Google Cloud Storage, Azure, memory and others
opening      from a URL to one of the two
"""

from ml_api.corpus.bucket.corpus import BucketCorpus
from ml_api.corpus.bucket.opening import open_objects

__all__ = ["BucketCorpus", "open_objects"]
