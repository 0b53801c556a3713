"""A typed client of the semantic image search service: `Client` for threads, `AsyncClient` for asyncio and trio."""

from ml_api_client.async_client import AsyncClient
from ml_api_client.calls import Call
from ml_api_client.client import Client
from ml_api_client.errors import (
    AccessDenied,
    ApiError,
    ClientError,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    Unavailable,
    Unreachable,
)
from ml_api_client.operations import Query, Term
from ml_api_client.retrying import Retries
from ml_api_client.uploading import Uploaded

__all__ = [
    "AccessDenied",
    "ApiError",
    "AsyncClient",
    "Call",
    "Client",
    "ClientError",
    "InvalidRequest",
    "NotFound",
    "PreconditionFailed",
    "Query",
    "Retries",
    "Term",
    "Unavailable",
    "Unreachable",
    "Uploaded",
]
