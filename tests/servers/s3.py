"""A real server of the S3 protocol: moto's, on a free port of this machine, in a thread of the test's process."""

import os
from contextlib import contextmanager
from functools import cached_property
from unittest.mock import patch

import botocore.session
import fsspec
from botocore.config import Config
from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT
from moto.server import ThreadedMotoServer

from ml_api.corpus.bucket.s3 import CLIENT, S3Objects

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "eu-central-1"}


class S3Server:
    def __init__(self):
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"

    @property
    def environment(self):
        """The variables by which botocore finds it."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.endpoint, "AWS_EC2_METADATA_DISABLED": "true"}

    @cached_property
    def client(self):
        """Another client than the one under test: botocore's own. Making one takes a second."""
        return botocore.session.Session().create_client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=CREDENTIALS["AWS_DEFAULT_REGION"],
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            config=Config(max_pool_connections=32),
        )

    def make_bucket(self, name):
        place = {"LocationConstraint": CREDENTIALS["AWS_DEFAULT_REGION"]}
        self.client.create_bucket(Bucket=name, CreateBucketConfiguration=place)

    @cached_property
    def file_system(self):
        """s3fs's, as the application configures it; making one takes a second, too."""
        return fsspec.filesystem(
            "s3",
            endpoint_url=self.endpoint,
            key=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            secret=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            config_kwargs=CLIENT,
        )

    def objects(self, bucket, prefix):
        return S3Objects(self.file_system, bucket, prefix, f"s3://{bucket}/{prefix}".rstrip("/"))

    @property
    def kept(self):
        """Where the server keeps buckets."""
        return get_backend("s3")[ACCOUNT]["aws"]

    def close(self):
        self._server.stop()


@contextmanager
def found_by(environment):
    """The variables are set in this process."""
    with patch.dict(os.environ, environment):
        yield
