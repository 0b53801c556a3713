"""Parses requests to typed values. Errors name the field, the mistake, and what would be right."""

import copy
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import SEEK_END, BytesIO
from typing import IO, Any, TypeVar

from flask import Request, current_app, g, request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.utils import cached_property

from ml_api.api.schemas.filters import WITHIN
from ml_api.deadline import Deadline
from ml_api.errors import InvalidInput, InvalidQuery, MlApiError, TooLarge, UnsupportedMedia
from ml_api.records import is_image_id
from ml_api.wording import got, legible, model_at, no_json, place, what_is_wrong

Model = TypeVar("Model", bound=BaseModel)


REQUEST_TIMEOUT = "X-Request-Timeout"
REQUEST_TIMEOUT_S = "REQUEST_TIMEOUT_S"
"""The key, in the application's configuration, of its own time limit."""

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
"""The media type of merge patches (RFC 7396)."""

_JSON_PUNCTUATION = (b'"', b",", b"[", b"{")
_MAX_JSON_PUNCTUATION = 1000
"""The most punctuation in an object with an image, as base64 has none. Counting it in 40 MB takes 20 ms, parsing them takes
seconds."""
_NAMED = 5
"""How many unknown names an error lists; further ones are counted."""

_SECONDS = re.compile(r"\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
"""A number in JSON's notation; Python's `float` also accepts `nan`, `inf` and `1_000`."""


def request_deadline() -> Deadline:
    """The deadline of this request: the time that the client, or by default the application, allows, counted from its arrival."""
    most: float = current_app.config[REQUEST_TIMEOUT_S]
    given = request.headers.get(REQUEST_TIMEOUT)
    if given is None:
        return Deadline.within(most, since=g.started)
    seconds = float(given) if _SECONDS.fullmatch(given) else 0.0
    if not 0 < seconds <= most:
        raise InvalidInput(
            f"{REQUEST_TIMEOUT}: must be a number of seconds above 0 and at most {most:g}{got(given)}", code="invalid-timeout"
        )
    return Deadline.within(seconds, since=g.started)


def query_parameters(model: type[Model]) -> Model:
    """Parse the URL's query string, which `urls` has checked, as `model`. Raises InvalidQuery."""
    return validated(model, request.args.to_dict(), strict=False)


class BufferedRequest(Request):
    """A request that does not copy a body that is in memory already: through werkzeug's counting stream, 20 MB hold Python's lock
    for 28 ms, in which no other request is answered.
    """

    @cached_property
    def stream(self) -> IO[bytes]:
        """The body. Raises RequestEntityTooLarge."""
        body = self.environ["wsgi.input"]
        if not isinstance(body, BytesIO):
            return super().stream
        size = body.seek(0, SEEK_END)  # getbuffer() would copy bytes that others refer to
        body.seek(0)
        if self.max_content_length is not None and size > self.max_content_length:
            raise RequestEntityTooLarge
        return body


def problems_of_values(model: type[BaseModel], given: Mapping[str, str]) -> dict[str, str]:
    """The mistakes in the values of a query string, by the name of the parameter."""
    try:
        model.model_validate(given)
    except ValidationError as exc:
        return {str(error["loc"][0]): _described(error, model) for error in exc.errors(include_url=False)}
    return {}


def json_body(
    model: type[Model], *, max_bytes: int | None = None, also: str = JSON, punctuation: int = _MAX_JSON_PUNCTUATION
) -> Model:
    """Parse the JSON body, of the content type application/json or `also`, as `model`. Raises InvalidInput.

    Its size (`max_bytes`) and its number of values (`punctuation`) are limited before it is parsed, as parsing holds Python's lock.
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
    """Parse a JSON object as `model`. Raises InvalidInput, also for more braces, brackets, commas and quotes than
    `most_punctuation`."""
    if sum(map(data.count, _JSON_PUNCTUATION)) > most_punctuation:
        raise InvalidInput(
            f"the body holds far more than an object of {', '.join(model.model_fields)} does; send that alone", code="invalid-json"
        )
    try:
        value = json.loads(data, object_pairs_hook=no_name_twice)
    except RecursionError as exc:
        raise InvalidInput("the body is nested too deeply; a filter has 10 levels at most", code="invalid-json") from exc
    except ValueError as exc:
        raise InvalidInput(f"the body {no_json(exc)}", code="invalid-json") from exc
    if not isinstance(value, dict):
        raise InvalidInput(f"the body is JSON, but not an object{got(value)}", code="invalid-json")
    return validated(model, value, strict=True)


def unsupported(right: str) -> UnsupportedMedia:
    """The error for a body whose media type is not accepted; `right` names those that are."""
    return UnsupportedMedia(f"the body is {request.mimetype or 'of no stated type'}; send {right}")


def image_id_of(text: str, where: str = "id") -> str:
    """Check an image's id and return it. `where` is its place in the request. Raises InvalidInput."""
    if not is_image_id(text):
        raise InvalidInput(f"{where}: must be 32 lower-case hex digits, as in the hits of a search{got(text)}", code="invalid-id")
    return text


def named(error: MlApiError, place: str) -> MlApiError:
    """A copy of an error whose detail begins with `place`. Copied, as queries that share a term share its error."""
    copied = copy.copy(error)
    copied.detail = place + error.detail
    return copied


@contextmanager
def naming(member: str, kinds: tuple[type[InvalidInput], ...] = (InvalidInput,)) -> Iterator[None]:
    """Add the name of the `member` of the request to errors of these kinds that are raised in this context."""
    try:
        yield
    except kinds as exc:
        raise named(exc, f"{member}: ") from exc


def no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A hook for JSON objects that refuses repeated names: Python would use the last value, other parsers the first (RFC 8259,
    4)."""
    for name, times in Counter(name for name, _ in pairs).items():
        if times > 1:
            raise InvalidQuery(f"{legible(name)}: was given {times} times; give it once")
    return dict(pairs)


def validated(model: type[Model], values: Mapping[str, Any], *, strict: bool) -> Model:
    """Validate values as `model`. With `strict`, JSON's types count; without it, as in a query string, "10" is a number.

    Raises InvalidQuery, which names every mistake, or the first _NAMED and the number of the others.
    """
    unknown = sorted(values.keys() - model.model_fields.keys())
    problems = [unknown_parameters(unknown, model.model_fields)] if unknown else []
    try:
        validated = model.model_validate({name: values[name] for name in values.keys() & model.model_fields.keys()}, strict=strict)
    except ValidationError as exc:
        mistakes = exc.errors(include_url=False)
        more = [f"and {len(mistakes) - _NAMED:,} more faults"] if len(mistakes) > _NAMED else []
        raise InvalidQuery("; ".join([*(_described(error, model) for error in mistakes[:_NAMED]), *more, *problems])) from None
    if problems:
        raise InvalidQuery(*problems)
    return validated


def unknown_parameters(names: Sequence[str], known: Iterable[str]) -> str:
    """Describe all unknown names in one sentence: pydantic would make an error of each, 30 MB in ten seconds for a million
    names."""
    listed = ", ".join(map(legible, names[:_NAMED]))
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    wrong = "is not a parameter" if len(names) == 1 else "are not parameters"
    right = ", ".join(known)
    return f"{listed}{more}: {wrong}; " + (f"the parameters are {right}" if right else "this route takes none")


def _described(error: Any, model: type[BaseModel]) -> str:
    loc = error["loc"]
    if error["type"] == "extra_forbidden":
        within = place(loc[:-1])
        unknown = unknown_parameters([str(loc[-1])], model_at(model, loc).model_fields)
        return f"{within}.{unknown}" if within else unknown
    if error["type"] == WITHIN:
        return ".".join(filter(None, (place(loc[:-1]), error["ctx"]["detail"])))
    name = legible(place(loc))
    if error["type"] == "missing":
        return f"{name}: {what_is_wrong(error, model)}"
    return f"{name}: {what_is_wrong(error, model)}{got(error['input'])}"
