"""Reads uploaded images from a request: one for a key, or several with file names as keys, with their metadata."""

import json
from collections import Counter

from flask import request

from ml_api.api.form import FILE_FIELD, MAX_PARTS, Form, SentFile, missing_files, read_form
from ml_api.api.parsing import no_name_twice, unsupported
from ml_api.api.schemas import JsonObject
from ml_api.errors import InvalidKey, InvalidMetadata, InvalidQuery, TooLarge
from ml_api.vectors.base import MAX_METADATA_BYTES
from ml_api.wording import got, legible, no_json

METADATA_FIELD = "metadata"
"""The name of the form field with the metadata."""


def sent_image() -> tuple[bytes, JsonObject | None]:
    """Return the file to be put under a key, which is the body or in a form, and its metadata, if the form has some.

    Raises InvalidInput.
    """
    match request.mimetype:
        case "multipart/form-data":
            form = read_form(request)
            files = form.files.get(FILE_FIELD, [])
            if len(files) != 1:
                raise missing_files(form, "must be one file")
            _require_known(form)
            return files[0].data, _metadata_of(form)
        case kind if not kind or kind.startswith("image/") or kind == "application/octet-stream":
            return request.get_data(cache=False), None
        case _:
            raise unsupported(f"the file itself as image/*, or multipart/form-data with it in the field {FILE_FIELD!r}")


def sent_images() -> tuple[list[SentFile], JsonObject]:
    """Return the files of a form, whose names are their keys, and the metadata by these names. Raises InvalidInput."""
    if request.mimetype != "multipart/form-data":
        raise unsupported(f"multipart/form-data with files in the field {FILE_FIELD!r}")
    form = read_form(request)
    files = form.files.get(FILE_FIELD, [])
    if not files:
        raise missing_files(form, "must be one file or several")
    _require_known(form)
    names = Counter(file.name for file in files)
    if twice := [name for name, times in names.items() if times > 1]:
        raise InvalidQuery(f"{legible(twice[0])}: two files have this name; each is a key of its own")
    metadata = _metadata_of(form) or {}
    if unknown := sorted(metadata.keys() - names.keys()):
        known = legible(", ".join(names), 200)
        raise InvalidMetadata(f"{METADATA_FIELD}: {unknown[0][:100]!r} is the name of no file that was sent; these are {known}")
    return files, metadata


def _require_known(form: Form) -> None:
    if unknown := sorted({*form.files, *form.fields} - {FILE_FIELD, METADATA_FIELD}):
        raise InvalidQuery(
            f"{', '.join(unknown)[:200]}: is not a field of this form; the fields are {FILE_FIELD}, {METADATA_FIELD}"
        )


def _metadata_of(form: Form) -> JsonObject | None:
    """The metadata in a form: in a field, or in a file, as curl sends it for `-F metadata=@FILE`. None if the field is empty, as
    browsers send one that was not filled in.
    """
    sent: list[str | bytes] = [*form.fields.get(METADATA_FIELD, []), *(file.data for file in form.files.get(METADATA_FIELD, []))]
    if not any(sent):
        return None
    if len(sent) > 1:
        raise InvalidQuery(f"{METADATA_FIELD}: was given {len(sent)} times; give it once")
    if len(sent[0]) > MAX_METADATA_BYTES * MAX_PARTS:
        raise TooLarge(f"{METADATA_FIELD}: is larger than {MAX_METADATA_BYTES:,} bytes for each image")
    try:
        value = json.loads(sent[0], object_pairs_hook=no_name_twice)
    except (ValueError, RecursionError) as exc:
        raise InvalidMetadata(f"{METADATA_FIELD}: {no_json(exc)}") from exc
    if not isinstance(value, dict):
        raise InvalidMetadata(f"{METADATA_FIELD}: must be a JSON object{got(value)}")
    return value


def key_in_path(key: str) -> str:
    """Return a key from the URL's path. Raises InvalidKey unless it is UTF-8, as it would be stored under another name."""
    try:
        request.environ["PATH_INFO"].encode("latin-1").decode()
    except UnicodeDecodeError:
        raise InvalidKey("the key is not UTF-8; percent-encode it as such") from None
    return key
