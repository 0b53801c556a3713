"""Reads the image of a search from a request: from a form, from base64 within JSON, or from the body itself."""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping

from flask import request

from ml_api.api.form import FILE_FIELD, Form, missing_files, read_form
from ml_api.api.parsing import json_body, naming, query_parameters, unsupported, validated
from ml_api.api.schemas.search import ImageQuery, PageParameters
from ml_api.errors import InvalidInput, InvalidQuery

_DATA_URI = re.compile(r"data:(image/[^;,]+|application/octet-stream|)(;[^;,]+)*;base64", re.ASCII | re.IGNORECASE)
"""The part of a data URI before the comma (RFC 2397). Browsers use octet-stream for files they do not know, such as HEIC."""


def image_query() -> tuple[bytes, PageParameters]:
    """Return the file of a search by image, and the parameters of the page.

    The file is in a field of a form, in base64 in JSON, or is the body itself; the parameters are in the query string, or beside
    the file in the form. Raises InvalidInput.
    """
    in_url = query_parameters(PageParameters)  # first, as it is cheap
    match request.mimetype:
        case "multipart/form-data":
            form = read_form(request)
            return _only_file(form), _page_of(in_url, _once_each(form.fields.items()))
        case "application/json":
            body = json_body(ImageQuery)
            with naming(FILE_FIELD):
                return bytes_of_base64(body.image), in_url
        case kind if kind.startswith("image/") or kind == "application/octet-stream":
            return request.get_data(cache=False), in_url
        case _:
            raise unsupported(
                f"multipart/form-data with a file in the field {FILE_FIELD!r}, the file itself as image/*, or JSON with base64"
            )


def bytes_of_base64(text: str) -> bytes:
    """Decode an image file from base64, bare or in a data URI. Raises InvalidInput."""
    text = "".join(text.split())  # base64 is often broken into lines
    if text[:5].lower() == "data:":
        header, comma, text = text.partition(",")
        if not comma or not _DATA_URI.fullmatch(header):
            raise InvalidInput("is a data URI, and must read data:image/...;base64,...", code="invalid-base64")
    elif "://" in text[:20]:
        raise InvalidInput("is a URL, and URLs are not fetched; send the file itself, in base64", code="invalid-base64")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidInput("is not valid base64; send the image file so encoded", code="invalid-base64") from exc


def _only_file(form: Form) -> bytes:
    files = form.files.get(FILE_FIELD, [])
    if len(files) != 1:
        raise missing_files(form, "must be one file")
    if unknown := sorted({*form.files, *form.fields} - {FILE_FIELD, *PageParameters.model_fields}):
        known = ", ".join((FILE_FIELD, *PageParameters.model_fields))
        raise InvalidQuery(f"{', '.join(unknown)[:200]}: is not a field of this form; the fields are {known}")
    return files[0].data


def _page_of(in_url: PageParameters, in_form: Mapping[str, str]) -> PageParameters:
    if twice := sorted(in_url.model_fields_set & in_form.keys()):
        raise InvalidQuery(f"{', '.join(twice)}: was given in the URL and in the form; give it once")
    return validated(PageParameters, {**in_url.model_dump(exclude_unset=True), **in_form}, strict=False)


def _once_each(given: Iterable[tuple[str, list[str]]]) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, repeated in given:
        if len(repeated) > 1:
            raise InvalidQuery(f"{name}: was given {len(repeated)} times; give it once")
        values[name] = repeated[0]
    return values
