"""The places that the contract suite keeps corpora in: something that others write into, and a Corpus over it."""

import uuid

import fsspec

from ml_api.corpus.bucket import BucketCorpus, open_objects
from ml_api.corpus.folder import FolderCorpus


class FolderPlace:
    tells_sizes = True

    def __init__(self, root):
        self.root = root
        root.mkdir()

    def corpus(self, **options):
        return FolderCorpus(self.root, **options)

    def put(self, key, data):
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def put_many(self, keys):
        for key in keys:
            self.put(key, b"x")

    def everything(self):
        """All that is there, by key."""
        return {path.relative_to(self.root).as_posix(): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}

    def named(self, key):
        """What a notification calls a file."""
        return f"{self.root}/{key}"


class MemoryPlace:
    """fsspec's file system in memory, which has no ETags."""

    tells_sizes = True

    def __init__(self):
        self.name = f"corpus-{uuid.uuid4().hex}"
        self._fs = fsspec.filesystem("memory")

    def corpus(self, **options):
        return BucketCorpus(open_objects(f"memory://{self.name}"), **options)

    def put(self, key, data):
        self._fs.pipe_file(f"/{self.name}/{key}", data)

    def put_many(self, keys):
        for key in keys:
            self.put(key, b"x")

    def everything(self):
        root = f"/{self.name}/"
        return {name.removeprefix(root): self._fs.cat_file(name) for name in self._fs.store if name.startswith(root)}

    def named(self, key):
        return f"{self.name}/{key}"


class S3Place:
    """A prefix in a bucket of a server that speaks the S3 protocol."""

    tells_sizes = False
    bucket = "photos"

    def __init__(self, server):
        self.prefix = f"corpus {uuid.uuid4().hex}"
        self.client = server.client
        self._server = server

    def corpus(self, **options):
        return BucketCorpus(self._server.objects(self.bucket, f"{self.prefix}/"), **options)

    def put(self, key, data):
        self.client.put_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}", Body=data)

    def put_many(self, keys):
        """At the server's own place of keeping: by requests it would take seconds."""
        for key in keys:
            self._server.kept.put_object(self.bucket, f"{self.prefix}/{key}", b"x")

    def everything(self):
        found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=f"{self.prefix}/").get("Contents", [])
        keys = [each["Key"] for each in found]
        return {
            key.removeprefix(f"{self.prefix}/"): self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys
        }

    def named(self, key):
        return f"{self.bucket}/{self.prefix}/{key}"
