"""Which scope each route needs.

Documented routes declare it beside their document (`openapi.operation`); all others are public and listed here by name.
"""

from typing import Final

from flask import Flask

from ml_api.access import PUBLIC, Scope

SCOPE: Final = "scope"
"""The attribute of a view that holds its scope."""
PUBLIC_ENDPOINTS: Final = frozenset(
    {
        *("web.page", "web.static", "web.docs", "web.document"),
        *("flasgger.apidocs", "flasgger.apispec", "flasgger.static", "flasgger.oauth_redirect", "flasgger.<lambda>"),
    }
)
"""For browsers: the page and Swagger UI, which show nothing of the images before the visitor has signed in."""


def scope_of(app: Flask, endpoint: str) -> Scope | None:
    """A route that says nothing of itself is the administrators' (and fails a test)."""
    if endpoint in PUBLIC_ENDPOINTS:
        return PUBLIC
    scope: Scope | None = getattr(app.view_functions[endpoint], SCOPE, Scope.ADMIN)
    return scope
