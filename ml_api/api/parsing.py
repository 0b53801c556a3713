"""From a request to typed values, or to an error that names the field, what was wrong and what would be right."""

import base64
import binascii
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from io import SEEK_END, BytesIO
from typing import IO, Any, TypeVar

from flask import Request, current_app, g, request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.utils import cached_property

from ml_api.api.form import Form, read_form
from ml_api.api.schemas.filters import WITHIN
from ml_api.api.schemas.search import ImageQuery, PageParameters
from ml_api.deadline import Deadline
from ml_api.errors import InvalidInput, InvalidQuery, TooLarge, UnsupportedMedia
from ml_api.records import is_image_id
from ml_api.wording import legible, model_at, place, what_is_wrong

Model = TypeVar("Model", bound=BaseModel)


REQUEST_TIMEOUT = "X-Request-Timeout"
REQUEST_TIMEOUT_S = "REQUEST_TIMEOUT_S"
"""Where the application keeps its own bound."""

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
"""RFC 7396."""

FILE_FIELD = "image"
"""The field of a form that holds the image."""

_DATA_URI = re.compile(r"data:(image/[^;,]+|application/octet-stream|)(;[^;,]+)*;base64", re.ASCII | re.IGNORECASE)
"""What comes before the comma (RFC 2397). Browsers say octet-stream of files they do not know, such as HEIC."""

_JSON_PUNCTUATION = (b'"', b",", b"[", b"{")
_MOST_JSON_PUNCTUATION = 1000
"""More than this of it is no object with an image in base64, which has none. Counting 40 MB takes 20 ms, parsing them seconds."""
_NAMED = 5
"""Number of unknown names that are listed; further ones are counted."""

_SECONDS = re.compile(r"\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
"""A number as JSON writes it, never `nan`, `inf` or `1_000`, which Python reads as well."""


def request_deadline() -> Deadline:
    """By when this request is to be answered: so long after its arrival as the client, or else the application, allows."""
    most: float = current_app.config[REQUEST_TIMEOUT_S]
    given = request.headers.get(REQUEST_TIMEOUT)
    if given is None:
        return Deadline.within(most, since=g.started)
    seconds = float(given) if _SECONDS.fullmatch(given) else 0.0
    if not 0 < seconds <= most:
        raise InvalidInput(
            f"{REQUEST_TIMEOUT}: must be a number of seconds above 0 and at most {most:g}{_given(given)}", code="invalid-timeout"
        )
    return Deadline.within(seconds, since=g.started)


def query_parameters(model: type[Model]) -> Model:
    """The URL's query string, which `address` has checked, as `model`."""
    return _validated(model, request.args.to_dict(), strict=False)


class BufferedRequest(Request):
    """A request whose body is in memory already is not copied: through werkzeug's stream that counts, 20 MB take 28 ms of Python's
    lock, in which nobody else is answered.
    """

    @cached_property
    def stream(self) -> IO[bytes]:
        """Raises RequestEntityTooLarge."""
        body = self.environ["wsgi.input"]
        if not isinstance(body, BytesIO):
            return super().stream
        size = body.seek(0, SEEK_END)  # getbuffer() would copy bytes that others refer to
        body.seek(0)
        if self.max_content_length is not None and size > self.max_content_length:
            raise RequestEntityTooLarge
        return body


def problems_of_values(model: type[BaseModel], given: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with the values of a query string, by the name of the parameter."""
    try:
        model.model_validate(given)
    except ValidationError as exc:
        return {str(error["loc"][0]): _described(error, model) for error in exc.errors(include_url=False)}
    return {}


def json_body(
    model: type[Model], *, max_bytes: int | None = None, also: str = JSON, punctuation: int = _MOST_JSON_PUNCTUATION
) -> Model:
    """The JSON body as `model`, under its own content type or the one that it may `also` have.

    Its size, or how much it holds by its `punctuation`, is bounded before it is parsed: Python's lock is held for as long as that
    takes.
    """
    if request.mimetype not in {JSON, also}:
        raise unsupported(" or ".join(sorted({JSON, also})))
    data = request.get_data(cache=True)
    if not data:
        raise InvalidInput("the body is empty; send a JSON object", code="invalid-json")
    if max_bytes is not None and len(data) > max_bytes:
        raise TooLarge(f"the JSON body has {len(data):,} bytes; at most {max_bytes:,} are read here")
    return json_object(model, data, punctuation + (max_bytes or 0))


def json_object(model: type[Model], data: bytes, most_punctuation: int) -> Model:
    """A JSON object as `model`. Raises InvalidInput, as for one with more braces, brackets, commas and quotes than that."""
    if sum(map(data.count, _JSON_PUNCTUATION)) > most_punctuation:
        raise InvalidInput(
            f"the body holds far more than an object of {', '.join(model.model_fields)} does; send that alone", code="invalid-json"
        )
    try:
        value = json.loads(data, object_pairs_hook=no_name_twice)
    except RecursionError as exc:
        raise InvalidInput("the body is nested too deeply; a filter has 10 levels at most", code="invalid-json") from exc
    except ValueError as exc:
        raise InvalidInput("the body is not valid JSON", code="invalid-json") from exc
    if not isinstance(value, dict):
        raise InvalidInput("the body is JSON, but not an object", code="invalid-json")
    return _validated(model, value, strict=True)


def image_query() -> tuple[bytes, PageParameters]:
    """What a search by image sends: the file, and which part of the ranking is wanted.

    The file is in a field of a form, in base64 in JSON, or is the body itself; the rest stands in the query string, or beside the
    file in the form.
    """
    in_url = query_parameters(PageParameters)  # first, as it costs nothing
    match request.mimetype:
        case "multipart/form-data":
            form = read_form(request)
            return _only_file(form), _page_of(in_url, _once_each(form.fields.items()))
        case "application/json":
            return bytes_of_base64(json_body(ImageQuery).image, "image: "), in_url
        case kind if kind.startswith("image/") or kind == "application/octet-stream":
            return request.get_data(cache=False), in_url
        case _:
            raise unsupported(
                f"multipart/form-data with a file in the field {FILE_FIELD!r}, the file itself as image/*, or JSON with base64"
            )


def unsupported(right: str) -> UnsupportedMedia:
    """The error of a body whose media type is not taken; `right` says what would be."""
    return UnsupportedMedia(f"the body is {request.mimetype or 'of no stated type'}; send {right}")


def image_id_of(text: str) -> str:
    """A path's id, checked: 32 hex digits, or InvalidInput."""
    if not is_image_id(text):
        raise InvalidInput("an image id is 32 lower-case hex digits, as in the hits of a search", code="invalid-id")
    return text


def missing_files(form: Form, wanted: str) -> InvalidInput:
    """The error of a form without the files that are wanted; it names what was sent."""
    found = ", ".join(sorted({*form.files, *form.fields})) or "none"
    return InvalidInput(f"{wanted} (fields sent: {found[:200]})", code="missing-image")


def _only_file(form: Form) -> bytes:
    files = form.files.get(FILE_FIELD, [])
    if len(files) != 1:
        raise missing_files(form, f"send exactly one file in the field {FILE_FIELD!r}; {len(files)} came")
    if unknown := sorted({*form.files, *form.fields} - {FILE_FIELD, *PageParameters.model_fields}):
        known = ", ".join((FILE_FIELD, *PageParameters.model_fields))
        raise InvalidQuery(f"{', '.join(unknown)[:200]}: is not a field of this form; the fields are {known}")
    return files[0].data


def _page_of(in_url: PageParameters, in_form: Mapping[str, str]) -> PageParameters:
    if twice := sorted(in_url.model_fields_set & in_form.keys()):
        raise InvalidQuery(f"{', '.join(twice)}: was given in the URL and in the form; give it once")
    return _validated(PageParameters, {**in_url.model_dump(exclude_unset=True), **in_form}, strict=False)


def _once_each(given: Iterable[tuple[str, list[str]]]) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, those in given:
        if len(those) > 1:
            raise InvalidQuery(f"{name}: was given {len(those)} times; give it once")
        values[name] = those[0]
    return values


def no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Python would take the last of several values, and other readers the first (RFC 8259, 4)."""
    for name, times in Counter(name for name, _ in pairs).items():
        if times > 1:
            raise InvalidQuery(f"{legible(name)}: was given {times} times; give it once")
    return dict(pairs)


def bytes_of_base64(text: str, field: str = "") -> bytes:
    """An image file within JSON, bare or as a data URI. Raises InvalidInput, whose detail begins with `field`."""
    text = "".join(text.split())  # base64 is often broken into lines
    if text[:5].lower() == "data:":
        header, comma, text = text.partition(",")
        if not comma or not _DATA_URI.fullmatch(header):
            raise InvalidInput(f"{field}a data URI must read data:image/...;base64,...", code="invalid-base64")
    elif "://" in text[:20]:
        raise InvalidInput(f"{field}URLs are not fetched; send the file itself, in base64", code="invalid-base64")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidInput(f"{field}not valid base64", code="invalid-base64") from exc


def _validated(model: type[Model], values: Mapping[str, Any], *, strict: bool) -> Model:
    """`strict` distinguishes JSON's types; in a query string everything is text, and "10" is a number."""
    unknown = sorted(values.keys() - model.model_fields.keys())
    problems = [unknown_parameters(unknown, model.model_fields)] if unknown else []
    try:
        validated = model.model_validate({name: values[name] for name in values.keys() & model.model_fields.keys()}, strict=strict)
    except ValidationError as exc:
        told = exc.errors(include_url=False)
        more = [f"and {len(told) - _NAMED:,} more faults"] if len(told) > _NAMED else []
        raise InvalidQuery("; ".join([*(_described(error, model) for error in told[:_NAMED]), *more, *problems])) from None
    if problems:
        raise InvalidQuery(*problems)
    return validated


def unknown_parameters(names: Sequence[str], known: Iterable[str]) -> str:
    """One sentence for all names: pydantic would make an error of each: of a million names, ten seconds and thirty megabytes."""
    told = ", ".join(map(legible, names[:_NAMED]))
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    wrong = "is not a parameter" if len(names) == 1 else "are not parameters"
    right = ", ".join(known)
    return f"{told}{more}: {wrong}; " + (f"the parameters are {right}" if right else "this route takes none")


def _described(error: Any, model: type[BaseModel]) -> str:
    loc = error["loc"]
    if error["type"] == "extra_forbidden":
        within = place(loc[:-1])
        unknown = unknown_parameters([str(loc[-1])], model_at(model, loc).model_fields)
        return f"{within}: {unknown}" if within else unknown
    if error["type"] == WITHIN:
        return ".".join(filter(None, (place(loc[:-1]), error["ctx"]["detail"])))
    name = legible(place(loc))
    if error["type"] == "missing":
        return f"{name}: {what_is_wrong(error, model)}"
    return f"{name}: {what_is_wrong(error, model)}{_given(error['input'])}"


def _given(value: Any) -> str:
    if isinstance(value, str) and len(value) > 40:
        return f" (got {len(value)} characters)"
    return f" (got {ascii(value)[:60]})" if isinstance(value, str | int | float | bool | None) else ""
