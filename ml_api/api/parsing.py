"""From a request to typed values, or to an error that names the field, what was wrong and what would be right."""

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
"""Where the application keeps its own bound."""

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
"""RFC 7396."""

_JSON_PUNCTUATION = (b'"', b",", b"[", b"{")
_MAX_JSON_PUNCTUATION = 1000
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
            f"{REQUEST_TIMEOUT}: must be a number of seconds above 0 and at most {most:g}{got(given)}", code="invalid-timeout"
        )
    return Deadline.within(seconds, since=g.started)


def query_parameters(model: type[Model]) -> Model:
    """The URL's query string, which `urls` has checked, as `model`."""
    return validated(model, request.args.to_dict(), strict=False)


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
    model: type[Model], *, max_bytes: int | None = None, also: str = JSON, punctuation: int = _MAX_JSON_PUNCTUATION
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
        raise InvalidInput(f"the body {no_json(exc)}", code="invalid-json") from exc
    if not isinstance(value, dict):
        raise InvalidInput(f"the body is JSON, but not an object{got(value)}", code="invalid-json")
    return validated(model, value, strict=True)


def unsupported(right: str) -> UnsupportedMedia:
    """The error of a body whose media type is not taken; `right` says what would be."""
    return UnsupportedMedia(f"the body is {request.mimetype or 'of no stated type'}; send {right}")


def image_id_of(text: str, where: str = "id") -> str:
    """An image's id, checked. `where` is the place in the request. Raises InvalidInput."""
    if not is_image_id(text):
        raise InvalidInput(f"{where}: must be 32 lower-case hex digits, as in the hits of a search{got(text)}", code="invalid-id")
    return text


def named(error: MlApiError, place: str) -> MlApiError:
    """The same error, whose detail begins with that place in the request. A copy: queries that share a term share its error."""
    copied = copy.copy(error)
    copied.detail = place + error.detail
    return copied


@contextmanager
def naming(member: str, kinds: tuple[type[InvalidInput], ...] = (InvalidInput,)) -> Iterator[None]:
    """Let errors of these kinds name the member of the request that they are about."""
    try:
        yield
    except kinds as exc:
        raise named(exc, f"{member}: ") from exc


def no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Python would take the last of several values, and other readers the first (RFC 8259, 4)."""
    for name, times in Counter(name for name, _ in pairs).items():
        if times > 1:
            raise InvalidQuery(f"{legible(name)}: was given {times} times; give it once")
    return dict(pairs)


def validated(model: type[Model], values: Mapping[str, Any], *, strict: bool) -> Model:
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
        return f"{within}.{unknown}" if within else unknown
    if error["type"] == WITHIN:
        return ".".join(filter(None, (place(loc[:-1]), error["ctx"]["detail"])))
    name = legible(place(loc))
    if error["type"] == "missing":
        return f"{name}: {what_is_wrong(error, model)}"
    return f"{name}: {what_is_wrong(error, model)}{got(error['input'])}"
