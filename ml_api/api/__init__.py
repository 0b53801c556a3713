"""The HTTP edge: parsing, routes, the error table and the OpenAPI document. Knows services, never their implementations."""

from flask import current_app

from ml_api.services import Services

EXTENSION = "ml_api"
"""The name of the services among the application's extensions."""
HEAD_CHECK = "ml_api.head"
"""The name of the check of a request's head, a WSGI application that answers nothing and raises what `authorization` does."""


def services() -> Services:
    """Of the application that the request belongs to: there is no global."""
    found: Services = current_app.extensions[EXTENSION]
    return found
