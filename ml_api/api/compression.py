"""Gzip for text (JSON, pages and their files) if the client accepts it. Images are compressed by their own formats."""

from flask import Flask, Response
from flask_compress import Compress

from ml_api.api.problems import MEDIA_TYPE

LEVEL = 3
"""Of an answer of 24 hits, 9.8 KB, this leaves 1.8 KB in 0.13 ms; gzip's usual 6 leaves 1.7 KB in 0.28 ms."""
TEXT = ("application/json", MEDIA_TYPE, "text/html", "text/css", "text/javascript", "image/svg+xml")


def register(app: Flask) -> None:
    app.config |= {"COMPRESS_MIMETYPES": TEXT, "COMPRESS_ALGORITHM": ("gzip",), "COMPRESS_LEVEL": LEVEL}
    Compress(app)

    @app.after_request
    def read_file(response: Response) -> Response:
        """Flask-Compress, whose turn comes next, leaves a file open that it compresses piece by piece."""
        if response.is_streamed and response.mimetype in TEXT:
            response.direct_passthrough = False
            response.make_sequence()
        return response
