"""The address of a request: its query string is UTF-8 and holds parameters of its route, each once; a slash too many redirects."""

from urllib.parse import quote, unquote_to_bytes

from flask import Flask, current_app, redirect, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.wrappers import Response as BaseResponse

from ml_api.errors import InvalidQuery

PARAMETERS = "query_parameters"
"""The attribute of a view that holds the names of its parameters; views without it, the pages, take any."""


def register(app: Flask) -> None:
    app.before_request(_check_query)


def without_slash() -> BaseResponse | None:
    """A redirect to where this address leads without the slashes at its end, if it then leads anywhere; the body comes along."""
    bare = "/" + request.path.strip("/")  # two slashes at the start of a Location would name a host
    if not request.path.endswith("/"):
        return None
    try:
        adapter = current_app.create_url_adapter(request)
        assert adapter is not None  # there is one for every request
        adapter.match(bare)
    except MethodNotAllowed:
        pass  # it leads to who knows which methods there are
    except HTTPException:
        return None
    query = request.query_string.decode()
    target = quote(request.root_path + bare) + (f"?{query}" if query else "")
    return redirect(target, 308)


def _check_query() -> None:
    if not _is_utf8(request.query_string):
        raise InvalidQuery(
            "the address is not UTF-8, so its characters cannot be told; encode it, as `curl -G --data-urlencode 'q=…' URL` does"
        )
    known = getattr(current_app.view_functions.get(request.endpoint or ""), PARAMETERS, None)
    if known is None or request.method == "OPTIONS":
        return
    if unknown := sorted(request.args.keys() - known):
        those = f"there are {', '.join(sorted(known))}" if known else "this route takes none"
        raise InvalidQuery("; ".join(f"{name[:100]}: is not a parameter; {those}" for name in unknown[:10]))
    for name, given in request.args.lists():
        if len(given) > 1:
            raise InvalidQuery(f"{name}: was given {len(given)} times; give it once")


def _is_utf8(query: bytes) -> bool:
    try:
        unquote_to_bytes(query).decode()
    except UnicodeDecodeError:
        return False
    return True
