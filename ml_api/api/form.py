"""Parses bodies of multipart/form-data (RFC 7578) to files and fields in memory, which the limit of the body bounds.

werkzeug's parser is not used: it counts a chunk of the body against the limit for text fields, and adds a byte to a file if the end
of a chunk falls between the two final dashes of the last boundary.
"""

from dataclasses import dataclass, field
from io import BytesIO
from math import inf

from flask import Request
from multipart import MultipartError, MultipartParser

from ml_api.errors import InvalidInput
from ml_api.wording import legible

MAX_PARTS = 32
FILE_FIELD = "image"
"""The name of the form field with the image."""


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file in a form."""

    name: str
    """The file name that the client sent."""
    data: bytes


@dataclass(frozen=True, slots=True)
class Form:
    """The files and text fields of a form by name, each in the order sent. A field with a file name is a file."""

    files: dict[str, list[SentFile]] = field(default_factory=dict)
    fields: dict[str, list[str]] = field(default_factory=dict)


def read_form(request: Request) -> Form:
    """Parse the body of a request. Raises InvalidInput, and werkzeug's RequestEntityTooLarge."""
    boundary = request.mimetype_params.get("boundary")
    if not boundary:
        raise InvalidInput(
            "Content-Type: names no boundary between the fields of the form; let the HTTP client set this header",
            code="invalid-multipart",
        )
    form = Form()
    try:
        for part in MultipartParser(request.stream, boundary, part_limit=MAX_PARTS, spool_limit=inf, memory_limit=inf):
            if part.filename is None:
                form.fields.setdefault(part.name, []).append(part.raw.decode())  # whatever charset it names (RFC 7578, 5.1.2)
            else:
                assert isinstance(part.file, BytesIO)  # nothing is spooled to the disk
                sent = SentFile(part.filename, part.file.getvalue())  # shares the buffer without a copy
                form.files.setdefault(part.name, []).append(sent)
    except (MultipartError, UnicodeDecodeError) as exc:
        raise InvalidInput(
            f"the form is malformed or cut off; send multipart/form-data of at most {MAX_PARTS} fields, whole to the last boundary",
            code="invalid-multipart",
        ) from exc
    if any("\0" in name for name in (*form.files, *form.fields)):
        raise InvalidInput("the name of a field of the form holds a NUL character", code="invalid-multipart")
    return form


def missing_files(form: Form, rule: str) -> InvalidInput:
    """The error for a form whose number of files breaks the `rule`; it names the fields that were sent."""
    fields = legible(", ".join(sorted({*form.files, *form.fields})), 200) or "none"
    files = len(form.files.get(FILE_FIELD, []))
    return InvalidInput(f"{FILE_FIELD}: {rule} (got {files}; fields sent: {fields})", code="missing-image")
