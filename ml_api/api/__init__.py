"""The HTTP API: routes, parsing of requests, answers, the table from errors to statuses, and the OpenAPI document.

It uses `Services` and never imports their implementations.
"""

from flask import current_app, g

from ml_api.services import Services

EXTENSION = "ml_api"
"""The key of the services in `app.extensions`."""
SHARED_WITH = "SHARED_WITH"
"""The key, in the application's configuration, of the origins whose pages may use the API."""
HEAD_CHECK = "ml_api.head"
"""The key, in `app.extensions`, of the function that checks a request's head and raises what `authorization` does."""


def services() -> Services:
    """The services of the application that the request belongs to. A request that began with one model ends with it."""
    while "services" not in g:
        of_all: Services = current_app.extensions[EXTENSION]
        found = of_all.current()
        found.engine.holders.begin()
        if found.current() is found:
            g.services = found
        else:  # replaced just now, and perhaps not waited for
            found.engine.holders.end()
    held: Services = g.services
    return held


def let_go(_error: BaseException | None = None) -> None:
    """Release the services that the request has held, at its end."""
    if (held := g.pop("services", None)) is not None:
        held.engine.holders.end()
