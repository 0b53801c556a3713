"""Checks the URL of a request: its query string must be UTF-8 and have parameters of its route only; trailing slashes are
redirected."""

from collections.abc import Iterator
from urllib.parse import quote, unquote_to_bytes

from flask import Flask, current_app, redirect, request
from pydantic import BaseModel
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import PathConverter
from werkzeug.wrappers import Response as BaseResponse

from ml_api.api.parsing import problems_of_values, unknown_parameters
from ml_api.errors import InvalidQuery

PARAMETERS = "query_parameters"
"""The attribute of a view with the names of its parameters. Views without it (the pages) accept any."""
MODEL = "query_model"
"""The attribute of a view with the model of its parameters, if there is one."""


class KeyConverter(PathConverter):
    """Matches a key, the rest of a path, of any characters: the corpus checks it."""

    regex = r"(?s:.+?)"
    part_isolating = False


def register(app: Flask) -> None:
    app.url_map.converters["key"] = KeyConverter
    app.before_request(_check_query)


def without_slash() -> BaseResponse | None:
    """Redirect (308, so that clients send the body again) to the URL without its trailing slashes; None if that is no route."""
    bare = "/" + request.path.strip("/")  # two slashes at the start of a Location would name a host
    if not request.path.endswith("/"):
        return None
    try:
        adapter = current_app.create_url_adapter(request)
        assert adapter is not None  # there is one for every request
        adapter.match(bare)
    except MethodNotAllowed:
        pass  # it is a route with other methods, which will answer 405
    except HTTPException:
        return None
    query = request.query_string.decode()
    target = quote(request.root_path + bare) + (f"?{query}" if query else "")
    return redirect(target, 308)


def _check_query() -> None:
    if not _is_utf8(request.query_string):
        raise InvalidQuery("the query string is not UTF-8; percent-encode it, as `curl -G --data-urlencode 'q=…' URL` does")
    known = getattr(current_app.view_functions.get(request.endpoint or ""), PARAMETERS, None)
    if known is None or request.method == "OPTIONS":
        return
    model = getattr(current_app.view_functions[request.endpoint or ""], MODEL, None)
    if problems := list(_problems(known, model)):
        raise InvalidQuery("; ".join(problems))


def _problems(known: frozenset[str], model: type[BaseModel] | None) -> Iterator[str]:
    """Yield all mistakes in the query string, so that one answer names everything that has to change."""
    for name in sorted(request.args.keys() - known)[:10]:
        yield unknown_parameters([name], sorted(known))
    given = {name: values for name, values in request.args.lists() if name in known}
    repeated = {name: len(values) for name, values in given.items() if len(values) > 1}
    for name, times in repeated.items():
        yield f"{name}: was given {times} times; give it once"
    if model is not None:
        values = problems_of_values(model, {name: first for name, [first, *_] in given.items()})
        yield from (problem for name, problem in values.items() if name not in repeated)


def _is_utf8(query: bytes) -> bool:
    try:
        unquote_to_bytes(query).decode()
    except UnicodeDecodeError:
        return False
    return True
