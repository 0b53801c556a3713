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
    """The services of the application. A request keeps the engine that it began with, even if the model is switched meanwhile."""
    while "services" not in g:
        of_all: Services = current_app.extensions[EXTENSION]
        found = of_all.current()
        found.engine.requests.begin()
        if found.current() is found:
            g.services = found
        else:  # replaced between the two reads, so that it may be closed already
            found.engine.requests.end()
    held: Services = g.services
    return held


def release_services(_error: BaseException | None = None) -> None:
    """Release the engine of the request, at its end."""
    if (held := g.pop("services", None)) is not None:
        held.engine.requests.end()
